use std::fmt::Write;

use http::HeaderValue;

use super::PROTOCOL_VERSION;

/// The name and version of a client as one token: what would end a value or cannot be in a header becomes `_`.
fn client_token(client: &str) -> String {
    let is_token =
        |character: char| character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:@()".contains(character);
    let token: String = client.trim().chars().map(|c| if is_token(c) { c } else { '_' }).collect();
    if token.is_empty() { "unknown".to_owned() } else { token }
}

/// The value of `X-Sentry-Auth` (AU-3). The keys are visible ASCII: they come from a [`Dsn`](crate::Dsn).
pub(crate) fn header(client: &str, key: &str, secret: Option<&str>) -> HeaderValue {
    let client = client_token(client);
    let mut value =
        format!("Sentry sentry_version={PROTOCOL_VERSION}, sentry_client={client}, sentry_key={key}");
    if let Some(secret) = secret {
        value.push_str(", sentry_secret=");
        value.push_str(secret);
    }
    let Ok(mut value) = HeaderValue::try_from(value) else {
        unreachable!("a client token and the keys of a DSN are visible ASCII")
    };
    value.set_sensitive(true);
    value
}

/// The same values as a query string (AU-4).
pub(crate) fn query(client: &str, key: &str, secret: Option<&str>) -> String {
    let mut query = format!("sentry_version={PROTOCOL_VERSION}");
    let mut add = |name: &str, value: &str| {
        let _ = write!(query, "&{name}=");
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                query.push(char::from(byte));
            } else {
                let _ = write!(query, "%{byte:02X}");
            }
        }
    };
    add("sentry_client", &client_token(client));
    add("sentry_key", key);
    if let Some(secret) = secret {
        add("sentry_secret", secret);
    }
    query
}

/// A value for `user-agent`: `{sdk}/{version} (comments)` (AU-5). What a header cannot hold becomes `_`, so that
/// there is always one. Put no personal data in.
///
/// ```
/// use envoi_envelope::user_agent;
/// assert_eq!(user_agent("my.sdk/1.2 (linux)"), "my.sdk/1.2 (linux)");
/// assert_eq!(user_agent("naïve\n/1"), "na_ve_/1");
/// ```
#[must_use]
pub fn user_agent(value: &str) -> HeaderValue {
    let visible = |c: char| if matches!(c, ' '..='~') { c } else { '_' };
    let value: String = value.trim().chars().map(visible).collect();
    HeaderValue::try_from(value).unwrap_or_else(|_| unreachable!("visible ASCII is a header value"))
}
