//! Reports of what is lost for good, through the public API: BD-7.
#![cfg(feature = "on_error")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use envoi_core::{
    Advice, DiscardReason, Explanation, Failure, Fate, Fault, Kind, LossSink, Parcel, Receipt, Reply,
};
use envoi_layers::on_error::{DeliveryError, ErrorHook, OnErrorLayer};
use envoi_testkit::contract::Contract;
use envoi_testkit::mock::{MockDeliver, Outcome};
use envoi_testkit::{Drops, Goods};
use http::StatusCode;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

/// What a handler heard.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn hook(&self) -> ErrorHook {
        let heard = self.clone();
        ErrorHook::new(move |error| {
            let name = match error {
                DeliveryError::Auth { .. } => "auth".to_owned(),
                DeliveryError::RateLimited { .. } => "rate limited".to_owned(),
                DeliveryError::BreakerOpen { .. } => "breaker open".to_owned(),
                DeliveryError::NonRetryableStatus { status, .. } => format!("status {}", status.as_u16()),
                DeliveryError::Overflow { .. } => "overflow".to_owned(),
                DeliveryError::Other { fault, .. } => format!("{:?}", fault.kind()),
                error => unreachable!("{error} is new here"),
            };
            heard.0.lock().unwrap().push(format!("{name}: {}", error.items()));
        })
    }

    fn layer(&self) -> OnErrorLayer {
        OnErrorLayer::with_hook(self.hook())
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A batch of three.
fn batch() -> Parcel<Goods> {
    Parcel::new(Goods::new("event").and("event", 1).and("event", 1))
}

async fn send(layer: &OnErrorLayer, outcome: Outcome) -> Result<Receipt, Failure<Goods>> {
    layer.layer(MockDeliver::answering(outcome)).oneshot(batch()).await
}

fn replied(kind: Kind, code: u16, advice: Advice) -> Outcome {
    let status = StatusCode::from_u16(code).unwrap();
    Outcome::fault(move || Fault::new(kind).with_advice(advice).with_reply(Reply::new(status)))
}

/// BD-7: each final failure is reported once, typed, with the number of its items; the failure goes up with its goods.
#[tokio::test(start_paused = true)]
async fn final_failures_are_reported_once() {
    let heard = Heard::default();
    let layer = heard.layer();
    let table = [
        (replied(Kind::Unauthorized, 401, Advice::Drop), "auth: 3"),
        (replied(Kind::Unauthorized, 403, Advice::Drop), "auth: 3"),
        (replied(Kind::RateLimited, 429, Advice::Drop), "rate limited: 3"),
        (Outcome::advised(Kind::CircuitOpen, Advice::Drop), "breaker open: 3"),
        (replied(Kind::Rejected, 400, Advice::Drop), "status 400: 3"),
        (replied(Kind::Rejected, 413, Advice::Drop), "status 413: 3"),
        (replied(Kind::Server, 500, Advice::Drop), "Server: 3"),
        (replied(Kind::Rejected, 408, Advice::Drop), "Rejected: 3"),
        (Outcome::advised(Kind::Timeout, Advice::Drop), "Timeout: 3"),
        (Outcome::failure(Kind::Encode), "Encode: 3"),
    ];
    for (outcome, expected) in table {
        let failure = send(&layer, outcome).await.unwrap_err();
        assert_eq!(heard.take(), [expected]);
        assert_eq!(failure.fault().advice(), Advice::Drop);
        assert_eq!(failure.into_parcel().unwrap().payload().items().len(), 3);
    }
}

/// BD-7: what may still be delivered, or was, is not reported, and passes unchanged.
#[tokio::test(start_paused = true)]
async fn what_is_not_lost_is_not_reported() {
    let heard = Heard::default();
    let layer = heard.layer();
    let later = Advice::RetryAfter(Duration::from_secs(7));
    for (kind, advice) in
        [(Kind::Connect, Advice::Retry), (Kind::CircuitOpen, later), (Kind::Halted, Advice::Retry)]
    {
        let failure = send(&layer, Outcome::advised(kind, advice)).await.unwrap_err();
        assert_eq!((failure.fault().kind(), failure.fault().advice()), (kind, advice));
    }
    for fate in [Fate::Delivered, Fate::Queued, Fate::Stored, Fate::Spent] {
        assert_eq!(send(&layer, Outcome::receipt(fate)).await.unwrap().fate(), fate);
    }
    assert!(heard.take().is_empty());
}

/// BD-7: a stack that gives up more says so; what was reported is to be dropped by everybody above.
#[tokio::test(start_paused = true)]
async fn a_stack_decides_what_is_final() {
    let heard = Heard::default();
    let layer = heard.layer().final_when(|fault| fault.kind() != Kind::Halted);
    for (kind, expected) in [(Kind::Connect, "Connect: 3"), (Kind::CircuitOpen, "breaker open: 3")] {
        let outcome = Outcome::advised(kind, Advice::RetryAfter(Duration::from_secs(7)));
        let failure = send(&layer, outcome).await.unwrap_err();
        assert_eq!((failure.fault().kind(), failure.fault().advice()), (kind, Advice::Drop));
        assert_eq!(heard.take(), [expected]);
    }
    let failure = send(&layer, Outcome::failure(Kind::Halted)).await.unwrap_err();
    assert_eq!(failure.fault().advice(), Advice::Retry);
    assert!(heard.take().is_empty());
}

/// BD-5, BD-7: what a latch discards is not reported, whatever is final: the refusal that tripped it was.
#[tokio::test(start_paused = true)]
async fn a_disabled_transport_is_not_reported() {
    let heard = Heard::default();
    let layer = heard.layer().final_when(|_| true);
    let failure = send(&layer, Outcome::failure(Kind::Disabled)).await.unwrap_err();
    assert_eq!(failure.fault().advice(), Advice::Drop);
    assert!(heard.take().is_empty());
}

/// BD-7: the reply, the server's words and the source go to the handler and, after it, up.
#[tokio::test(start_paused = true)]
async fn the_fault_is_complete_before_and_after() {
    let words = Explanation { error: Some("bad key".into()), ..Explanation::default() };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let layer = OnErrorLayer::new({
        let (seen, words) = (Arc::clone(&seen), words.clone());
        move |error| {
            assert_eq!(error.explanation(), Some(&words));
            assert_eq!(std::error::Error::source(error).unwrap().to_string(), "deep down");
            seen.lock().unwrap().push((error.status(), error.to_string()));
        }
    });
    let outcome = Outcome::fault(move || {
        Fault::caused_by(Kind::Unauthorized, "deep down")
            .with_reply(Reply::new(StatusCode::FORBIDDEN))
            .with_explanation(words.clone())
    });
    let failure = send(&layer, outcome).await.unwrap_err();
    assert_eq!(failure.fault().status(), Some(StatusCode::FORBIDDEN));
    assert!(failure.fault().explanation().is_some() && std::error::Error::source(failure.fault()).is_some());
    let expected = "3 items lost: the server refused the credentials (403 Forbidden): bad key";
    assert_eq!(*seen.lock().unwrap(), [(Some(StatusCode::FORBIDDEN), expected.to_owned())]);
}

/// BD-7: what a layer below has dropped is not counted; of a parcel that is gone, what was sent is.
#[tokio::test(start_paused = true)]
async fn items_are_those_that_were_lost_here() {
    let heard = Heard::default();
    let filtered = MockDeliver::answering(replied(Kind::Rejected, 400, Advice::Drop))
        .on_parcel(|parcel: &mut Parcel<Goods>| *parcel.payload_mut() = Goods::new("event"));
    assert!(heard.layer().layer(filtered).oneshot(batch()).await.is_err());
    assert_eq!(heard.take(), ["status 400: 1"]);
    let gone = Outcome::advised(Kind::Io, Advice::Drop).losing_the_parcel();
    assert!(send(&heard.layer(), gone).await.unwrap_err().parcel().is_none());
    assert_eq!(heard.take(), ["Io: 3"]);
}

/// BD-7: a delivery that is dropped in whatever state, or panics, is lost, and reported; after it has ended it is not
/// reported again. A durable store above keeps it.
#[tokio::test(start_paused = true)]
async fn cancelled_deliveries_are_reported_in_each_state() {
    for state in ["called", "calling", "answered"] {
        for kept in [false, true] {
            let (heard, drops) = (Heard::default(), Drops::new());
            let layer = if kept { heard.layer().cancelled_are_kept() } else { heard.layer() };
            let below = MockDeliver::new();
            below.script([if state == "answered" { Outcome::delivered() } else { Outcome::never() }]);
            let mut service = layer.layer(below);
            {
                let parcel = Parcel::new(Goods::new("event").tracked(&drops));
                let mut call = pin!(service.ready().await.unwrap().call(parcel));
                if state != "called" {
                    let answer = tokio::time::timeout(Duration::from_secs(1), call.as_mut()).await;
                    assert_eq!(answer.is_ok(), state == "answered");
                }
                assert!(heard.take().is_empty(), "{state}");
            }
            let is_told = state != "answered" && !kept;
            assert_eq!(heard.take(), ["Halted: 1"][..usize::from(is_told)], "{state}");
            assert_eq!(drops.alive(), 0);
        }
    }
}

/// BD-7: a panic below is reported, whether it comes in the call or in the future, and whatever a store keeps of what is
/// cancelled: a queue gives up what a layer panics over.
#[tokio::test]
async fn panics_below_are_reported() {
    let heard = Heard::default();
    for layer in [heard.layer(), heard.layer().cancelled_are_kept()] {
        let later = layer.layer(MockDeliver::answering(Outcome::panic()));
        assert!(tokio::spawn(later.oneshot(batch())).await.unwrap_err().is_panic());
        assert_eq!(heard.take(), ["Other: 3"]);
        let at_once = layer.layer(service_fn(|parcel: Parcel<Goods>| {
            assert!(parcel.payload().items().is_empty(), "a layer panics");
            std::future::ready(Ok::<_, Failure<Goods>>(Receipt::delivered()))
        }));
        assert!(tokio::spawn(at_once.oneshot(batch())).await.unwrap_err().is_panic());
        assert_eq!(heard.take(), ["Other: 3"]);
    }
}

/// Ready once in three times; else it fails, or panics.
#[derive(Clone, Default)]
struct Moody(usize);

impl Service<Parcel<Goods>> for Moody {
    type Response = Receipt;
    type Error = Failure<Goods>;
    type Future = std::future::Ready<Result<Receipt, Failure<Goods>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure<Goods>>> {
        self.0 += 1;
        match self.0 % 3 {
            1 => Poll::Ready(Err(Failure::without_parcel(Fault::new(Kind::Connect)))),
            2 => std::panic::resume_unwind(Box::new("moody")),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, parcel: Parcel<Goods>) -> Self::Future {
        drop(parcel);
        std::future::ready(Ok(Receipt::delivered()))
    }
}

/// BD-7: told so, what is lost because the service below does not become ready is reported as well, once, and the parcel is
/// handed back.
#[tokio::test]
async fn what_cannot_even_be_called_is_reported() {
    let heard = Heard::default();
    let mut stack = heard.layer().final_when(|_| true).takes_unready().layer(Moody::default());
    let mut arrived = 0;
    for _ in 0..6 {
        // Asking twice makes no difference, and a clone begins anew.
        stack.ready().await.unwrap();
        let asked_twice = stack.ready().await.unwrap();
        match asked_twice.call(batch()).await {
            Ok(_) => arrived += 1,
            Err(failure) => {
                assert_eq!(failure.fault().advice(), Advice::Drop);
                assert_eq!(failure.parcel().unwrap().payload(), batch().payload());
            }
        }
    }
    let told = heard.take();
    assert_eq!(told.len() + arrived, 6);
    assert!(told.contains(&"Connect: 3".to_owned()) && told.contains(&"Other: 3".to_owned()), "{told:?}");
    assert!(heard.layer().layer(Moody::default()).ready().await.is_err(), "by default it goes up");
    assert!(heard.take().is_empty());
}

/// BD-7: through an outbox, nothing is lost without a word.
#[cfg(feature = "outbox")]
#[tokio::test(start_paused = true)]
async fn an_outbox_over_it_loses_nothing_unheard() {
    use envoi_layers::outbox::{MemoryStore, OutboxConfig, outbox};

    let heard = Heard::default();
    let layer = heard.layer().final_when(|_| true).takes_unready();
    let (outbox, driver) = outbox(MemoryStore::new(), OutboxConfig::new(), layer.layer(Moody::default()));
    tokio::spawn(driver);
    for _ in 0..6 {
        outbox.post(batch()).unwrap();
    }
    assert!(outbox.close(Duration::from_secs(1)).await.is_complete);
    assert_eq!(heard.take().len(), 4);
}

/// BD-7: a batch that a queue further in refuses is reported once: by the sink of the outbox if there is one, else here.
#[cfg(feature = "outbox")]
#[tokio::test(start_paused = true)]
async fn a_full_queue_below_is_reported_once() {
    use envoi_layers::outbox::{MemoryStore, OutboxConfig, outbox};

    for kind in [Kind::QueueFull, Kind::Closed] {
        let heard = Heard::default();
        let layer = heard.layer().final_when(|_| true);
        let refusing = MockDeliver::answering(Outcome::advised(kind, Advice::Retry));
        let run = async |config: OutboxConfig<Goods>| {
            let (outbox, driver) = outbox(MemoryStore::new(), config, layer.layer(refusing.clone()));
            tokio::spawn(driver);
            outbox.post(batch()).unwrap();
            assert!(outbox.close(Duration::from_secs(1)).await.is_complete);
            heard.take()
        };
        assert_eq!(run(OutboxConfig::new()).await, [format!("{kind:?}: 3")]);
        assert_eq!(run(OutboxConfig::new().losses(layer.hook().overflows())).await, vec!["overflow: 1"; 3]);
    }
}

/// BD-7: a handler that panics harms nobody: the failure goes up, and the next loss is reported.
#[tokio::test(start_paused = true)]
async fn a_panicking_handler_harms_nobody() {
    let calls = Arc::new(AtomicUsize::new(0));
    let layer = OnErrorLayer::new({
        let calls = Arc::clone(&calls);
        move |_| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            assert!(call % 2 == 1, "the handler panics every other time");
        }
    });
    for sent in 1..=4 {
        let failure = send(&layer, replied(Kind::Rejected, 400, Advice::Drop)).await.unwrap_err();
        assert_eq!(failure.fault().kind(), Kind::Rejected);
        assert!(failure.parcel().is_some());
        assert_eq!(calls.load(Ordering::Relaxed), sent);
    }
}

/// BD-7: a handler that loses something itself, while it runs, is not called for it: a full queue would call it for ever.
#[test]
fn a_handler_is_not_called_for_what_it_loses() {
    let heard = Heard::default();
    let own = Arc::new(Mutex::new(None::<ErrorHook>));
    let hook = ErrorHook::new({
        let (own, heard) = (Arc::clone(&own), heard.clone());
        move |error| {
            heard.0.lock().unwrap().push(error.items().to_string());
            let own = own.lock().unwrap().clone().unwrap();
            own.overflows().lost(DiscardReason::QueueOverflow, &"event", 99);
        }
    });
    *own.lock().unwrap() = Some(hook.clone());
    hook.report(&DeliveryError::Overflow { items: 1 });
    hook.report(&DeliveryError::Overflow { items: 2 });
    assert_eq!(heard.take(), ["1", "2"]);
}

/// BD-7, BD-8: what a queue pushes out is reported by the same handler, once per event; what the stack reports is not
/// reported a second time by the books.
#[test]
fn overflows_reach_the_same_handler() {
    let heard = Heard::default();
    let sink = heard.layer().hook().overflows();
    sink.lost(DiscardReason::QueueOverflow, &"event", 20);
    sink.lost(DiscardReason::CacheOverflow, &"event", 7);
    let others = DiscardReason::KNOWN
        .into_iter()
        .filter(|reason| !matches!(reason, DiscardReason::QueueOverflow | DiscardReason::CacheOverflow));
    for reason in others {
        sink.lost(reason, &"event", 1);
    }
    sink.refused(StatusCode::BAD_REQUEST, &"event", 1);
    sink.restore(DiscardReason::QueueOverflow, &"event", 1);
    assert_eq!(heard.take(), ["overflow: 20", "overflow: 7"]);
}

/// BD-7: it keeps the contract of a tower layer: readied instance, readiness, wakers, drops, cancellation.
#[tokio::test(start_paused = true)]
async fn on_error_passes_the_contract_suite() {
    Contract::delivery(OnErrorLayer::new(|_| {})).run().await.unwrap();
    Contract::delivery(OnErrorLayer::new(|_| {}).final_when(|_| true)).run().await.unwrap();
}

/// BD-7: a failure that comes through layers with boxed errors is reported with its parcel.
#[tokio::test(start_paused = true)]
async fn reports_through_boxed_errors() {
    let heard = Heard::default();
    let stack = ServiceBuilder::new()
        .layer(heard.layer())
        .timeout(Duration::from_secs(60))
        .concurrency_limit(1)
        .service(MockDeliver::answering(replied(Kind::Unauthorized, 401, Advice::Drop)));
    assert!(stack.oneshot(batch()).await.unwrap_err().parcel().is_some());
    assert_eq!(heard.take(), ["auth: 3"]);
}
