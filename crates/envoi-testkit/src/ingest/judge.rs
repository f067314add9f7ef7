use bytes::Bytes;
use envoi_envelope::{Envelope, SizeLimits};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, USER_AGENT};
use http::{Method, Version};

use super::record::{Record, RequestHead};
use super::{Encoding, Problem, auth, route};

/// The bounds that a request is judged by.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Of a body, before and after decoding.
    pub(super) body: u64,
    /// Of items (EN-7).
    pub(super) sizes: SizeLimits,
}

/// Judges a request of which the body was read. `fault` is what was wrong with the reading.
pub(super) fn whole(head: RequestHead, wire: Bytes, fault: Option<Problem>, bounds: &Bounds) -> Record {
    let mut problems = Vec::new();
    let project = line(&head, &mut problems);
    let encoding = Encoding::of(&head.headers);
    let body = match (fault, &encoding) {
        (Some(fault), _) => Err(fault),
        (None, Err(problem)) => Err(problem.clone()),
        (None, Ok(None)) => Ok(wire.clone()),
        (None, Ok(Some(encoding))) => encoding.decode(&wire, bounds.body),
    };
    let (body, envelope) = match body {
        Ok(body) => match Envelope::parse(body.clone()) {
            Ok(envelope) => (body, Some(envelope)),
            Err(error) => {
                problems.push(Problem::Parse(error));
                (body, None)
            }
        },
        Err(problem) => {
            problems.push(problem);
            (Bytes::new(), None)
        }
    };
    let key = auth::key(&head, project.as_deref(), envelope.as_ref(), &mut problems);
    headers(&head, &mut problems);
    if let Some(envelope) = &envelope {
        items(envelope, bounds, &mut problems);
    }
    finish(Record {
        head,
        project,
        key,
        encoding: encoding.ok().flatten(),
        wire,
        body,
        envelope,
        problems,
        status: None,
    })
}

/// Judges a request of which the body was not read.
pub(super) fn unread(head: RequestHead) -> Record {
    let mut problems = Vec::new();
    let project = line(&head, &mut problems);
    let key = auth::key(&head, project.as_deref(), None, &mut problems);
    headers(&head, &mut problems);
    let encoding = Encoding::of(&head.headers).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    finish(Record {
        head,
        project,
        key,
        encoding,
        wire: Bytes::new(),
        body: Bytes::new(),
        envelope: None,
        problems,
        status: None,
    })
}

/// Puts what is refused before what is only noted, in the order in which it was found.
fn finish(mut record: Record) -> Record {
    record.problems.sort_by_key(|problem| problem.status().is_none());
    record
}

fn line(head: &RequestHead, problems: &mut Vec<Problem>) -> Option<String> {
    let project = route::project(head.uri.path());
    if project.is_none() {
        problems.push(Problem::NotFound);
    } else if head.method != Method::POST {
        problems.push(Problem::Method);
    }
    project.map(str::to_owned)
}

/// AU-5.
fn headers(head: &RequestHead, problems: &mut Vec<Problem>) {
    let content_type =
        head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-sentry-envelope") {
        problems.push(Problem::ContentType);
    }
    if !head.headers.contains_key(USER_AGENT) {
        problems.push(Problem::MissingUserAgent);
    }
    let is_framed = head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
    if head.version < Version::HTTP_2 && !is_framed {
        problems.push(Problem::MissingLength);
    }
}

/// So many items that must not be together are named; after them nobody reads on. It also bounds the work, which is a
/// look at all items for each of them.
const COMBINATIONS: usize = 16;

/// EN-6, EN-7, IT-1.
fn items(envelope: &Envelope, bounds: &Bounds, problems: &mut Vec<Problem>) {
    if envelope.is_empty() {
        problems.push(Problem::NoItems);
    }
    let mut combined = Envelope::new();
    let refused = envelope.items().iter().enumerate().filter_map(|(item, entry)| {
        let kind = combined.push(entry.clone()).err()?.kind();
        Some(Problem::Combination { item, kind })
    });
    problems.extend(refused.take(COMBINATIONS));
    if let Err(error) = bounds.sizes.check(envelope) {
        problems.push(Problem::Size(error));
    }
}
