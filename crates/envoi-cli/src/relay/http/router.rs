//! From a path to who answers.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, StatusCode};
use http_body::Body;
use http_body_util::Full;
use serde_json::json;

use super::reply::{self, Reply};
use super::route::{Route, is_local, route};
use super::{Refusal, body, intake};
use crate::relay::state::Relay;
use crate::relay::status;

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers one request.
pub(super) async fn answer<B>(request: Request<B>, relay: Arc<Relay>) -> Reply
where
    B: Body<Data = Bytes> + Unpin,
{
    let is_head = request.method() == Method::HEAD;
    let mut reply = choose(request, &relay).await;
    relay.counters.answered(reply.status());
    if is_head {
        // The length stays that of the page.
        *reply.body_mut() = Full::default();
    }
    reply
}

async fn choose<B>(request: Request<B>, relay: &Arc<Relay>) -> Reply
where
    B: Body<Data = Bytes> + Unpin,
{
    let path = request.uri().path().to_owned();
    match (route(&path), request.method()) {
        (Route::Envelope { .. } | Route::Legacy, &Method::OPTIONS) => reply::preflight(),
        (Route::Envelope { project }, &Method::POST) => {
            reply::with_cors(intake::envelope(request, project, relay).await)
        }
        (Route::Envelope { .. }, _) => reply::with_cors(refuse(request, relay, Refusal::Method).await),
        (Route::Legacy, _) => reply::with_cors(refuse(request, relay, Refusal::Legacy).await),
        (Route::Nothing, _) => refuse(request, relay, Refusal::NotFound).await,
        (page, &Method::GET | &Method::HEAD) => {
            if is_hidden(&request, relay) {
                reply::refused(&Refusal::Host)
            } else {
                show(page, relay)
            }
        }
        (_, _) => refuse(request, relay, Refusal::Method).await,
    }
}

async fn refuse<B>(request: Request<B>, relay: &Relay, refusal: Refusal) -> Reply
where
    B: Body<Data = Bytes> + Unpin,
{
    relay.counters.refused(refusal.name());
    body::drain(&mut request.into_body()).await;
    reply::refused(&refusal)
}

/// A relay on loopback shows itself to who asks for loopback.
fn is_hidden<B>(request: &Request<B>, relay: &Relay) -> bool {
    let host = request.headers().get(HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    relay.address.ip().is_loopback() && host.is_some_and(|host| !is_local(&host))
}

fn show(page: Route<'_>, relay: &Relay) -> Reply {
    match page {
        Route::Page => reply::page("text/html; charset=utf-8", status::html(relay)),
        Route::Style => reply::page("text/css; charset=utf-8", status::STYLE),
        Route::Script => reply::page("text/javascript; charset=utf-8", status::SCRIPT),
        Route::StatusJson => reply::json(StatusCode::OK, &status::json(relay)),
        Route::Metrics => reply::text(StatusCode::OK, METRICS, status::metrics(relay)),
        Route::Live => reply::json(StatusCode::OK, &json!({ "status": "live" })),
        _ => ready(relay),
    }
}

fn ready(relay: &Relay) -> Reply {
    if relay.stopping.is_cancelled() {
        return reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "stopping" }));
    }
    reply::json(StatusCode::OK, &json!({ "status": "ready" }))
}
