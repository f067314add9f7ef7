use std::io;
use std::time::Duration;

use bytes::Bytes;
use envoi_core::{BoxError, Fault, Kind};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::MockBody;
use super::body::End;

/// One step of a [`MockExchange`](super::MockExchange).
#[derive(Clone, Debug)]
#[must_use = "an answer is given to a script"]
pub struct Answer {
    pub(super) delay: Duration,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Reply { status: StatusCode, headers: HeaderMap, body: MockBody },
    Fault(Kind),
    Io(io::ErrorKind),
    Never,
    Panic,
}

impl Answer {
    const fn new(what: What) -> Self {
        Self { delay: Duration::ZERO, what }
    }

    /// A response with this status and no body.
    pub fn status(status: StatusCode) -> Self {
        Self::new(What::Reply { status, headers: HeaderMap::new(), body: MockBody::default() })
    }

    /// 200 with the body `{}`.
    pub fn ok() -> Self {
        Self::status(StatusCode::OK).body("{}")
    }

    /// No response, but an error of this kind: [`Fault::from_error`] gives it back.
    pub const fn error(kind: Kind) -> Self {
        Self::new(What::Fault(kind))
    }

    /// No response, but an I/O error, as the network gives it.
    pub const fn io_error(kind: io::ErrorKind) -> Self {
        Self::new(What::Io(kind))
    }

    /// No answer, ever.
    pub const fn never() -> Self {
        Self::new(What::Never)
    }

    /// A panic, when the future is polled.
    pub const fn panic() -> Self {
        Self::new(What::Panic)
    }

    /// Adds a header, if the answer is a response.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if let What::Reply { headers, .. } = &mut self.what {
            headers.append(name, value);
        }
        self
    }

    fn with_body(mut self, change: impl FnOnce(&mut MockBody)) -> Self {
        if let What::Reply { body, .. } = &mut self.what {
            change(body);
        }
        self
    }

    /// Adds a piece of body, if the answer is a response.
    pub fn body(self, piece: impl Into<Bytes>) -> Self {
        let piece = piece.into();
        self.with_body(|body| body.pieces.push_back(piece))
    }

    /// Lets the body break off with an I/O error after its pieces.
    pub fn breaking_off(self, kind: io::ErrorKind) -> Self {
        self.with_body(|body| body.end = End::Error(kind))
    }

    /// Lets the body never end after its pieces.
    pub fn stalling(self) -> Self {
        self.with_body(|body| body.end = End::Never)
    }

    /// Answers only after this, of tokio's time.
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    #[expect(clippy::panic, reason = "the script asks for it")]
    pub(super) async fn play(self) -> Result<Response<MockBody>, BoxError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        match self.what {
            What::Reply { status, headers, body } => {
                let mut response = Response::new(body);
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                Ok(response)
            }
            What::Fault(kind) => Err(Fault::new(kind).into()),
            What::Io(kind) => Err(io::Error::from(kind).into()),
            What::Never => std::future::pending().await,
            What::Panic => panic!("scripted panic"),
        }
    }
}

impl From<StatusCode> for Answer {
    fn from(status: StatusCode) -> Self {
        Self::status(status)
    }
}
