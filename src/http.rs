//! HTTP as every call of this library speaks it: the process-wide clients, retries, the log line, and the two places
//! where a failure ([`failure`]) or a refusal ([`refusal`]) becomes an [`Error`](crate::Error).
//!
//! - [`options`]: how a server is reached: time-outs, proxy, certificates.
//! - `clients`: one pair of clients an options value in the whole process.
//! - [`transport`]: sends a [`Request`], follows redirects that are safe, tries reads again, logs.
//! - `answer`: an answer's body, whole and bounded or as a stream.
//! - `line`: what the log says of a request.
//! - `upload`: a body that is sent as it comes, watched for stalls.
//! - [`template`]: RFC 6570 templates, the form that routes have.
//! - `redact`: keeps secrets out of what a server says about a failure.

mod answer;
mod clients;
mod failure;
mod line;
pub mod options;
mod redact;
mod refusal;
pub mod template;
pub mod transport;
mod upload;

pub use answer::{Answer, BodyStream, Fetched, MAX_JSON};
pub(crate) use failure::broken;
pub use options::{CertificateAuthority, Proxy, ProxyChoice, TransportOptions};
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
pub use reqwest::{Method, StatusCode};
pub use template::UriTemplate;
pub use transport::{Body, Extent, Request, Signature, Transport};
