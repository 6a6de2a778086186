//! An Update Service as a source and as a destination.

use std::collections::HashMap;

use super::{Body, Catalogue, ContentKey, Destination, Fetched, Outcome, Receipt, Source, Upload, UploadLocation};
use crate::error::Error;
use crate::operation::Context;
use crate::update_service::model::{Installer, PackageVersion};
use crate::update_service::{ContentBody, Publish, PublishInstaller, Published, Publishing, UpdateService};

/// Less is sent again in less time than an upload of its own takes to begin.
const WORTH_AN_UPLOAD: u64 = 16 << 20;

impl Catalogue for UpdateService {
    fn name(&self) -> String {
        self.server().to_string()
    }

    fn user(&self) -> String {
        self.user_name().unwrap_or_default().to_owned()
    }

    async fn versions_of(
        &self,
        context: &Context,
        ids: &[String],
    ) -> Result<HashMap<String, Vec<PackageVersion>>, Error> {
        self.versions_of(context, ids).await
    }

    async fn installers(&self, context: &Context) -> Result<Vec<Installer>, Error> {
        self.installers(context).await
    }
}

impl Source for UpdateService {
    type Body = ContentBody;

    async fn content(
        &self,
        context: &Context,
        content: &ContentKey,
        from: u64,
        if_match: Option<&str>,
    ) -> Result<Fetched<ContentBody>, Error> {
        let opened = match content {
            ContentKey::Package { id, version } => self.content(context, id, version, from, if_match).await,
            ContentKey::Installer(installer) => self.installer_content(context, &installer.id, from, if_match).await,
        }?;
        Ok(Fetched {
            start: opened.status_from,
            total: opened.total,
            etag: opened.etag,
            sha256: opened.sha256.map(Into::into),
            body: opened.body,
        })
    }
}

impl Destination for UpdateService {
    async fn publish(&self, context: &Context, upload: &Upload, body: Body) -> Result<Receipt, Error> {
        let published = match publishing(upload) {
            Publishing::Package(publish) => self.publish(context, publish, body).await,
            Publishing::Installer(publish) => self.publish_installer(context, publish, body).await,
        };
        published.map(receipt)
    }

    async fn begin(&self, context: &Context, upload: &Upload) -> Result<Option<UploadLocation>, Error> {
        if upload.length.is_none_or(|length| length < WORTH_AN_UPLOAD) {
            return Ok(None);
        }
        Ok(self.begin_upload(context, &publishing(upload)).await?.map(UploadLocation))
    }

    async fn offset(&self, context: &Context, location: &UploadLocation) -> Result<Option<u64>, Error> {
        self.upload_offset(context, &location.0).await
    }

    async fn append(
        &self,
        context: &Context,
        upload: &Upload,
        location: &UploadLocation,
        from: u64,
        body: Body,
    ) -> Result<Receipt, Error> {
        self.append_upload(context, &publishing(upload), &location.0, from, body).await.map(receipt)
    }

    async fn abandon(&self, context: &Context, location: &UploadLocation) -> Result<(), Error> {
        self.abandon_upload(context, &location.0).await
    }
}

fn publishing(upload: &Upload) -> Publishing {
    let Upload { content, sha256, length, force } = upload;
    let (sha256, length, force) = (sha256.map(Into::into), *length, *force);
    match content {
        ContentKey::Package { id, version } => {
            Publishing::Package(Publish { id: id.clone(), version: version.clone(), sha256, force, length })
        }
        ContentKey::Installer(installer) => {
            let installer = Installer::clone(installer);
            Publishing::Installer(PublishInstaller {
                id: Some(installer.id),
                name: installer.name,
                package_id: installer.package_id,
                version: installer.version,
                file_name: installer.file_name,
                sha256,
                force,
                length,
            })
        }
    }
}

fn receipt(published: Published) -> Receipt {
    let stored = published.stored();
    let outcome = match published {
        Published::Created(_) => Outcome::Created,
        Published::AlreadyThere(_) => Outcome::AlreadyThere,
        Published::Replaced(_) => Outcome::Replaced,
    };
    Receipt { outcome, size: stored.size, sha256: stored.sha256.map(Into::into) }
}
