use envoi_envelope::{AuthHeader, Envelope};

use super::{Problem, RequestHead};

/// The key that a request was made with: from the header, the query string or the envelope, which must agree.
pub(super) fn key(
    head: &RequestHead,
    project: Option<&str>,
    envelope: Option<&Envelope>,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let mut found = Vec::new();
    if let Some(value) = head.headers.get("x-sentry-auth") {
        let text = String::from_utf8_lossy(value.as_bytes());
        note_timestamp(&text, problems);
        found.push(AuthHeader::parse(&text).map(|auth| auth.key().to_owned()));
    }
    if let Some(query) = head.uri.query().filter(|query| query.contains("sentry_key=")) {
        note_timestamp(query, problems);
        found.push(AuthHeader::from_query(query).map(|auth| auth.key().to_owned()));
    }
    if let Some(dsn) = envelope.and_then(Envelope::dsn) {
        if project.is_some_and(|project| project != dsn.project_id()) {
            problems.push(Problem::ConflictingAuth);
        }
        found.push(Ok(dsn.public_key().to_owned()));
    }
    let mut key: Option<String> = None;
    let mut is_bad = false;
    for result in found {
        match (result, &key) {
            (Ok(other), Some(first)) if other != *first => problems.push(Problem::ConflictingAuth),
            (Ok(other), _) => key = Some(other),
            (Err(error), _) => {
                is_bad = true;
                problems.push(Problem::Auth(error));
            }
        }
    }
    if key.is_none() && !is_bad {
        problems.push(Problem::MissingAuth);
    }
    key
}

fn note_timestamp(credentials: &str, problems: &mut Vec<Problem>) {
    if credentials.contains("sentry_timestamp") {
        problems.push(Problem::AuthTimestamp);
    }
}
