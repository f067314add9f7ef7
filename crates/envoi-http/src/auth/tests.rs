use std::convert::Infallible;

use envoi_core::{Fault, Kind, Segments};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

use super::{AuthLayer, Authorize, HeaderAuth, QueryAuth, bearer};

const X_SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");

/// What a request looks like below the layer.
async fn below(authorize: impl Authorize, uri: &str) -> Request<Segments> {
    let echo = service_fn(|request: Request<Segments>| async { Ok::<_, Infallible>(Response::new(request)) });
    let request = Request::post(uri).body(Segments::from("body")).unwrap();
    AuthLayer::new(authorize).layer(echo).oneshot(request).await.unwrap().into_body()
}

/// AU-3, AU-7: the header is set as it is, once, and marked sensitive.
#[tokio::test]
async fn the_header_is_placed_and_marked_sensitive() {
    let value = "Sentry sentry_version=7, sentry_client=envoi/0.1.0, sentry_key=public, sentry_secret=hush";
    let auth = HeaderAuth::text(X_SENTRY_AUTH, value).unwrap();
    let request = below(auth, "http://localhost/api/1/envelope/").await;
    let set: Vec<_> = request.headers().get_all(X_SENTRY_AUTH).iter().collect();
    assert_eq!(set, [value]);
    assert!(set[0].is_sensitive());
    assert!(!format!("{:?}", request.headers()).contains("hush"));
}

/// AU-8: a bearer token takes the place of whatever was there.
#[tokio::test]
async fn a_bearer_token_is_the_authorization() {
    let request = below(bearer("s3cret").unwrap(), "http://localhost/").await;
    assert_eq!(request.headers()[AUTHORIZATION], "Bearer s3cret");
    assert!(request.headers()[AUTHORIZATION].is_sensitive());
}

/// AU-4: the same values in the query, after what is there, encoded.
#[tokio::test]
async fn the_query_is_appended_and_encoded() {
    let auth = || QueryAuth::new([("sentry_client", "envoi/0.1 (é&=)"), ("sentry_key", "k")]);
    let encoded = "sentry_client=envoi%2F0.1%20%28%C3%A9%26%3D%29&sentry_key=k";
    for (uri, expected) in [
        ("http://h:1/api/1/envelope/", format!("http://h:1/api/1/envelope/?{encoded}")),
        ("http://h/p?a=b", format!("http://h/p?a=b&{encoded}")),
        ("http://h/p?", format!("http://h/p?{encoded}")),
        ("http://h", format!("http://h/?{encoded}")),
    ] {
        assert_eq!(below(auth(), uri).await.uri().to_string(), expected);
    }
    assert_eq!(below(QueryAuth::new([]), "http://h/p").await.uri(), "http://h/p");
}

/// AU-4, AU-7: a query string that is ready, such as that of a DSN with its secret, is taken as it is.
#[tokio::test]
async fn a_ready_query_is_appended_as_it_is() {
    let ready = "sentry_version=7&sentry_client=my_sdk%2F1&sentry_key=public&sentry_secret=hush";
    for query in [ready.to_owned(), format!("?{ready}")] {
        let auth = QueryAuth::encoded(&query).unwrap();
        assert!(!format!("{auth:?}").contains("hush"));
        let expected = format!("http://h/p?a=b&{ready}");
        assert_eq!(below(auth, "http://h/p?a=b").await.uri().to_string(), expected);
    }
    for (query, offset) in [("a=b c", 3), ("a=\u{e9}", 2), ("a=b#c", 3), ("a=\n", 2)] {
        let error = QueryAuth::encoded(query).unwrap_err().to_string();
        assert!(error.contains(&format!("offset {offset}")) && !error.contains(query), "{error}");
    }
}

/// AU-7: no `Debug` of these types shows a secret.
#[test]
fn debug_shows_no_secret() {
    let header = bearer("hush").unwrap();
    let query = QueryAuth::new([("sentry_secret", "hush")]);
    for text in [
        format!("{header:?}"),
        format!("{query:?}"),
        format!("{:?}", AuthLayer::new(header)),
        format!("{:?}", AuthLayer::new(query).layer(())),
        format!("{:?}", bearer("hush\n").unwrap_err()),
        bearer("hush\n").unwrap_err().to_string(),
    ] {
        assert!(!text.contains("hush"), "{text}");
    }
}

/// AU-8: a token that a header cannot carry is an error that says where, not what.
#[test]
fn bad_tokens_are_typed_errors() {
    let text = bearer("abc\n").unwrap_err().to_string();
    assert_eq!(
        text,
        "the credential for the authorization header holds a control character at offset 3, remove it"
    );
    assert!(bearer("").unwrap_err().to_string().contains("is empty"));
    assert!(HeaderAuth::text(X_SENTRY_AUTH, "a\u{7f}b").unwrap_err().to_string().contains("offset 1"));
}

#[derive(Clone)]
struct NoToken;

impl Authorize for NoToken {
    fn authorize(&self, _: &mut Parts) -> Result<(), Fault> {
        Err(Fault::new(Kind::Io).with_message("no token yet"))
    }
}

/// AU-8: without credentials nothing is sent, and the fault goes up as it is.
#[tokio::test]
async fn a_refusal_to_authorize_sends_nothing() {
    let never = service_fn(|_: Request<Segments>| async {
        unreachable!("not sent");
        #[expect(unreachable_code)]
        Ok::<Response<()>, Infallible>(Response::new(()))
    });
    let request = Request::new(Segments::default());
    let error = AuthLayer::new(NoToken).layer(never).oneshot(request).await.unwrap_err();
    let fault = Fault::from_error(error);
    assert_eq!(fault.kind(), Kind::Io);
    assert!(fault.to_string().contains("no token yet"));
}

proptest! {
    /// AU-4, AU-8: no text makes the parts panic; what is accepted arrives as it is.
    #[test]
    fn any_text_is_a_credential_or_a_typed_error(text in "\\PC{0,64}|[\\x00-\\x7f]{0,16}") {
        match HeaderAuth::text(X_SENTRY_AUTH, &text) {
            Ok(auth) => {
                let (mut parts, ()) = Request::new(()).into_parts();
                auth.authorize(&mut parts).unwrap();
                prop_assert_eq!(&parts.headers[X_SENTRY_AUTH], &HeaderValue::from_str(&text).unwrap());
            }
            Err(error) => prop_assert!(error.to_string().contains("offset")),
        }
        let (mut parts, ()) = Request::get("http://h/").body(()).unwrap().into_parts();
        QueryAuth::new([("k", text.as_str())]).authorize(&mut parts).unwrap();
        let query = parts.uri.query().unwrap();
        prop_assert!(query.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%=".contains(&byte)));
    }
}
