use envoi_core::{Explanation, Reply};
use serde_json::Value;

/// Where the words of a server are cut, in characters.
const WORDS: usize = 1024;
/// How many causes are kept.
const CAUSES: usize = 16;
/// Where an id is cut off as nonsense.
const ID: usize = 128;

/// What the server said about a refusal (TR-7): the header `X-Sentry-Error`, and `detail` and `causes` of a JSON body.
///
/// Everything is bounded (1024 characters each, 16 causes) and on one line. Garbage explains nothing.
#[must_use]
pub fn explain(reply: &Reply) -> Explanation {
    let header = reply.headers.get("x-sentry-error");
    let error = header.and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).and_then(one_line);
    let mut explanation = Explanation { error, ..Explanation::default() };
    if let Some(Value::Object(mut body)) = json(reply) {
        explanation.detail = body.remove("detail").and_then(words);
        if let Some(Value::Array(causes)) = body.remove("causes") {
            explanation.causes = causes.into_iter().filter_map(words).take(CAUSES).collect();
        }
    }
    explanation
}

/// The `id` that the server gave to what it accepted (TR-6), if the reply is JSON and says so.
///
/// ```
/// use envoi_core::Reply;
/// let reply = Reply::new(http::StatusCode::OK).with_body(r#"{"id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#);
/// assert_eq!(envoi_http::accepted_id(&reply).as_deref(), Some("9ec79c33ec9942ab8353589fcb2e04dc"));
/// ```
#[must_use]
pub fn accepted_id(reply: &Reply) -> Option<String> {
    match json(reply)?.get_mut("id")?.take() {
        Value::String(id) if !id.is_empty() && id.len() <= ID => Some(id),
        _ => None,
    }
}

fn json(reply: &Reply) -> Option<Value> {
    // An HTML error page is the usual body of a proxy; do not even try.
    let first = reply.body.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if *first == b'{' { serde_json::from_slice(&reply.body).ok() } else { None }
}

fn words(value: Value) -> Option<String> {
    match value {
        Value::String(text) => one_line(&text),
        _ => None,
    }
}

/// At most [`WORDS`] characters, and none that could break a log line.
fn one_line(text: &str) -> Option<String> {
    let mut line: String = text
        .trim()
        .chars()
        .take(WORDS + 1)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if let Some((end, _)) = line.char_indices().nth(WORDS) {
        line.truncate(end);
        line.push('…');
    }
    (!line.is_empty()).then_some(line)
}
