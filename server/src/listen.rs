//! Connections: accepted, wrapped in TLS where asked, served as HTTP/1.1, and ended with care.
//!
//! A connection that ends with bytes unread would be reset, and the reset can overtake the answer. So the writing half
//! is closed first, and what still comes is read for a moment (lingering close).

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::auth::Peer;

/// For a request's head, and for a TLS handshake.
const HEAD: Duration = Duration::from_secs(30);
/// For open requests, once the server is to stop.
const GOODBYE: Duration = Duration::from_secs(30);
/// For what a client still sends after its last answer.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes of that at most.
const LINGER_BYTES: u64 = 1 << 20;
/// Bytes of a connection's read buffer at most.
const BUFFER: usize = 512 << 10;

/// An answer that is never sent: the connection breaks instead.
#[derive(Clone, Copy, Debug)]
pub struct Unsent;

/// Serves until `stop` is cancelled; then open requests get half a minute to end.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer, tls.clone(), router.clone(), stop.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most often: those that are in use come back.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if timeout(GOODBYE, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "requests were cut off");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: CancellationToken,
) {
    let ended = async {
        stream.set_nodelay(true)?;
        match tls {
            None => http(stream, peer, router, stop).await,
            Some(tls) => match timeout(HEAD, tls.accept(stream)).await {
                Ok(stream) => http(stream?, peer, router, stop).await,
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
        }
    };
    if let Err(error) = ended.await {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

async fn http<S>(stream: S, peer: SocketAddr, router: Router, stop: CancellationToken) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        Box::pin(async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let response: Response = router.call(request).await.unwrap_or_else(|never| match never {});
            match response.extensions().get::<Unsent>() {
                Some(Unsent) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                None => Ok(response),
            }
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut stopping = pin!(stop.cancelled());
    let mut told = false;
    poll_fn(|context| {
        if !told && stopping.as_mut().poll(context).is_ready() {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(context)
    })
    .await
    .map_err(io::Error::other)?;

    let mut stream = connection.into_parts().io.into_inner();
    stream.shutdown().await?;
    let mut rest = stream.take(LINGER_BYTES);
    // Time out or not: the connection is closed either way.
    drop(timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await);
    Ok(())
}
