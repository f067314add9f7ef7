//! From a request to a place in a queue.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use envoi::core::{Fate, Fault, Kind, Parcel};
use envoi::{Dsn, Envelope};
use http::Request;
use http::header::EXPECT;
use http_body::Body;

use super::decode::Encoding;
use super::reply::{self, Reply};
use super::{Refusal, body, credentials};
use crate::relay::config::{Ack, Settings, Upstream};
use crate::relay::destinations::{Destination, NoPlace};
use crate::relay::memory::{OVERHEAD, Share};
use crate::relay::state::{Counters, Relay};

/// From this size on a body is decoded and read off the threads of the runtime.
const LARGE: usize = 64 * 1024;

/// Takes an envelope on, or says why not. Adds the limits in force once it is known for which destination.
pub(super) async fn envelope<B>(request: Request<B>, project: &str, relay: &Arc<Relay>) -> Reply
where
    B: Body<Data = Bytes> + Unpin,
{
    let settings = relay.settings();
    let (parts, mut body) = request.into_parts();
    // A client that asks before it sends the body has not sent any.
    let asks_first = parts.headers.contains_key(EXPECT);
    let mut destination = None;
    let taken = take(&parts, &mut body, project, relay, &settings, &mut destination).await;
    let mut answer = match taken {
        Ok(id) => reply::accepted(id),
        Err(refusal) => {
            if refusal.leaves_body() && !asks_first {
                body::drain(&mut body).await;
            }
            relay.counters.refused(refusal.name());
            reply::refused(&refusal)
        }
    };
    if let Some(destination) = destination {
        reply::add_limits(&mut answer, &destination.limits());
    }
    answer
}

async fn take<B>(
    head: &http::request::Parts,
    body: &mut B,
    project: &str,
    relay: &Arc<Relay>,
    settings: &Arc<Settings>,
    destination: &mut Option<Arc<Destination>>,
) -> Result<Option<envoi::envelope::EventId>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    if relay.stopping.is_cancelled() {
        return Err(Refusal::Stopping);
    }
    let of_request = credentials::of_request(&head.headers, &head.uri)?;
    if let Some(key) = &of_request {
        check_key(key, settings)?;
    }
    let encoding = Encoding::of(&head.headers)?;
    let mut share = relay.memory.share();
    share.grow_to(OVERHEAD).map_err(|_| Refusal::Memory)?;
    let wire = body::read(body, settings.limits.body, settings.timeouts.body, &mut share).await?;
    let (mut envelope, length, mut share) = read(encoding, wire, share, relay, settings).await?;
    share.shrink_to(length + OVERHEAD);

    let named = envelope.dsn();
    let key = credentials::key(of_request, named.as_ref())?;
    check_key(&key, settings)?;
    let dsn = settings.upstream.route(&key, project, named.as_ref()).map_err(Refusal::Route)?;
    let id = envelope.event_id();
    if envelope.is_empty() {
        // EN-6: there is nothing to forward.
        return Ok(id);
    }
    readdress(&mut envelope, named.is_some(), &dsn, &settings.upstream);

    let place = relay.destinations.get(&dsn, settings).await.map_err(|no_place| match no_place {
        NoPlace::TooMany(limit) => Refusal::Destinations { limit },
        NoPlace::Closed => Refusal::Stopping,
        other => Refusal::Store(other.to_string()),
    })?;
    let destination = destination.insert(place);
    let mut parcel = Parcel::new(envelope.into_forwarded());
    // Given back when the envelope leaves memory, by whatever way.
    parcel.meta_mut().extensions.insert(Arc::new(share));
    let fate = post(destination, parcel, settings.ack, &relay.counters.not_durable).await?;
    if fate == Fate::Spent {
        return Err(Refusal::Limited);
    }
    Counters::add(&relay.counters.accepted, 1);
    Counters::add(&relay.counters.accepted_bytes, length as u64);
    Ok(id)
}

fn check_key(key: &str, settings: &Settings) -> Result<(), Refusal> {
    match &settings.allowed_keys {
        Some(allowed) if !allowed.contains(key) => Err(Refusal::KeyNotAllowed),
        _ => Ok(()),
    }
}

/// The envelope in a body, its length, and the share that it keeps.
async fn read(
    encoding: Encoding,
    wire: Bytes,
    share: Share,
    relay: &Arc<Relay>,
    settings: &Arc<Settings>,
) -> Result<(Envelope, usize, Share), Refusal> {
    let limit = settings.limits.body;
    if wire.len() < LARGE {
        return parse(encoding, wire, limit, share);
    }
    let Ok(_decoder) = relay.decoders.acquire().await else { unreachable!("the semaphore is never closed") };
    match tokio::task::spawn_blocking(move || parse(encoding, wire, limit, share)).await {
        Ok(parsed) => parsed,
        // It panicked, or the runtime is going down.
        Err(error) => Err(Refusal::Decode(error.to_string())),
    }
}

/// Lenient (decision 24): what an SDK sends is forwarded, unknown types and attributes included (EN-4).
fn parse(
    encoding: Encoding,
    wire: Bytes,
    limit: usize,
    mut share: Share,
) -> Result<(Envelope, usize, Share), Refusal> {
    let plain = encoding.decode(wire, limit, &mut share)?;
    let length = plain.len();
    let parsed = Envelope::parse_lenient(plain).map_err(Refusal::Parse)?;
    Ok((parsed.envelope, length, share))
}

/// An envelope that says to which DSN it goes says the DSN of the relay. The upstream would find that it is not its own.
/// Nothing else of it is changed but `sent_at`, which is written when it is sent: a server takes the time on the way
/// for a clock that is wrong otherwise.
fn readdress(envelope: &mut Envelope, has_dsn: bool, dsn: &Dsn, upstream: &Upstream) {
    if has_dsn && !matches!(upstream, Upstream::PassThrough(_)) {
        // A header without room for it keeps the old one: better an address that is wrong than no envelope.
        let _ = envelope.set_dsn(dsn);
    }
}

async fn post(
    destination: &Destination,
    parcel: Parcel<Envelope>,
    ack: Ack,
    not_durable: &AtomicU64,
) -> Result<Fate, Refusal> {
    let posted = match ack {
        Ack::Queue => destination.transport.send(parcel),
        Ack::Durable => destination.transport.send_durable(parcel).await,
    };
    let refuse = |fault: Fault| match fault.kind() {
        Kind::Closed => Refusal::Stopping,
        _ => Refusal::Full(fault),
    };
    let fate = posted.map_err(refuse)?;
    if ack == Ack::Durable && fate == Fate::Queued {
        // It is taken on all the same, so the answer cannot be a refusal: the client would report it as lost.
        Counters::add(not_durable, 1);
    }
    Ok(fate)
}
