use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::Problem;
use super::body::ReplyBody;
use super::connection::Connection;

/// What Sentry says about a refusal (TR-7).
static SENTRY_ERROR: HeaderName = HeaderName::from_static("x-sentry-error");

/// A complete reply.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        let mut reply = Self::new(status);
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply.body = value.to_string().into();
        reply
    }

    /// What is answered to a request with these problems, worst first.
    pub(super) fn to(problems: &[Problem], id: Option<String>) -> Self {
        let mut refused = problems.iter().filter(|problem| problem.status().is_some());
        let Some((worst, status)) = refused.next().and_then(|worst| Some((worst, worst.status()?))) else {
            let answer = id.map_or_else(|| json!({}), |id| json!({ "id": id }));
            return Self::json(StatusCode::OK, &answer);
        };
        let headline = worst.headline();
        let causes: Vec<String> = std::iter::once(worst).chain(refused).map(ToString::to_string).collect();
        let mut reply = Self::json(status, &json!({ "detail": headline, "causes": causes }));
        reply.headers.insert(SENTRY_ERROR.clone(), HeaderValue::from_static(headline));
        reply
    }

    pub(super) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// As a response.
    pub(super) fn into_response(self) -> Response<ReplyBody> {
        let body = ReplyBody::whole(self.body);
        response(self.status, self.headers, body)
    }

    /// As a response that breaks off in the middle of its body, together with its connection.
    pub(super) fn into_broken_response(mut self, connection: Arc<Connection>) -> Response<ReplyBody> {
        // What a client waits for in vain.
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len().max(1)));
        let body = ReplyBody::broken(self.body.slice(..self.body.len() / 2), connection);
        response(self.status, self.headers, body)
    }

    /// As bytes of HTTP/1.1: the head, and half of the body.
    pub(super) fn half(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.extend_from_slice(format!("HTTP/1.1 {}\r\n", self.status).as_bytes());
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        // More than the half that follows, also for an empty body.
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len().max(1)).as_bytes());
        bytes.extend_from_slice(&self.body[..self.body.len() / 2]);
        bytes.freeze()
    }

    /// As bytes of HTTP/1.1: half of the status line.
    pub(super) fn half_of_head(&self) -> Bytes {
        let line = format!("HTTP/1.1 {}", self.status.as_u16());
        Bytes::from(line.as_bytes()[..line.len() - 2].to_vec())
    }
}

fn response(status: StatusCode, headers: HeaderMap, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
