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

/// Beyond this size a body is decoded and read off the threads of the runtime.
const LARGE: usize = 64 * 1024;
/// So is a smaller one beyond this size when it is decoded.
const LARGE_DECODED: usize = 256 * 1024;

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
    let (mut envelope, length, mut share) = read(encoding, wire, share, relay, settings.limits.body).await?;

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
    share.shrink_to(destination.room_for(length));
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
    mut share: Share,
    relay: &Relay,
    limit: usize,
) -> Result<(Envelope, usize, Share), Refusal> {
    if wire.len() <= LARGE {
        // A few kilobytes may become all that is allowed: what grows beyond this is begun again elsewhere.
        match encoding.decode(wire.clone(), limit.min(LARGE_DECODED), &mut share) {
            Err(Refusal::TooLarge { .. }) if limit > LARGE_DECODED => {}
            plain => return parse(plain?, share),
        }
    }
    let Ok(_decoder) = relay.decoders.acquire().await else { unreachable!("the semaphore is never closed") };
    let reading = tokio::task::spawn_blocking(move || {
        let plain = encoding.decode(wire, limit, &mut share)?;
        parse(plain, share)
    });
    match reading.await {
        Ok(parsed) => parsed,
        // It panicked, or the runtime is going down.
        Err(error) => Err(Refusal::Decode(error.to_string())),
    }
}

/// Lenient (decision 24): what an SDK sends is forwarded, unknown types and attributes included (EN-4).
fn parse(plain: Bytes, share: Share) -> Result<(Envelope, usize, Share), Refusal> {
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::relay::config::Given;
    use crate::relay::destinations::Destinations;

    fn gzip(length: usize) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(b"{}\n{\"type\":\"x\"}\n").unwrap();
        encoder.write_all(&vec![b'x'; length]).unwrap();
        encoder.finish().unwrap().into()
    }

    /// CO-1: what is small and stays small is read at once; what is small and grows does not hold up the threads that
    /// everybody else is served by, but waits for its turn elsewhere.
    #[tokio::test(start_paused = true)]
    async fn a_bomb_goes_where_it_holds_nobody_up() {
        let upstream = Some("http://127.0.0.1:9".parse().unwrap());
        let settings = Settings::load(&Given { upstream, ..Given::default() }).unwrap();
        let limit = settings.limits.body;
        let destinations = Destinations::new(None, tokio::runtime::Handle::current()).unwrap();
        let relay = Relay::new(settings, "127.0.0.1:1".parse().unwrap(), destinations);
        let all = u32::try_from(relay.decoders.available_permits()).unwrap();
        let others = relay.decoders.acquire_many(all).await.unwrap();
        let share = || relay.memory.share();
        let small = read(Encoding::Gzip, gzip(1000), share(), &relay, limit).await.unwrap();
        assert!(small.1 > 1000);
        let bomb = gzip(20 << 20);
        assert!(bomb.len() < LARGE);
        let mut reading = std::pin::pin!(read(Encoding::Gzip, bomb, share(), &relay, limit));
        assert!(timeout(Duration::from_secs(60), reading.as_mut()).await.is_err(), "it was read right here");
        drop(others);
        assert!(reading.await.unwrap().1 > 20 << 20);
        assert!(matches!(
            read(Encoding::Gzip, gzip(2000), share(), &relay, 1000).await,
            Err(Refusal::TooLarge { limit: 1000 })
        ));
    }
}
