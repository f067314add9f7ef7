use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{Request, Response, Version};
use hyper::body::Incoming;

use super::Problem;
use super::body::{self, ReplyBody};
use super::connection::{Connection, Doom};
use super::judge;
use super::record::{Record, RequestHead};
use super::reply::Reply;
use super::shared::Shared;
use super::step::{Action, Step};

static SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");

/// From this size on, bodies are judged off the runtime thread.
const LARGE: usize = 64 * 1024;

/// Answers one request as the script says.
pub(super) async fn answer(
    request: Request<Incoming>,
    connection: Arc<Connection>,
    shared: Arc<Shared>,
) -> Result<Response<ReplyBody>, Infallible> {
    let (parts, mut body) = request.into_parts();
    let mut head = RequestHead {
        sequence: shared.next_sequence(),
        at: shared.clock.wall(),
        peer: connection.peer,
        connection: connection.number,
        method: parts.method,
        uri: parts.uri,
        version: parts.version,
        headers: parts.headers,
    };
    for name in [&SENTRY_AUTH, &AUTHORIZATION] {
        if let Some(value) = head.headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
    let version = head.version;
    let step = shared.script.next(&head);
    let record = if step.early {
        judge::unread(head)
    } else {
        let (wire, fault) = body::read(&mut body, shared.bounds.body).await;
        judge_whole(head, wire, fault, &shared).await
    };
    let mut entry = Entry { record: Some(record), shared: &shared };
    // A stalled request is never answered, so it is booked at once.
    if !matches!(step.action, Action::Stall) {
        pause(shared.latency + step.delay).await;
    }
    let reply = entry.close(&step);
    Ok(act(step.action, reply, version, &connection, &shared).await)
}

async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

async fn judge_whole(head: RequestHead, wire: Bytes, fault: Option<Problem>, shared: &Arc<Shared>) -> Record {
    if wire.len() < LARGE {
        return judge::whole(head, wire, fault, &shared.bounds);
    }
    let bounds = shared.bounds.clone();
    match tokio::task::spawn_blocking(move || judge::whole(head, wire, fault, &bounds)).await {
        Ok(record) => record,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and drops this future.
            Err(_) => std::future::pending().await,
        },
    }
}

async fn act(
    action: Action,
    judged: Reply,
    version: Version,
    connection: &Arc<Connection>,
    shared: &Shared,
) -> Response<ReplyBody> {
    let is_http2 = version >= Version::HTTP_2;
    let doom = match action {
        Action::Judge(headers) => return judged.with_headers(headers).into_response(),
        Action::Reply(reply) => return reply.into_response(),
        Action::CutBody(reply) if is_http2 => return reply.into_broken_response(Arc::clone(connection)),
        Action::CutBody(reply) => Doom::Write(reply.half()),
        Action::CutHead(reply) => Doom::Write(reply.half_of_head()),
        Action::Garbage(bytes) => Doom::Write(bytes),
        Action::Close => Doom::Close,
        Action::Reset => Doom::Reset,
        Action::Stall => {
            shared.closing.cancelled().await;
            Doom::Close
        }
    };
    connection.end(doom);
    // The connection drops this future.
    std::future::pending().await
}

/// A request that is being answered. If the client goes away before that, it is booked as not answered.
struct Entry<'a> {
    record: Option<Record>,
    shared: &'a Shared,
}

impl Entry<'_> {
    /// Books the request with what the step answers. Returns what is answered if the step leaves it to judgement.
    fn close(&mut self, step: &Step) -> Reply {
        let Some(mut record) = self.record.take() else {
            unreachable!("a request is booked once");
        };
        if let Some(id) = record.envelope.as_ref().and_then(|envelope| self.shared.book().duplicate(envelope))
        {
            record.problems.push(Problem::DuplicateEvent(id));
        }
        let id =
            record.envelope.as_ref().and_then(envoi_envelope::Envelope::event_id).map(|id| id.to_string());
        let reply = Reply::to(&record.problems, id);
        record.status = step.status(reply.status);
        self.shared.enter(record);
        reply
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.shared.enter(record);
        }
    }
}
