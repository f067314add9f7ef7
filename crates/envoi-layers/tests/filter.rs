//! The filter through its public API: RL-1, RL-7 to RL-10, decisions 7 and 11.
#![cfg(feature = "filter")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod freight;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use envoi_core::{Advice, DiscardReason, Fate, Fault, Kind, Limits, Parcel, Receipt, Reply};
use envoi_layers::filter::{Filter, FilterLayer};
use envoi_testkit::GoodsCategory;
use envoi_testkit::contract::Contract;
use freight::{Books, Category, Freight, Hands, Piece, Sent, Table, Witness, deliver, delivered, one, wire};
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use tower::{Layer, ServiceBuilder};

const BACKOFF: DiscardReason = DiscardReason::RatelimitBackoff;
const MINUTE: Duration = Duration::from_secs(60);

/// A reply that limits `name` for a minute.
fn limiting(status: StatusCode, name: &'static str) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert("x-limit", HeaderValue::from_static(name));
    Reply::new(status).with_headers(headers)
}

struct Setup {
    table: Arc<Table>,
    clock: Arc<Hands>,
    books: Books,
    sent: Sent,
}

impl Setup {
    fn new() -> Self {
        Self { table: Arc::default(), clock: Hands::new(), books: Books::default(), sent: Sent::default() }
    }

    fn layer(&self) -> FilterLayer<Arc<Table>, Books> {
        FilterLayer::new(Arc::clone(&self.table)).report_to(self.books.clone()).clock(self.clock.shared())
    }

    fn limit(&self, category: Category) {
        self.table.limit(category, self.clock.peek() + MINUTE);
    }

    fn sent(&self) -> Vec<Vec<Category>> {
        self.sent.lock().unwrap().iter().map(Freight::categories).collect()
    }

    fn lost(&self) -> Vec<(Category, u64)> {
        self.books
            .lost()
            .into_iter()
            .map(|((reason, category), quantity)| {
                assert_eq!(reason, BACKOFF);
                (category, quantity)
            })
            .collect()
    }
}

/// RL-8: while nothing is limited the filter asks the one gate, and neither the clock nor the table nor the payload.
#[tokio::test]
async fn idle_path_asks_one_gate_and_nothing_else() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, delivered));

    let receipt = deliver(&mut filter, Freight::of([one("error")])).await.unwrap();

    assert_eq!(receipt.fate(), Fate::Delivered);
    assert_eq!(setup.table.questions(), ["is_idle"]);
    assert_eq!(setup.clock.reads(), 0);
}

/// RL-8, decision 7: at the exact end of a limit everything leaves again, and the table is not asked by category.
#[tokio::test]
async fn limit_is_over_at_its_exact_end() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, delivered));
    setup.limit("error");

    setup.clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(deliver(&mut filter, Freight::of([one("error")])).await.unwrap().fate(), Fate::Spent);
    setup.table.questions();

    setup.clock.advance(Duration::from_millis(1));
    assert_eq!(deliver(&mut filter, Freight::of([one("error")])).await.unwrap().fate(), Fate::Delivered);
    assert_eq!(setup.table.questions(), ["is_idle", "any_active"]);
}

/// RL-8: items of a limited category stay behind and are recorded; the rest is sent.
#[tokio::test]
async fn limited_items_stay_behind_and_the_rest_is_sent() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, delivered));
    setup.limit("log");

    let receipt = deliver(&mut filter, Freight::of([one("log"), one("error"), one("log")])).await.unwrap();

    assert_eq!(receipt.fate(), Fate::Delivered);
    assert_eq!(setup.sent(), [["error"]]);
    assert_eq!(setup.lost(), [("log", 2)]);
}

/// RL-8: a parcel that is left empty is not sent.
#[tokio::test]
async fn parcel_left_empty_is_not_sent() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, delivered));
    setup.limit("log");

    let receipt = deliver(&mut filter, Freight::of([one("log")])).await.unwrap();

    assert_eq!(receipt.fate(), Fate::Spent);
    assert!(setup.sent().is_empty());
    assert_eq!(setup.lost(), [("log", 1)]);
}

/// RL-10: what goes with a limited item is recorded under its own category.
#[tokio::test]
async fn followers_are_recorded_under_their_own_category() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, delivered));
    setup.limit("error");
    let follower = Piece { category: "attachment", quantity: 1000, held_by: vec!["attachment", "error"] };

    let _ = deliver(&mut filter, Freight::of([one("error"), follower, one("span")])).await.unwrap();

    assert_eq!(setup.sent(), [["span"]]);
    assert_eq!(setup.lost(), [("attachment", 1000), ("error", 1)]);
}

/// RL-9, decision 11: under a limit on everything nothing leaves, items that no category holds and reports included;
/// the reports are pending again.
#[tokio::test]
async fn nothing_leaves_under_the_limit_on_everything() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, delivered));
    setup.table.limit_all(setup.clock.peek() + MINUTE);
    let unheld = Piece { category: "feedback", quantity: 1, held_by: vec![] };
    let freight = Freight::of([one("error"), unheld]).with_news(DiscardReason::QueueOverflow, "log", 7);

    assert_eq!(deliver(&mut filter, freight).await.unwrap().fate(), Fate::Spent);
    let standalone = Freight::default().with_news(DiscardReason::SendError, "span", 2);
    assert_eq!(deliver(&mut filter, standalone).await.unwrap().fate(), Fate::Spent);

    assert!(setup.sent().is_empty());
    assert_eq!(setup.lost(), [("error", 1), ("feedback", 1)]);
    let pending = setup.books.pending();
    assert_eq!(pending[&(DiscardReason::QueueOverflow, "log")], 7);
    assert_eq!(pending[&(DiscardReason::SendError, "span")], 2);
}

/// RL-9: a parcel of reports alone leaves although categories are limited.
#[tokio::test]
async fn report_alone_leaves_under_limits_on_categories() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, delivered));
    setup.limit("error");
    setup.limit("log");

    let standalone = Freight::default().with_news(DiscardReason::SendError, "span", 2);
    assert_eq!(deliver(&mut filter, standalone.clone()).await.unwrap().fate(), Fate::Delivered);

    assert_eq!(*setup.sent.lock().unwrap(), [standalone]);
}

/// Decision 11: under limits on categories a report rides with what is left; with nothing left its counts are pending
/// again and no request is made.
#[tokio::test]
async fn report_rides_with_what_is_left_or_waits() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, delivered));
    setup.limit("log");
    let news = |freight: Freight| freight.with_news(DiscardReason::QueueOverflow, "span", 3);

    let receipt = deliver(&mut filter, news(Freight::of([one("log"), one("error")]))).await.unwrap();
    assert_eq!(receipt.fate(), Fate::Delivered);
    assert_eq!(*setup.sent.lock().unwrap(), [news(Freight::of([one("error")]))]);
    assert!(!setup.books.pending().contains_key(&(DiscardReason::QueueOverflow, "span")));

    let receipt = deliver(&mut filter, news(Freight::of([one("log")]))).await.unwrap();
    assert_eq!(receipt.fate(), Fate::Spent);
    assert_eq!(setup.sent().len(), 1);
    assert_eq!(setup.books.pending()[&(DiscardReason::QueueOverflow, "span")], 3);
}

/// RL-1: every reply teaches, on success and on failure and whatever the status; no reply teaches nothing.
#[tokio::test]
async fn every_reply_teaches() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, |position| match position {
        0 => Ok(Receipt::delivered().with_reply(Reply::new(StatusCode::OK))),
        1 => Err(Fault::new(Kind::Server).with_reply(Reply::new(StatusCode::BAD_GATEWAY))),
        2 => Err(Fault::new(Kind::RateLimited).with_reply(Reply::new(StatusCode::TOO_MANY_REQUESTS))),
        3 => Err(Fault::new(Kind::Connect)),
        4 => Ok(Receipt::delivered()),
        _ => Ok(Receipt::delivered().with_reply(limiting(StatusCode::ACCEPTED, "error"))),
    }));

    for _ in 0..6 {
        let _ = deliver(&mut filter, Freight::of([one("error")])).await;
    }
    assert_eq!(*setup.table.learned.lock().unwrap(), [200, 502, 429, 202]);

    let receipt = deliver(&mut filter, Freight::of([one("error")])).await.unwrap();
    assert_eq!(receipt.fate(), Fate::Spent, "the limit in the 202 holds");
}

/// RL-8: a parcel that is sent again is judged by what is known by then; what was removed stays removed and is
/// recorded once.
#[tokio::test]
async fn attempts_are_judged_anew_and_losses_recorded_once() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, |position| {
        let name = ["log", "error", "span"][position];
        let reply = limiting(StatusCode::SERVICE_UNAVAILABLE, name);
        Err(Fault::new(Kind::Server).with_advice(Advice::Retry).with_reply(reply))
    }));

    let mut parcel = Parcel::new(Freight::of([one("log"), one("error"), one("span"), one("log")]));
    let receipt = loop {
        match deliver(&mut filter, parcel).await {
            Ok(receipt) => break receipt,
            Err(failure) => parcel = failure.into_parcel().unwrap(),
        }
    };

    assert_eq!(receipt.fate(), Fate::Spent);
    assert_eq!(setup.sent(), [vec!["log", "error", "span", "log"], vec!["error", "span"], vec!["span"]]);
    assert_eq!(setup.lost(), [("error", 1), ("log", 2), ("span", 1)]);
}

/// Makes the filter look into every parcel and find nothing to hold.
#[derive(Clone)]
struct LogsAreLimited;

impl Limits<GoodsCategory> for LogsAreLimited {
    fn any_active(&self, _: Instant) -> bool {
        true
    }

    fn all_until(&self, _: Instant) -> Option<Instant> {
        None
    }

    fn category_until(&self, category: &GoodsCategory, now: Instant) -> Option<Instant> {
        (category == "log").then_some(now + MINUTE)
    }

    fn next_end(&self, now: Instant) -> Option<Instant> {
        Some(now + MINUTE)
    }

    fn learn(&self, _: &Reply, _: Instant, _: SystemTime) {}
}

/// RL-8: the filter keeps the contract of a tower layer: readied instance, readiness, wakers, drops, cancellation.
#[tokio::test(start_paused = true)]
async fn filter_passes_the_contract_suite() {
    Contract::delivery(FilterLayer::new(())).run().await.unwrap();
    Contract::delivery(FilterLayer::new(LogsAreLimited)).run().await.unwrap();
}

/// RL-1: a reply is learned from, and the parcel comes back, through layers that box errors.
#[tokio::test]
async fn learns_and_hands_back_through_boxed_errors() {
    let setup = Setup::new();
    let mut stack =
        ServiceBuilder::new().layer(setup.layer()).timeout(MINUTE).buffer(4).concurrency_limit(1).service(
            wire(&setup.sent, |_| {
                Err(Fault::new(Kind::RateLimited).with_reply(limiting(StatusCode::TOO_MANY_REQUESTS, "all")))
            }),
        );

    let failure = deliver(&mut stack, Freight::of([one("error")])).await.unwrap_err();
    assert_eq!(failure.fault().kind(), Kind::RateLimited);
    let parcel = failure.into_parcel().expect("the parcel is handed back");

    let receipt = deliver(&mut stack, parcel).await.unwrap();
    assert_eq!(receipt.fate(), Fate::Spent);
    assert_eq!(setup.sent().len(), 1);
    assert_eq!(setup.lost(), [("error", 1)]);
}

/// RL-7: clones of a filter share what they learn; another destination has a table of its own.
#[tokio::test]
async fn clones_share_one_table_and_destinations_do_not() {
    let here = Setup::new();
    let there = Setup::new();
    let mut filter = here
        .layer()
        .layer(wire(&here.sent, |_| Ok(Receipt::delivered().with_reply(limiting(StatusCode::OK, "error")))));
    let mut clone: Filter<_, _, _> = filter.clone();
    let mut other = there.layer().layer(wire(&there.sent, delivered));

    let _ = deliver(&mut filter, Freight::of([one("error")])).await.unwrap();

    assert_eq!(deliver(&mut clone, Freight::of([one("error")])).await.unwrap().fate(), Fate::Spent);
    assert_eq!(deliver(&mut other, Freight::of([one("error")])).await.unwrap().fate(), Fate::Delivered);
}

/// RL-8: a custodian finds in a dropped parcel only what the filter has not recorded, so nothing is booked twice.
#[tokio::test]
async fn custodian_finds_only_what_is_not_recorded_yet() {
    let setup = Setup::new();
    let mut filter = setup.layer().layer(wire(&setup.sent, delivered));
    setup.limit("log");
    let witness = Witness::default();
    let entrusted = |freight: Freight| {
        let mut parcel = Parcel::new(freight);
        assert!(parcel.entrust(witness.custodian()).is_none());
        parcel
    };

    let news = Freight::of([one("log")]).with_news(DiscardReason::SendError, "span", 1);
    let _ = deliver(&mut filter, entrusted(news)).await.unwrap();
    let _ = deliver(&mut filter, entrusted(Freight::of([one("log"), one("error")]))).await.unwrap();

    assert_eq!(witness.saw(), [Freight::default(), Freight::of([one("error")])]);
}

const CATEGORIES: [Category; 4] = ["error", "attachment", "log", "span"];

fn piece() -> impl Strategy<Value = Piece> {
    let held_by = proptest::collection::btree_set(proptest::sample::select(&CATEGORIES[..]), 0..3);
    (proptest::sample::select(&CATEGORIES[..]), 1_u64..5, held_by).prop_map(
        |(category, quantity, held_by)| Piece { category, quantity, held_by: held_by.into_iter().collect() },
    )
}

fn total(freight: &[Piece]) -> BTreeMap<Category, u64> {
    let mut sums = BTreeMap::new();
    for piece in freight {
        *sums.entry(piece.category).or_default() += piece.quantity;
    }
    sums
}

proptest! {
    /// RL-8: for any parcel and any limits, what came in is what was sent plus what was recorded, per category, and
    /// nothing that is held was sent.
    #[test]
    fn in_is_sent_plus_recorded(
        items in proptest::collection::vec(piece(), 0..8),
        limited in proptest::collection::btree_set(proptest::sample::select(&CATEGORIES[..]), 0..4),
        everything in proptest::bool::weighted(0.2),
    ) {
        let setup = Setup::new();
        let until = setup.clock.peek() + MINUTE;
        setup.table.limit_each(&limited, until);
        if everything {
            setup.table.limit_all(until);
        }
        let mut filter = setup.layer().layer(wire(&setup.sent, delivered));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let receipt = runtime.block_on(deliver(&mut filter, Freight::of(items.clone()))).unwrap();

        let sent: Vec<Piece> = setup.sent.lock().unwrap().iter().flat_map(|freight| freight.items.clone()).collect();
        let held: BTreeSet<Category> = limited;
        prop_assert!(sent.iter().all(|piece| !everything && piece.held_by.iter().all(|by| !held.contains(by))));
        prop_assert_eq!(receipt.fate() == Fate::Spent, setup.sent.lock().unwrap().is_empty());
        let mut out = total(&sent);
        for (category, quantity) in setup.lost() {
            *out.entry(category).or_default() += quantity;
        }
        prop_assert_eq!(out, total(&items));
    }
}
