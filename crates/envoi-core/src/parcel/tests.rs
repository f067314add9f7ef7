use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::*;
use crate::{Failure, Fault, Kind, Receipt};

/// Writes down what it is told.
#[derive(Default)]
struct Book(Mutex<Vec<String>>);

impl Book {
    fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Custodian<String> for Book {
    fn released(&self, payload: &String) {
        self.0.lock().unwrap().push(payload.clone());
    }
}

fn in_custody(payload: &str) -> (Parcel<String>, Arc<Book>) {
    let book = Arc::new(Book::default());
    let mut parcel = Parcel::new(payload.to_owned());
    assert!(parcel.entrust(book.clone()).is_none());
    (parcel, book)
}

#[test]
fn a_custodian_is_told_once_on_drop_what_was_left_then() {
    let (mut parcel, book) = in_custody("three items");
    parcel.payload_mut().replace_range(.., "two items");
    assert!(book.told().is_empty(), "nothing while the parcel lives");
    drop(parcel);
    assert_eq!(book.told(), ["two items"]);
    assert_eq!(Arc::strong_count(&book), 1, "the parcel lets go of its custodian");
}

#[test]
fn a_custodian_is_told_once_when_a_parcel_is_taken_apart() {
    let (parcel, book) = in_custody("goods");
    let payload = parcel.into_payload();
    assert_eq!((payload.as_str(), book.told()), ("goods", vec!["goods".to_owned()]));
    drop(payload);

    let (parcel, parts) = in_custody("parts");
    let (payload, _meta) = parcel.into_parts();
    assert_eq!(payload, "parts");
    assert_eq!((book.told().len(), parts.told().len()), (1, 1));
}

#[test]
fn map_tells_the_old_payload_and_frees_the_new_one() {
    let (mut parcel, book) = in_custody("old");
    parcel.meta_mut().attempt = 3;
    let mapped = parcel.map(|old| old.len());
    assert_eq!((*mapped.payload(), mapped.meta().attempt), (3, 3));
    drop(mapped);
    assert_eq!(book.told(), ["old"]);

    let (parcel, book) = in_custody("same type");
    drop(parcel.map(|_| "new".to_owned()));
    assert_eq!(book.told(), ["same type"], "the custodian has no part in the new payload");
}

#[test]
fn a_reclaimed_parcel_tells_nobody() {
    let (mut parcel, book) = in_custody("back home");
    assert!(parcel.reclaim().is_some());
    assert!(parcel.reclaim().is_none());
    drop(parcel);
    assert!(book.told().is_empty());
}

#[test]
fn the_last_custodian_is_the_one_who_is_told() {
    let (mut parcel, first) = in_custody("goods");
    let second = Arc::new(Book::default());
    assert!(parcel.entrust(second.clone()).is_some());
    drop(parcel);
    assert_eq!((first.told().len(), second.told().len()), (0, 1));
}

#[test]
fn a_custodian_is_told_while_a_panic_unwinds() {
    let (parcel, book) = in_custody("in the hands of a layer that panics");
    let outcome = catch_unwind(AssertUnwindSafe(move || {
        let _held = parcel;
        panic!("boom");
    }));
    assert!(outcome.is_err());
    assert_eq!(book.told(), ["in the hands of a layer that panics"]);
}

#[test]
fn a_panic_inside_map_tells_once() {
    let (parcel, book) = in_custody("goods");
    assert!(catch_unwind(AssertUnwindSafe(move || parcel.map::<()>(|_| panic!("boom")))).is_err());
    assert_eq!(book.told(), ["goods"]);
}

#[test]
fn a_dropped_future_and_a_dropped_failure_tell() {
    let (parcel, book) = in_custody("cancelled");
    let future = async move {
        std::future::pending::<()>().await;
        drop(parcel);
    };
    drop(future);
    assert_eq!(book.told(), ["cancelled"]);

    let (parcel, book) = in_custody("failed");
    let failure = Failure::new(Fault::new(Kind::Io), parcel);
    assert!(book.told().is_empty());
    drop(failure);
    assert_eq!(book.told(), ["failed"]);
}

#[test]
fn a_parcel_is_one_pointer_and_results_are_small() {
    struct Large {
        _filler: [u8; 4096],
    }
    let pointer = size_of::<usize>();
    assert_eq!(size_of::<Parcel<Large>>(), pointer);
    assert_eq!(size_of::<Option<Parcel<Large>>>(), pointer);
    assert_eq!(size_of::<Failure<Large>>(), 2 * pointer);
    assert!(size_of::<Result<Receipt, Failure<Large>>>() <= 3 * pointer);
}

#[test]
fn both_parts_can_be_changed_at_once() {
    let mut parcel = Parcel::with_meta(
        String::from("replayed"),
        Meta { attempt: 2, origin: Origin::Replayed, ..Meta::default() },
    );
    let (payload, meta) = parcel.parts_mut();
    meta.extensions.insert(payload.len());
    payload.clear();
    assert_eq!(parcel.meta().extensions.get::<usize>(), Some(&8));
    assert_eq!((parcel.meta().attempt, parcel.meta().origin), (2, Origin::Replayed));
    let debug = format!("{parcel:?}");
    assert!(
        debug.starts_with("Parcel { payload: \"\", meta: Meta { attempt: 2, origin: Replayed"),
        "{debug}"
    );
}

#[test]
fn a_parcel_crosses_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Parcel<String>>();
    crosses::<Failure<String>>();
    let (parcel, book) = in_custody("from elsewhere");
    std::thread::spawn(move || drop(parcel)).join().unwrap();
    assert_eq!(book.told(), ["from elsewhere"]);
}

#[test]
fn a_parcel_names_its_custodian() {
    let (mut parcel, book) = in_custody("goods");
    assert!(!parcel.custodian().unwrap().keeps(&"any books"), "unless the custodian says otherwise");
    parcel.reclaim();
    assert!(parcel.custodian().is_none());
    drop(parcel);
    assert!(book.told().is_empty());
}
