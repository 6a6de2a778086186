//! The least that a copy can cost: one process, two HTTP exchanges, no hashing, no retries, no verification.
//!
//! `bare_relay FROM TO` sends what `GET FROM` answers as the body of `POST TO`, with the bearers in `SOURCE_BEARER` and
//! `DESTINATION_BEARER`. `cargo xtask bench copy` measures the copy engine against it, between the same servers and
//! routes.

use std::{env, error::Error};

use reqwest::{Body, Client, header::CONTENT_LENGTH};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bare_relay FROM TO".into());
    };
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = Client::builder().no_proxy().build()?;
    let source = client.get(from).bearer_auth(env::var("SOURCE_BEARER")?).send().await?.error_for_status()?;
    let mut publish = client.post(to).bearer_auth(env::var("DESTINATION_BEARER")?);
    if let Some(length) = source.content_length() {
        publish = publish.header(CONTENT_LENGTH, length);
    }
    publish.body(Body::wrap_stream(source.bytes_stream())).send().await?.error_for_status()?;
    Ok(())
}
