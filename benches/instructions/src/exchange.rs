//! The exchange level: layers over an exchange that does nothing.

use std::time::Duration;

use envoi_core::{Codec, Exchange, Segments};
use envoi_http::CompressLayer;
use http::Request;
use tower::Layer;
use tower::timeout::TimeoutLayer;

use crate::delivery::{auth, codec, headers};
use crate::parts::{NoExchange, ask, envelope};
use crate::{Step, repeat};

pub(crate) const STEPS: &[Step] = &[
    ("exchange", |times| exchange(times, NoExchange)),
    ("timeout", |times| exchange(times, TimeoutLayer::new(Duration::from_secs(10)).layer(NoExchange))),
    ("auth", |times| exchange(times, auth().layer(NoExchange))),
    ("extra-headers", |times| exchange(times, headers().layer(NoExchange))),
    ("compress-identity", |times| exchange(times, CompressLayer::identity().layer(NoExchange))),
];

fn exchange(times: u64, mut service: impl Exchange) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let (parts, body) = codec().encode(&envelope()).unwrap().into_parts();
    let request = || -> Request<Segments> { Request::from_parts(parts.clone(), body.clone()) };
    assert!(ask(&mut service, request()).is_some(), "the stack has to answer at once");
    repeat(times, || ask(&mut service, request()));
}
