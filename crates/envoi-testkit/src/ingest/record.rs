use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use bytes::Bytes;
use envoi_envelope::Envelope;
use http::{HeaderMap, Method, StatusCode, Uri, Version};

use super::{Encoding, Problem};

/// What is known of a request before its body is read.
#[derive(Clone)]
#[non_exhaustive]
pub struct RequestHead {
    /// The number of the request, from 0, in the order in which heads were read.
    pub sequence: u64,
    /// When it came.
    pub at: SystemTime,
    /// Who sent it.
    pub peer: SocketAddr,
    /// The number of the connection that it came on, from 0.
    pub connection: u64,
    /// The method.
    pub method: Method,
    /// The target as it was sent.
    pub uri: Uri,
    /// The version of the protocol.
    pub version: Version,
    /// The headers as they were sent. Credentials are marked as sensitive.
    pub headers: HeaderMap,
}

/// Shows no query string and no credentials (AU-7).
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("sequence", &self.sequence)
            .field("peer", &self.peer)
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// A request and what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// Its head.
    pub head: RequestHead,
    /// The project of its path.
    pub project: Option<String>,
    /// The public key that it was made with.
    pub key: Option<String>,
    /// The content encoding; `None` for a plain body.
    pub encoding: Option<Encoding>,
    /// The body as it was sent; empty if it was not read.
    pub wire: Bytes,
    /// The body without content encoding; empty if it could not be decoded.
    pub body: Bytes,
    /// The envelope, if the body is one.
    pub envelope: Option<Envelope>,
    /// All that is wrong, worst first.
    pub problems: Vec<Problem>,
    /// The status that was answered; `None` if no complete status line was.
    pub status: Option<StatusCode>,
}

impl Record {
    /// Whether it is an envelope that was answered with success.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.envelope.is_some() && self.status.is_some_and(|status| status.is_success())
    }

    /// The bytes that remembering it takes, roughly.
    pub(super) fn weight(&self) -> usize {
        let headers: usize =
            self.head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        1024 + headers + self.wire.len() + self.body.len()
    }
}
