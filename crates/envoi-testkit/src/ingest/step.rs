use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::reply::Reply;

/// What the server does with one request.
///
/// Unless [`Step::before_body`] says otherwise, the body is read first, so the request is judged and remembered as
/// usual, with the status that the step answers.
#[derive(Clone, Debug)]
#[must_use = "a step is given to a script"]
pub struct Step {
    pub(super) delay: Duration,
    pub(super) early: bool,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    /// With these headers on top.
    Judge(HeaderMap),
    Reply(Reply),
    CutBody(Reply),
    CutHead(Reply),
    Garbage(Bytes),
    Close,
    Reset,
    Stall,
}

impl Step {
    const fn new(action: Action) -> Self {
        Self { delay: Duration::ZERO, early: false, action }
    }

    /// The usual: the request is judged, and answered 200 with its id, or with what is wrong.
    pub fn judge() -> Self {
        Self::new(Action::Judge(HeaderMap::new()))
    }

    /// Answers this status, whatever the request is.
    pub fn reply(status: StatusCode) -> Self {
        Self::new(Action::Reply(Reply::new(status)))
    }

    /// Closes the connection without an answer.
    pub const fn close() -> Self {
        Self::new(Action::Close)
    }

    /// Resets the connection: the client sees `ECONNRESET`.
    pub const fn reset() -> Self {
        Self::new(Action::Reset)
    }

    /// Never answers and keeps the connection, until the server shuts down.
    pub const fn stall() -> Self {
        Self::new(Action::Stall)
    }

    /// Sends bytes that are not HTTP, and closes the connection.
    pub fn garbage(bytes: impl Into<Bytes>) -> Self {
        Self::new(Action::Garbage(bytes.into()))
    }

    fn change(mut self, change: impl FnOnce(&mut Reply)) -> Self {
        if let Action::Reply(reply) | Action::CutBody(reply) | Action::CutHead(reply) = &mut self.action {
            change(reply);
        }
        self
    }

    /// Adds a header to what is answered, if it is HTTP: a rate limit to a success, for example.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if let Action::Judge(headers) = &mut self.action {
            headers.append(name, value);
            return self;
        }
        self.change(|reply| {
            reply.headers.append(name, value);
        })
    }

    /// Sets the body of a reply. Without it the body is empty. What is judged has a body of its own.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        self.change(|reply| reply.body = body.into())
    }

    /// Sends the head of a reply and the first half of its body, and closes the connection.
    pub fn cut_in_body(mut self) -> Self {
        if let Action::Reply(reply) = self.action {
            self.action = Action::CutBody(reply);
        }
        self
    }

    /// Sends half of the status line of a reply, and closes the connection.
    pub fn cut_in_head(mut self) -> Self {
        if let Action::Reply(reply) = self.action {
            self.action = Action::CutHead(reply);
        }
        self
    }

    /// Does it when the head is complete and the body is not read yet. A reply is then followed by the end of the
    /// connection (HTTP/1.1) or of the stream (HTTP/2), as a server does that refuses by `content-length`.
    pub const fn before_body(mut self) -> Self {
        self.early = true;
        self
    }

    /// Does it only after this.
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The status that the client can read completely.
    pub(super) const fn status(&self, judged: StatusCode) -> Option<StatusCode> {
        match &self.action {
            Action::Judge(_) => Some(judged),
            Action::Reply(reply) | Action::CutBody(reply) => Some(reply.status),
            Action::CutHead(_) | Action::Garbage(_) | Action::Close | Action::Reset | Action::Stall => None,
        }
    }
}

impl From<StatusCode> for Step {
    fn from(status: StatusCode) -> Self {
        Self::reply(status)
    }
}
