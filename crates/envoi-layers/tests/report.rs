//! Reports through the public API: CR-5 to CR-7, decisions 11 and 14.
#![cfg(all(feature = "report", feature = "filter"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod freight;

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use envoi_core::{DiscardReason, Failure, Fate, Fault, Kind, LossSink, Parcel, Receipt, Reply, Reporter};
use envoi_layers::filter::FilterLayer;
use envoi_layers::report::ReportLayer;
use envoi_testkit::Goods;
use envoi_testkit::contract::Contract;
use freight::{Books, Category, Freight, Hands, Losses, Sent, Table, Witness, deliver, delivered, one, wire};
use http::StatusCode;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

const OVERFLOW: DiscardReason = DiscardReason::QueueOverflow;

fn refused(status: StatusCode) -> Fault {
    Fault::new(Kind::Rejected).with_reply(Reply::new(status))
}

fn losses(entries: &[(Category, u64)]) -> Losses {
    entries.iter().map(|(category, quantity)| ((OVERFLOW, *category), *quantity)).collect()
}

fn attached(sent: &Sent) -> Vec<Losses> {
    sent.lock().unwrap().iter().map(|freight| freight.attached.clone()).collect()
}

/// CR-7: with nothing pending the reporter is asked one question; with reports switched off there is none to ask.
#[tokio::test]
async fn nothing_pending_costs_one_question() {
    let (sent, books) = (Sent::default(), Books::default());
    let mut report = ReportLayer::new(books.clone()).layer(wire(&sent, delivered));
    let _ = deliver(&mut report, Freight::of([one("error")])).await.unwrap();
    assert_eq!(books.calls(), ["is_pending"]);

    let mut off = ReportLayer::new(()).layer(wire(&sent, delivered));
    let _ = deliver(&mut off, Freight::of([one("error")])).await.unwrap();
    assert_eq!(size_of_val(&ReportLayer::new(())), 0);
    assert_eq!(*sent.lock().unwrap(), [Freight::of([one("error")]), Freight::of([one("error")])]);
}

/// CR-5: whatever was lost so far rides on the next parcel, once.
#[tokio::test]
async fn losses_ride_on_the_next_parcel_once() {
    let (sent, books) = (Sent::default(), Books::default());
    let mut report = ReportLayer::new(books.clone()).layer(wire(&sent, delivered));
    for _ in 0..100 {
        LossSink::lost(&books, OVERFLOW, &"log", 1);
    }

    let _ = deliver(&mut report, Freight::of([one("error")])).await.unwrap();
    let _ = deliver(&mut report, Freight::of([one("error")])).await.unwrap();

    assert_eq!(attached(&sent), [losses(&[("log", 100)]), Losses::new()]);
    assert!(books.pending().is_empty());
}

/// CR-6, decision 14: a parcel that comes back is without its report, which is pending again; the next attempt takes
/// what is pending by then, so nothing is lost and nothing doubled.
#[tokio::test]
async fn failed_attempts_neither_lose_nor_double_counts() {
    let (sent, books) = (Sent::default(), Books::default());
    let mut report = ReportLayer::new(books.clone()).layer(wire(&sent, |position| match position {
        0 => Err(Fault::new(Kind::Connect)),
        1 => Err(Fault::new(Kind::Reset)),
        _ => Ok(Receipt::delivered()),
    }));
    LossSink::lost(&books, OVERFLOW, &"log", 2);

    let failure = deliver(&mut report, Freight::of([one("error")])).await.unwrap_err();
    let parcel = failure.into_parcel().unwrap();
    assert_eq!(*parcel.payload(), Freight::of([one("error")]));
    assert_eq!(books.pending(), losses(&[("log", 2)]));

    LossSink::lost(&books, OVERFLOW, &"span", 5);
    let parcel = deliver(&mut report, parcel).await.unwrap_err().into_parcel().unwrap();
    let _ = deliver(&mut report, parcel).await.unwrap();

    let both = losses(&[("log", 2), ("span", 5)]);
    assert_eq!(attached(&sent), [losses(&[("log", 2)]), both.clone(), both]);
    assert!(books.pending().is_empty());
}

/// CR-6, decision 14: only a server that has read the report keeps the counts from coming back: 429, and never
/// another refusal.
#[tokio::test]
async fn counts_come_back_unless_the_server_has_read_them() {
    for (status, restored) in [(400, true), (413, true), (500, true), (503, true), (302, true), (429, false)]
    {
        let (sent, books) = (Sent::default(), Books::default());
        let status = StatusCode::from_u16(status).unwrap();
        let mut report = ReportLayer::new(books.clone()).layer(wire(&sent, move |_| Err(refused(status))));
        LossSink::lost(&books, OVERFLOW, &"log", 2);

        let parcel =
            deliver(&mut report, Freight::of([one("error")])).await.unwrap_err().into_parcel().unwrap();

        assert_eq!(*parcel.payload(), Freight::of([one("error")]), "{status}");
        assert_eq!(books.pending() == losses(&[("log", 2)]), restored, "{status}");
        assert_eq!(books.pending().is_empty(), !restored, "{status}");
    }
}

/// CR-6: a report that the parcel came with is its own, and comes back with it.
#[tokio::test]
async fn foreign_reports_stay_on_their_parcel() {
    let (sent, books) = (Sent::default(), Books::default());
    let mut report = ReportLayer::new(books.clone()).layer(wire(&sent, |_| Err(Fault::new(Kind::Connect))));
    LossSink::lost(&books, OVERFLOW, &"log", 2);
    let freight = Freight::of([one("error")]).with_news(DiscardReason::SendError, "span", 9);

    let parcel = deliver(&mut report, freight.clone()).await.unwrap_err().into_parcel().unwrap();
    assert_eq!(*parcel.payload(), freight);
    assert_eq!(books.pending(), losses(&[("log", 2)]));

    books.refuse_to_attach();
    books.calls();
    deliver(&mut report, freight).await.unwrap_err();
    assert_eq!(books.calls(), ["is_pending", "attach"], "what was not attached is not taken off");
}

/// CR-6: where the parcel does not come back, its custodian finds the report on it.
#[tokio::test]
async fn custodian_finds_the_report_on_a_destroyed_parcel() {
    let books = Books::default();
    let witness = Witness::default();
    let entrusted = || {
        LossSink::lost(&books, OVERFLOW, &"log", 2);
        let mut parcel = Parcel::new(Freight::of([one("error")]));
        assert!(parcel.entrust(witness.custodian()).is_none());
        parcel
    };
    let carrier = Freight { attached: losses(&[("log", 2)]), ..Freight::of([one("error")]) };

    let never = service_fn(|parcel: Parcel<Freight>| async move {
        std::future::pending::<()>().await;
        Err::<Receipt, _>(Failure::new(Fault::new(Kind::Other), parcel))
    });
    let mut report = ReportLayer::new(books.clone()).layer(never);
    let mut call = Box::pin(report.ready().await.unwrap().call(entrusted()));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(call);
    assert_eq!(witness.saw(), std::slice::from_ref(&carrier), "a dropped future");

    let bomb = service_fn(|parcel: Parcel<Freight>| async move {
        assert!(parcel.payload().items.is_empty(), "a fault of a layer");
        Err::<Receipt, _>(Failure::new(Fault::new(Kind::Other), parcel))
    });
    let mut report = ReportLayer::new(books.clone()).layer(bomb);
    let call = report.ready().await.unwrap().call(entrusted());
    let panic = tokio::spawn(call).await.unwrap_err();
    assert!(panic.is_panic());
    assert_eq!(witness.saw(), [carrier.clone(), carrier], "a panic");
    assert!(books.pending().is_empty(), "putting them back is the custodian's work alone");
}

/// CR-6: a failure that lost its parcel takes nothing off and restores nothing.
#[tokio::test]
async fn failure_without_parcel_is_passed_on() {
    let books = Books::default();
    let loser = service_fn(|parcel: Parcel<Freight>| async move {
        drop(parcel);
        Err::<Receipt, _>(Failure::<Freight>::without_parcel(Fault::new(Kind::Timeout)))
    });
    let mut report = ReportLayer::new(books.clone()).layer(loser);
    LossSink::lost(&books, OVERFLOW, &"log", 2);

    let failure = deliver(&mut report, Freight::of([one("error")])).await.unwrap_err();

    assert_eq!(failure.fault().kind(), Kind::Timeout);
    assert_eq!(books.calls(), ["is_pending", "attach"]);
}

/// CR-6: the report is taken off a parcel that comes back through layers that box errors.
#[tokio::test]
async fn takes_the_report_off_through_boxed_errors() {
    let (sent, books) = (Sent::default(), Books::default());
    let mut stack = ServiceBuilder::new()
        .layer(ReportLayer::new(books.clone()))
        .timeout(Duration::from_secs(1))
        .buffer(4)
        .concurrency_limit(1)
        .service(wire(&sent, |_| Err(Fault::new(Kind::Connect))));
    LossSink::lost(&books, OVERFLOW, &"log", 2);

    let parcel = deliver(&mut stack, Freight::of([one("error")])).await.unwrap_err().into_parcel().unwrap();

    assert_eq!(*parcel.payload(), Freight::of([one("error")]));
    assert_eq!(books.pending(), losses(&[("log", 2)]));
}

/// CR-5, RL-8, decision 11: below a filter, what it drops is reported by the very parcel that it was dropped from;
/// under a limit on everything nothing is attached and the counts wait.
#[tokio::test]
async fn what_the_filter_drops_rides_on_the_same_parcel() {
    let (sent, books, table, clock) =
        (Sent::default(), Books::default(), Arc::new(Table::default()), Hands::new());
    let mut stack = ServiceBuilder::new()
        .layer(FilterLayer::new(Arc::clone(&table)).report_to(books.clone()).clock(clock.shared()))
        .layer(ReportLayer::new(books.clone()))
        .service(wire(&sent, delivered));
    let minute = clock.peek() + Duration::from_secs(60);
    let limited = |quantity: u64| Losses::from([((DiscardReason::RatelimitBackoff, "log"), quantity)]);

    table.limit("log", minute);
    let _ = deliver(&mut stack, Freight::of([one("log"), one("error")])).await.unwrap();
    assert_eq!(attached(&sent), [limited(1)]);

    table.limit_all(minute);
    assert_eq!(deliver(&mut stack, Freight::of([one("log")])).await.unwrap().fate(), Fate::Spent);
    assert_eq!(sent.lock().unwrap().len(), 1);
    assert_eq!(books.pending(), limited(1));
}

/// Makes the layer attach to every parcel, and take off again, nothing.
#[derive(Clone)]
struct AlwaysPending;

impl Reporter<Goods> for AlwaysPending {
    fn is_pending(&self) -> bool {
        true
    }

    fn attach(&self, _: &mut Goods) -> bool {
        true
    }

    fn detach(&self, _: &mut Goods, _: bool) {}

    fn standalone(&self) -> Option<Goods> {
        None
    }
}

/// CR-5: the layer keeps the contract of a tower layer: readied instance, readiness, wakers, drops, cancellation.
#[tokio::test(start_paused = true)]
async fn report_passes_the_contract_suite() {
    Contract::delivery(ReportLayer::new(())).run().await.unwrap();
    Contract::delivery(ReportLayer::new(AlwaysPending)).run().await.unwrap();
}
