//! The simulated server: an exchange that reads what was really written, and keeps books of its own.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use envoi_core::{BoxError, Clock, Fault, Kind, Segments};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use tower::Service;

use crate::weather::{Asks, BodyKind, Delay, Turn};
use crate::world::World;

/// The resolution of tokio's timers.
const TICK: Duration = Duration::from_millis(2);

/// What a panic of the simulation says. It is thrown without the hook, which would print it.
pub(crate) fn throw(what: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(what))
}

/// The exchange that stands where the network would be.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) world: Arc<World>,
    /// Sends every request twice, which is a mistake.
    pub(crate) twice: bool,
}

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response<SimBody>, BoxError>> + Send>>;

impl Service<Request<Segments>> for Network {
    type Response = Response<SimBody>;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Segments>) -> Answer {
        let body = request.into_body().to_bytes();
        if !self.twice {
            return exchange(&self.world, &body);
        }
        let (world, first) = (Arc::clone(&self.world), exchange(&self.world, &body));
        Box::pin(async move {
            let _ = first.await;
            exchange(&world, &body).await
        })
    }
}

fn exchange(world: &Arc<World>, body: &Bytes) -> Answer {
    let Ok(events) = serde_json::from_slice::<Vec<u64>>(body) else {
        world.fault(|| format!("the server cannot read {body:?}"));
        return Box::pin(async { Err("unreadable".into()) });
    };
    let flight = Flight::begin(world, &events);
    let (delay, turn) = {
        let mut state = world.state();
        let weather = state.weather;
        weather.answer(world.manners(), world.clock.wall(), &mut state.rng)
    };
    world.note(|| format!("request of {events:?}: {delay:?}, {turn:?}"));
    if matches!(turn, Turn::PanicInCall) {
        world.dies(events.len());
        throw("the exchange panics in call");
    }
    Box::pin(async move {
        match delay {
            Delay::None => {}
            Delay::Some(delay) => tokio::time::sleep(delay).await,
            Delay::Never => std::future::pending().await,
        }
        match turn {
            Turn::Error(kind) => {
                flight.fails();
                Err(io::Error::from(kind).into())
            }
            Turn::ProxyRefuses => {
                flight.fails();
                Err(Fault::new(Kind::Proxy).with_message("407 from the proxy").into())
            }
            Turn::LostReply(kind) => {
                flight.with(|batch| batch.is_accepted = true);
                flight.fails();
                Err(io::Error::from(kind).into())
            }
            Turn::PanicInCall | Turn::PanicLater => {
                flight.world.dies(events.len());
                throw("the exchange panics")
            }
            Turn::Reply { status, headers, asks, body } => {
                flight.is_answered(status, asks);
                let piece = (body != BodyKind::Empty).then(|| Bytes::from_static(b"{\"detail\":\"no\"}"));
                let mut response = Response::new(SimBody { piece, kind: body, flight });
                *response.status_mut() = StatusCode::from_u16(status)?;
                *response.headers_mut() = headers;
                Ok(response)
            }
        }
    })
}

/// A request on its way. Dropped without an end, it was interrupted, or it has taken too long.
struct Flight {
    world: Arc<World>,
    batch: u64,
    start: Instant,
    has_ended: std::cell::Cell<bool>,
}

impl Flight {
    /// A request arrives: everything that may be wrong with that.
    fn begin(world: &Arc<World>, events: &[u64]) -> Self {
        let (now, setup) = (world.now(), &world.setup);
        let key = events.first().copied().unwrap_or(u64::MAX);
        let mut state = world.state();
        let mut wrong = Vec::new();
        state.requests += 1;
        wrong.extend(state.model.objects_to(key));
        let in_order = events.windows(2).all(|pair| pair[0] < pair[1]);
        if !in_order || events.is_empty() || events.iter().any(|event| *event >= state.next) {
            wrong.push(format!("invented, empty or out of order: {events:?}"));
        }
        if state.latched {
            wrong.push("a request after the key was refused (BD-5)".to_owned());
        }
        let exact = !setup.may_repeat();
        let batch = state.batches.entry(key).or_default();
        if batch.events.is_empty() {
            batch.events = events.to_vec();
        }
        if batch.events != events {
            wrong.push(format!("{:?} comes again as {events:?}", batch.events));
        }
        if batch.is_underway {
            wrong.push("a second request beside the first".to_owned());
        }
        if exact && batch.is_accepted {
            wrong.push("it was delivered before".to_owned());
        }
        if exact && batch.is_final {
            wrong.push("it was refused for good before (BD-2)".to_owned());
        }
        if batch.attempts >= setup.attempts {
            wrong.push(format!("an attempt after {} of {} (BD-1)", batch.attempts, setup.attempts));
        }
        let is_retry = batch.attempts > 0;
        if let Some((failed, asks)) = batch.failed.take() {
            let (least, most) = setup.wait(batch.attempts, asks);
            let waited = now - failed;
            if waited < least || waited > most + TICK {
                wrong.push(format!("waited {waited:?} instead of {least:?} to {most:?} (BD-1, BD-3)"));
            }
        }
        batch.is_underway = true;
        batch.attempts += 1;
        state.retries += u64::from(is_retry);
        drop(state);
        for words in wrong {
            world.fault(|| format!("batch {key}: {words}"));
        }
        Self { world: Arc::clone(world), batch: key, start: now, has_ended: std::cell::Cell::new(false) }
    }

    fn with(&self, change: impl FnOnce(&mut crate::world::Batch)) {
        if let Some(batch) = self.world.state().batches.get_mut(&self.batch) {
            change(batch);
        }
    }

    fn fails(&self) {
        let now = self.world.now();
        self.has_ended.set(true);
        self.with(|batch| (batch.is_underway, batch.failed) = (false, Some((now, None))));
    }

    /// The head of a reply is out. From here on the client knows the status.
    fn is_answered(&self, status: u16, asks: Option<Asks>) {
        let asks = asks.map(|asks| asks.wait(self.world.clock.wall()));
        let now = self.world.now();
        self.has_ended.set(true);
        let fails = matches!(status, 408 | 429 | 500..=599);
        self.with(|batch| {
            batch.is_underway = false;
            batch.is_accepted |= (200..300).contains(&status);
            batch.is_final |= !fails;
            batch.failed = fails.then_some((now, asks));
        });
        if matches!(status, 401 | 403) {
            self.world.state().latched = true;
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.has_ended.get() {
            return;
        }
        let now = self.world.now();
        // BD-6: an attempt that takes too long is one.
        let is_late = now - self.start >= self.world.setup.attempt_timeout;
        self.world
            .note(|| format!("   {} {}", self.batch, if is_late { "is late" } else { "is interrupted" }));
        self.with(|batch| {
            batch.is_underway = false;
            batch.failed = is_late.then_some((now, None));
            batch.attempts -= u32::from(!is_late);
        });
    }
}

pub(crate) struct SimBody {
    piece: Option<Bytes>,
    kind: BodyKind,
    flight: Flight,
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(piece) = self.piece.take() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.kind {
            BodyKind::Empty | BodyKind::Short => Poll::Ready(None),
            BodyKind::Broken => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            BodyKind::Stalled => Poll::Pending,
        }
    }
}

/// The attempt is over when nobody reads its body any more.
impl Drop for SimBody {
    fn drop(&mut self) {
        let now = self.flight.world.now();
        self.flight.with(|batch| {
            if let Some((at, _)) = &mut batch.failed {
                *at = now;
            }
        });
    }
}

impl World {
    /// A delivery of so many events ends in a panic. In a stack that may find on disk again what it drops, a witness cannot
    /// tell that from a drop.
    pub(crate) fn dies(&self, events: usize) {
        if self.setup.durable {
            self.state().due.push(("other", events as u64));
        }
    }
}
