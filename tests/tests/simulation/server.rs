//! The simulated server: an exchange that reads what was really written, and keeps books of its own.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use envoi_core::{BoxError, Clock, Segments};
use envoi_envelope::{Envelope, ItemType};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use serde_json::Value;

use crate::freight::{Counts, Kind, Losses, add, number_of};
use crate::weather::{BodyKind, Delay, Said, Turn};
use crate::world::World;

/// What a panic of the simulation says. It is thrown without the hook, which would print it.
pub(crate) fn throw(what: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(what))
}

pub(crate) struct SimBody {
    piece: Option<Bytes>,
    kind: BodyKind,
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

/// The default pause between parcels of an earlier run.
const PACE: Duration = Duration::from_millis(100);

/// What one request brought.
#[derive(Default)]
struct Load {
    numbers: Vec<usize>,
    counts: Counts,
    reported: Losses,
    /// Whose items they are, and whether they come for the first time.
    envelope: Option<(usize, bool)>,
}

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response<SimBody>, BoxError>> + Send>>;

/// One exchange.
pub(crate) fn exchange(world: &Arc<World>, request: Request<Segments>) -> Answer {
    let load = read(world, request);
    let (delay, turn) = {
        let mut server = world.server();
        server.requests += 1;
        let (weather, manners) = (server.weather, server.manners);
        weather.answer(manners, &mut server.rng)
    };
    world.note(|| format!("request of {:?}: {delay:?}, {turn:?}", load.numbers));
    if turn == Turn::PanicInCall {
        throw("the exchange panics in call");
    }
    let world = Arc::clone(world);
    Box::pin(async move {
        match delay {
            Delay::None => {}
            Delay::Some(delay) => tokio::time::sleep(delay).await,
            Delay::Never => std::future::pending().await,
        }
        match turn {
            Turn::Error(kind) => Err(io::Error::from(kind).into()),
            Turn::LostReply(kind) => {
                world.answered(&load, 200, &Said::default());
                Err(io::Error::from(kind).into())
            }
            Turn::PanicInCall | Turn::PanicLater => throw("the exchange panics"),
            Turn::Reply { status, said, body } => {
                world.answered(&load, status, &said);
                let piece = (body != BodyKind::Empty).then(|| Bytes::from_static(b"{\"detail\":\"no\"}"));
                let mut response = Response::new(SimBody { piece, kind: body });
                *response.status_mut() = StatusCode::from_u16(status)?;
                *response.headers_mut() = said.headers();
                Ok(response)
            }
        }
    })
}

/// Reads a request, and checks what may be in it.
fn read(world: &World, request: Request<Segments>) -> Load {
    let mut load = Load::default();
    let body = request.into_body().to_bytes();
    let envelope = match Envelope::parse(body) {
        Ok(envelope) => envelope,
        Err(error) => {
            world.fault(|| format!("the server cannot read an envelope: {error}"));
            return load;
        }
    };
    world.check(!envelope.is_empty(), || "a request without items (EN-6)".to_owned());
    world.check(envelope.sent_at().is_some(), || "a request without sent_at (EN-5)".to_owned());
    let now = world.clock.now();
    if is_limited(world, None, now) {
        world.fault(|| "a request under a limit on everything (RL-8, decision 11)".to_owned());
    }
    for item in envelope.items() {
        if *item.item_type() == ItemType::ClientReport {
            read_report(item.payload(), &mut load.reported);
        }
        let Some(number) = number_of(item) else {
            let is_report = *item.item_type() == ItemType::ClientReport;
            world.check(is_report, || format!("an invented item: {item:?}"));
            continue;
        };
        let mut catalogue = world.catalogue();
        let Some(known) = catalogue.get(number) else {
            world.fault(|| format!("an invented item: {item:?}"));
            continue;
        };
        let (is_first, envelope) = (!known.arrived, known.envelope);
        known.arrived = true;
        world.check(!known.accepted || world.server().manners.loses_replies, || {
            format!("item {number} is delivered a second time")
        });
        world.check(!known.is_held(|category| is_limited(world, Some(category), now)), || {
            format!("item {number} ({:?}) leaves under a limit (RL-8)", known.kind)
        });
        if known.kind != Kind::Report {
            for (category, quantity) in &known.counts {
                add(&mut load.counts, category.clone(), *quantity);
            }
        }
        load.numbers.push(number);
        load.envelope = Some((envelope, is_first));
    }
    if let Some((envelope, is_first)) = load.envelope {
        check_order(world, envelope, is_first);
    }
    load
}

/// Within a lane the oldest goes first, as long as no limit holds anything back; those of an earlier run keep their
/// distance.
fn check_order(world: &World, envelope: usize, is_first: bool) {
    let lane = world.catalogue().lane(envelope).unwrap_or_default();
    let now = world.clock.now();
    let mut server = world.server();
    let newest = server.newest[lane.index()];
    let (in_order, paced) = (server.manners.keeps_order && !server.limited, server.manners.keeps_distance);
    if is_first {
        server.newest[lane.index()] = newest.max(Some(envelope));
    }
    let before = (envelope < server.replayed).then(|| server.replayed_at.replace(now)).flatten();
    drop(server);
    world.check(!(in_order && is_first) || newest < Some(envelope), || {
        format!("envelope {envelope} comes after {newest:?} of the same lane (decision 18)")
    });
    let distance = before.map(|before| now - before);
    world.check(!paced || distance.is_none_or(|distance| distance >= PACE), || {
        format!("envelope {envelope} of an earlier run comes {distance:?} after another (OC-7)")
    });
}

fn is_limited(world: &World, category: Option<&envoi_envelope::DataCategory>, now: Instant) -> bool {
    let server = world.server();
    server.manners.is_heard_at_once && server.limits.get(&category.cloned()).is_some_and(|end| now < *end)
}

/// Reads a report without the code of the library.
fn read_report(payload: &[u8], into: &mut Losses) {
    let report: Value = serde_json::from_slice(payload).unwrap_or_default();
    for row in report["discarded_events"].as_array().into_iter().flatten() {
        if let (Some(reason), Some(category), Some(quantity)) =
            (row["reason"].as_str(), row["category"].as_str(), row["quantity"].as_u64())
        {
            add(into, (reason.to_owned(), category.into()), quantity);
        }
    }
}

impl World {
    /// The server decides: from here on it has the items, or has refused them.
    fn answered(&self, load: &Load, status: u16, said: &Said) {
        let now = self.clock.now();
        let mut server = self.server();
        let success = (200..300).contains(&status);
        let books = if success { &mut server.received } else { server.refused.entry(status).or_default() };
        for (category, quantity) in &load.counts {
            add(books, category.clone(), *quantity);
        }
        if success || status == 429 {
            for (key, quantity) in &load.reported {
                add(&mut server.reported, key.clone(), *quantity);
            }
        }
        for (category, duration) in said.limits(status) {
            let end = server.limits.entry(category).or_insert(now);
            *end = (*end).max(now + duration);
            server.limited = true;
        }
        drop(server);
        if success {
            let mut catalogue = self.catalogue();
            for number in &load.numbers {
                if let Some(known) = catalogue.get(*number) {
                    known.accepted = true;
                }
            }
        }
    }
}
