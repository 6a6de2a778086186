//! An Update Service as a source and as a destination.

use std::collections::HashMap;

use super::{Body, Catalogue, ContentKey, Destination, Fetched, Outcome, Receipt, Source, Upload, UploadLocation};
use crate::error::Error;
use crate::operation::Context;
use crate::update_service::model::{Installer, PackageVersion};
use crate::update_service::{ContentBody, Publish, PublishInstaller, Published, UpdateService};

impl Catalogue for UpdateService {
    fn name(&self) -> String {
        self.server().to_string()
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
        let Upload { content, sha256, length, force } = upload;
        let (sha256, length, force) = (sha256.map(Into::into), *length, *force);
        let published = match content {
            ContentKey::Package { id, version } => {
                let publish = Publish { id: id.clone(), version: version.clone(), sha256, force, length };
                self.publish(context, publish, body).await
            }
            ContentKey::Installer(installer) => {
                let installer = Installer::clone(installer);
                let publish = PublishInstaller {
                    id: Some(installer.id),
                    name: installer.name,
                    package_id: installer.package_id,
                    version: installer.version,
                    file_name: installer.file_name,
                    sha256,
                    force,
                    length,
                };
                self.publish_installer(context, publish, body).await
            }
        }?;
        let stored = published.stored();
        let outcome = match published {
            Published::Created(_) => Outcome::Created,
            Published::AlreadyThere(_) => Outcome::AlreadyThere,
            Published::Replaced(_) => Outcome::Replaced,
        };
        Ok(Receipt { outcome, size: stored.size, sha256: stored.sha256.map(Into::into) })
    }
    async fn begin(&self, _: &Context, _: &Upload) -> Result<Option<UploadLocation>, Error> {
        Ok(None)
    }

    async fn offset(&self, _: &Context, _: &UploadLocation) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    async fn append(
        &self,
        context: &Context,
        upload: &Upload,
        _: &UploadLocation,
        _: u64,
        body: Body,
    ) -> Result<Receipt, Error> {
        Destination::publish(self, context, upload, body).await
    }

    async fn abandon(&self, _: &Context, _: &UploadLocation) -> Result<(), Error> {
        Ok(())
    }
}
