//! Answers that come before the body is read.
//!
//! A client that writes its whole body before it reads would lose the answer to a reset if the server closed with
//! bytes unread. So what a call leaves of its body is read on for a while, beside the answer; a longer body ends with
//! the connection. A client that waits for `100 Continue` (RFC 9110, section 10.1.1) sends nothing, and nothing is read.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Bytes read of a body that nobody wants.
const UNREAD: u64 = 1 << 20;
/// How long they may take.
const TIME: Duration = Duration::from_secs(10);

/// The middleware.
pub async fn unread(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let waiting = parts.headers.contains_key(EXPECT);
    let body = Body::new(Drained { body, waiting });
    next.run(Request::from_parts(parts, body)).await
}

struct Drained {
    body: Body,
    /// The client has not begun to send.
    waiting: bool,
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.waiting = false;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if self.waiting || self.body.is_end_stream() {
            return;
        }
        let mut rest = std::mem::take(&mut self.body).into_data_stream();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(TIME, async move {
                let mut read = 0;
                while let Some(Ok(bytes)) = rest.next().await {
                    read += bytes.len() as u64;
                    if read > UNREAD {
                        break;
                    }
                }
            }));
        }
    }
}
