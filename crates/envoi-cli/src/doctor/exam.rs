//! The exchange that shows whether the way is open, and what is heard of it.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use envoi::core::{BoxError, Clock, Failure, Fault, Parcel, Receipt, SystemClock};
use envoi::envelope::reports::{ClientReport, ReportTime};
use envoi::envelope::{EnvelopeCodec, user_agent};
use envoi::http::{AuthLayer, EncodeLayer, HeaderAuth, Policy};
use envoi::way::{Event, Timeouts};
use envoi::{Dsn, Envelope, ExtraHeadersLayer, Item, Way, WayError};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, Version};
use tokio::sync::mpsc;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::trace::TraceLayer;

use super::certificate;
use super::remedy::{self, Scene};
use super::reply;
use super::sheet::{Part, Sheet, Step, Verdict};
use crate::error::chain;
use crate::transport::CLIENT;
use crate::way::describe;

/// What the observer heard.
enum Heard {
    /// A part that went well, or was gone through again.
    Step(Box<Step>),
    /// The head of an answer; the verdict on it needs the rest.
    Replied(Version, Duration),
    /// Something failed; the fault knows more.
    Failed(Duration),
}

/// Sends a report without losses, and enters into the sheet what comes of it.
///
/// # Errors
/// If there is no client: the settings of TLS are of no use.
pub(crate) async fn examine(
    dsn: &Dsn,
    way: Way,
    scene: &Scene,
    limit: Duration,
    sheet: &mut Sheet<'_>,
) -> Result<(), WayError> {
    let (teller, mut told) = mpsc::unbounded_channel();
    let host = scene.host.clone();
    let way = way.timeouts(timeouts(limit)).observer(Arc::new(move |event: &Event<'_>| {
        // Nobody listens any more after the end.
        let _ = teller.send(hear(event, &host));
    }));
    let client = way.client(dsn.envelope_url())?;
    let call = deliver(dsn, client, limit);
    let mut call = std::pin::pin!(call);
    let (mut head, mut lost) = (None, None);
    let mut enter = |heard: Heard, sheet: &mut Sheet<'_>| match heard {
        Heard::Step(step) => sheet.add(*step),
        Heard::Replied(version, took) => head = Some((version, took)),
        Heard::Failed(took) => lost = Some(took),
    };
    let answer = loop {
        tokio::select! {
            biased;
            Some(heard) = told.recv() => enter(heard, sheet),
            answer = &mut call => break answer,
        }
    };
    while let Ok(heard) = told.try_recv() {
        enter(heard, sheet);
    }
    let wall = SystemClock.wall();
    let reply = match &answer {
        Ok(receipt) => receipt.reply(),
        Err(failure) => failure.fault().reply(),
    };
    match (reply, &answer) {
        (Some(reply), _) => {
            let (version, took) = head.unzip();
            let step = reply::judge(reply, version, took, wall);
            // The library knows some pages of web servers.
            let known = answer.as_ref().err().and_then(|failure| failure.fault().message());
            sheet.add(match known {
                Some(words) => step.note(words),
                None => step,
            });
            sheet.add(reply::clock(reply, wall));
        }
        (None, Err(failure)) => sheet.add(broken(failure.fault(), scene, lost)),
        // The bridge gives a receipt for a reply only.
        (None, Ok(_)) => sheet.add(Step::new(Part::Reply, Verdict::Warning, "delivered without an answer")),
    }
    Ok(())
}

/// Every part has the same time, and the whole as much as its parts.
const fn timeouts(limit: Duration) -> Timeouts {
    Timeouts::new()
        .resolve(limit)
        .connect(limit)
        .proxy(limit)
        .tls(limit)
        .write(Some(limit))
        .first_byte(Some(limit))
        .attempt(None)
}

/// One exchange as the preset makes them, but for the queue, the limits and the compression, which are not the way.
async fn deliver(dsn: &Dsn, client: envoi::way::Core, limit: Duration) -> Result<Receipt, Failure<Envelope>> {
    let report = report(SystemClock.wall()).map_err(Failure::without_parcel)?;
    let auth = HeaderAuth::new(HeaderName::from_static("x-sentry-auth"), dsn.auth_header(CLIENT));
    let headers = HeaderMap::from_iter([(USER_AGENT, user_agent(CLIENT))]);
    let stack = ServiceBuilder::new()
        .layer(EncodeLayer::new(EnvelopeCodec::new(dsn)).policy(Policy::sentry()).body_timeout(limit))
        .layer(TraceLayer::new_for_http())
        .layer(AuthLayer::new(auth))
        .layer(ExtraHeadersLayer::new(headers))
        .service(client);
    stack.oneshot(Parcel::new(report)).await
}

/// The most harmless envelope that there is: a client report of no losses. The server looks at the credentials, and
/// counts nothing and shows nothing (CR-6: nobody reports its loss either).
fn report(now: SystemTime) -> Result<Envelope, Fault> {
    let mut report = ClientReport::default();
    report.timestamp = Some(ReportTime::At(now));
    let envelope = Envelope::new().with_item(Item::client_report(report.to_json()));
    envelope.map_err(|error| Fault::from_error(BoxError::from(error)))
}

fn hear(event: &Event<'_>, host: &str) -> Heard {
    let told = describe(event);
    let step = |part, verdict| Step::new(part, verdict, &told.text).took(told.took);
    Heard::Step(Box::new(match event {
        Event::Resolved { .. } => step(Part::Name, Verdict::Ok),
        Event::Connected { .. } => step(Part::Tcp, Verdict::Ok),
        Event::Tunnelled { .. } => step(Part::Tunnel, Verdict::Ok),
        Event::Secured { host: with, handshake, .. } => {
            let part = if *with == host { Part::Tls } else { Part::ProxyTls };
            let step = step(part, Verdict::Ok)
                .detail("version", handshake.version.as_str())
                .detail("alpn", handshake.alpn.as_deref());
            certificate::shown(step, &handshake.chain, SystemClock.wall())
        }
        Event::Replied { version, took, .. } => return Heard::Replied(*version, *took),
        Event::Failed { took, .. } => return Heard::Failed(*took),
        Event::Again { .. } => step(Part::Request, Verdict::Warning),
        _ => step(Part::Request, Verdict::Ok),
    }))
}

/// The step that a fault is about: in its own words, and with the innermost cause if that says more.
fn broken(fault: &Fault, scene: &Scene, took: Option<Duration>) -> Step {
    let words = fault.message().map_or_else(|| chain(fault), str::to_owned);
    let mut cause: &(dyn Error + 'static) = fault;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let cause = cause.to_string();
    let says_more = !words.contains(&cause) && !cause.contains(&words) && cause != "tcp connect error";
    let step = Step::new(remedy::part(fault, scene), Verdict::Failed, words).took(took);
    let step = if says_more { step.note(cause) } else { step };
    step.advice(remedy::advice(fault, scene))
}
