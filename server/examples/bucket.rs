//! An S3-compatible store with one bucket, on loopback: what the tests of the server at its largest stand on.
//!
//! `bucket FOLDER`, with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` as who may use it. Its first line tells where it
//! listens; it serves until it is killed. Objects of the bucket `uss` are files of `FOLDER/uss`.

use std::error::Error;
use std::path::PathBuf;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("bucket FOLDER")?);
    std::fs::create_dir_all(folder.join("uss"))?;
    let files = FileSystem::new(folder).map_err(|error| format!("{error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(
        std::env::var("AWS_ACCESS_KEY_ID")?,
        std::env::var("AWS_SECRET_ACCESS_KEY")?,
    ));
    let service = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (connection, _) = listener.accept().await?;
        let service = service.clone();
        // A client that breaks off is none of its business.
        tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(connection), service).await });
    }
}
