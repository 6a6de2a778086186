//! A bucket of an S3-compatible store, where many machines serve the same blobs.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, RetryConfig};
use url::Url;

use crate::store::StoreError;

/// How long a request is tried again: whoever waits for it is a client with patience of its own.
const RETRY: Duration = Duration::from_secs(30);

/// The bucket of `s3://BUCKET` or, within it, what `s3://BUCKET/FOLDER` names.
///
/// Where it is and who signs is said as for all of its programs: `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, or the role of the machine (docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html).
pub(super) fn open(url: &Url) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let wrong =
        |why: &str| StoreError::Address(format!("the blob address {why}; write s3://BUCKET or s3://BUCKET/FOLDER"));
    if !url.username().is_empty() || url.password().is_some() {
        // Not shown: it is a secret.
        return Err(wrong(
            "holds a key, which every list of processes shows: give it in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong(&format!("'{url}' names no bucket")));
    }
    if url.query().is_some() || url.fragment().is_some() || url.port().is_some() {
        return Err(wrong(&format!("'{url}' has more than a bucket and a folder")));
    }
    // The HTTP client comes without one; refused only where the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let retry = RetryConfig { max_retries: 5, retry_timeout: RETRY, ..RetryConfig::default() };
    let bucket = AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retry).build()?;
    Ok(match url.path().trim_matches('/') {
        "" => Arc::new(bucket),
        folder => Arc::new(PrefixStore::new(bucket, folder)),
    })
}
