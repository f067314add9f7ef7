use crate::{Envelope, Item, ItemType, MAX_HEADER_BYTES, PushError, PushErrorKind, SizeLimits};

/// IT-1: one event or transaction, one container of each kind, one replay; all else as often as you like.
#[test]
fn items_that_must_not_be_together_are_handed_back() {
    for (first, second, kind) in [
        (ItemType::Event, ItemType::Event, Some(PushErrorKind::SecondEvent)),
        (ItemType::Event, ItemType::Transaction, Some(PushErrorKind::SecondEvent)),
        (ItemType::Transaction, ItemType::Event, Some(PushErrorKind::SecondEvent)),
        (ItemType::Log, ItemType::Log, Some(PushErrorKind::SecondOfType)),
        (ItemType::TraceMetric, ItemType::TraceMetric, Some(PushErrorKind::SecondOfType)),
        (ItemType::Span, ItemType::Span, Some(PushErrorKind::SecondOfType)),
        (ItemType::ReplayEvent, ItemType::ReplayEvent, Some(PushErrorKind::SecondOfType)),
        (ItemType::ReplayRecording, ItemType::ReplayRecording, Some(PushErrorKind::SecondOfType)),
        (ItemType::ReplayEvent, ItemType::ReplayRecording, None),
        (ItemType::Log, ItemType::TraceMetric, None),
        (ItemType::Event, ItemType::Attachment, None),
        (ItemType::Attachment, ItemType::Attachment, None),
        (ItemType::Session, ItemType::Session, None),
        (ItemType::Transaction, ItemType::Profile, None),
        (ItemType::Event, ItemType::ClientReport, None),
        (ItemType::from("x"), ItemType::from("x"), None),
    ] {
        let mut envelope = Envelope::new().with_item(Item::new(first.clone(), "1")).unwrap();
        let item = Item::new(second.clone(), "2");
        let refused = envelope.push(item.clone()).err();
        assert_eq!(refused.as_ref().map(PushError::kind), kind, "{first} + {second}");
        if let Some(error) = refused {
            assert!(error.to_string().contains(second.as_str()), "{error}");
            assert_eq!(error.into_item(), item, "the item comes back");
            assert_eq!(envelope.items().len(), 1);
        }
    }
}

/// IT-1, EN-3: an item whose header could not be read again is not taken.
#[test]
fn a_header_that_is_too_large_is_refused() {
    let item = Item::attachment(&"x".repeat(MAX_HEADER_BYTES), "");
    let error = Envelope::new().push(item).unwrap_err();
    assert_eq!(error.kind(), PushErrorKind::HeaderTooLarge);
    assert!(error.to_string().contains("attachment item has 655"), "{error}");
}

/// EN-7: the numbers of the specification, to the byte.
#[test]
fn size_limits_are_exact() {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    let limits = SizeLimits::default();
    for (ty, limit) in [
        (ItemType::Event, MIB),
        (ItemType::Transaction, MIB),
        (ItemType::Span, MIB),
        (ItemType::Log, MIB),
        (ItemType::TraceMetric, MIB),
        (ItemType::CheckIn, 100 * KIB),
        (ItemType::ClientReport, 4 * KIB),
        (ItemType::Profile, 50 * MIB),
        (ItemType::ReplayRecording, 10 * MIB),
    ] {
        let payload = bytes::Bytes::from(vec![0; limit + 1]);
        assert!(limits.check_item(&Item::new(ty.clone(), payload.slice(1..))).is_ok(), "{ty}");
        let error = limits.check_item(&Item::new(ty.clone(), payload)).unwrap_err();
        assert_eq!((error.size(), error.limit()), (limit as u64 + 1, limit as u64), "{ty}");
        assert_eq!(limits.item(&ty), Some(limit as u64));
    }
    assert_eq!(limits.item(&ItemType::Attachment), None);
}

/// EN-7: limits of the whole envelope, and limits that are set.
#[test]
fn size_limits_can_be_set() {
    let mut envelope = Envelope::new();
    for _ in 0..101 {
        envelope.push(Item::session("{}")).unwrap();
    }
    let error = SizeLimits::default().check(&envelope).unwrap_err();
    assert_eq!(error.to_string(), "the envelope has 101 session items; at most 100 are allowed");
    assert_eq!((error.item(), error.size()), (None, 101));
    assert!(SizeLimits::default().with_sessions(None).check(&envelope).is_ok());

    let size = envelope.to_bytes().len() as u64;
    let limits = SizeLimits::none();
    assert!(limits.clone().with_envelope(Some(size)).check(&envelope).is_ok());
    assert!(limits.clone().with_envelope(Some(size - 1)).check(&envelope).is_err());
    let error = limits.clone().with_item("session", Some(1)).check(&envelope).unwrap_err();
    assert_eq!((error.item(), error.limit()), (Some(0), 1));
    assert!(limits.with_item("session", Some(1)).with_item("session", None).check(&envelope).is_ok());
}
