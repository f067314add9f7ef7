//! From an envelope of the `sentry` crate to one of ours.

use bytes::Bytes;
use envoi::Envelope;

type Theirs = sentry_core::Envelope;

/// What came of an envelope.
#[derive(Debug)]
pub(crate) struct Converted {
    /// Ours; `None` if nothing could be taken over.
    pub(crate) envelope: Option<Envelope>,
    /// What could not be taken over; `None` if everything was.
    pub(crate) left: Option<Theirs>,
}

/// Writes `theirs` once, with their code, and reads the headers of what was written: payloads are neither parsed nor
/// copied, every attribute of the header arrives as it was made, and a raw envelope stays as it is.
///
/// If our grammar refuses an item (decision 23: the header of one has 64 KiB at most), the others go without it.
pub(crate) fn convert(theirs: Theirs) -> Converted {
    match written(&theirs) {
        Some(envelope) => Converted { envelope: Some(envelope), left: None },
        None => salvage(theirs),
    }
}

fn written(theirs: &Theirs) -> Option<Envelope> {
    let mut bytes = Vec::with_capacity(1024);
    theirs.to_writer(&mut bytes).ok()?;
    // What they write is strictly right. A raw envelope may come from a file that went through an editor.
    Some(Envelope::parse_lenient(Bytes::from(bytes)).ok()?.envelope)
}

/// Takes over what can be, item by item.
fn salvage(theirs: Theirs) -> Converted {
    let mut left = Theirs::new().with_headers(theirs.headers().clone());
    let Some(mut envelope) = written(&left).filter(|_| theirs.items().next().is_some()) else {
        return Converted { envelope: None, left: Some(theirs) };
    };
    for item in theirs.into_items() {
        let mut one = Theirs::new();
        one.add_item(item);
        let taken = written(&one).is_some_and(|ours| {
            // Each was made by an SDK that knows what may be in one envelope.
            ours.into_items().into_iter().all(|item| envelope.push(item).is_ok())
        });
        if !taken {
            one.into_items().for_each(|item| left.add_item(item));
        }
    }
    Converted { envelope: (!envelope.is_empty()).then_some(envelope), left: Some(left) }
}

#[cfg(test)]
mod tests {
    use sentry_core::protocol::{Attachment, EnvelopeItem, Event, SessionAttributes, SessionStatus};
    use sentry_core::protocol::{SessionUpdate, Transaction};

    use super::*;

    fn attachment(name: &str) -> Attachment {
        Attachment { buffer: b"a\nb".to_vec(), filename: name.to_owned(), ..Attachment::default() }
    }

    fn bytes_of(theirs: &Theirs) -> Vec<u8> {
        let mut bytes = Vec::new();
        theirs.to_writer(&mut bytes).unwrap();
        bytes
    }

    /// EN-8: what leaves is what their code wrote.
    #[test]
    fn an_envelope_stays_as_it_was_written() {
        let mut theirs = Theirs::new();
        theirs.add_item(Event::new());
        theirs.add_item(attachment("a \"quoted\" name"));
        theirs.add_item(SessionUpdate {
            session_id: Default::default(),
            distinct_id: None,
            sequence: None,
            timestamp: None,
            started: std::time::SystemTime::UNIX_EPOCH,
            init: true,
            duration: Some(1.0),
            status: SessionStatus::Ok,
            errors: 0,
            attributes: SessionAttributes {
                release: "r".into(),
                environment: None,
                ip_address: None,
                user_agent: None,
            },
        });
        let before = bytes_of(&theirs);
        let converted = convert(theirs);
        assert!(converted.left.is_none());
        assert_eq!(converted.envelope.unwrap().to_bytes(), before);
    }

    /// EN-4: a raw envelope with items that nobody knows is not touched.
    #[test]
    fn a_raw_envelope_stays_as_it_is() {
        let bytes = b"{\"a\":1}\n{\"type\":\"from_the_future\",\"length\":2,\"x\":0}\n\n\n\n".to_vec();
        let converted = convert(Theirs::from_bytes_raw(bytes.clone()).unwrap());
        assert_eq!(converted.envelope.unwrap().to_bytes(), bytes);
        let junk = convert(Theirs::from_bytes_raw(b"junk".to_vec()).unwrap());
        assert!(junk.envelope.is_none() && junk.left.is_some());
    }

    /// EN-3, decision 23: an item that cannot be sent does not take its neighbours along.
    #[test]
    fn a_bad_item_goes_alone() {
        let mut theirs = Theirs::new();
        theirs.add_item(Event::new());
        theirs.add_item(attachment(&"n".repeat(70_000)));
        theirs.add_item(attachment("good"));
        let id = theirs.uuid().unwrap().simple().to_string();
        let Converted { envelope, left } = convert(theirs);
        let envelope = envelope.unwrap();
        assert_eq!(envelope.event_id().unwrap().to_string(), id);
        let types: Vec<_> = envelope.items().iter().map(|item| item.item_type().as_str()).collect();
        assert_eq!(types, ["event", "attachment"]);
        let left: Vec<_> = left.unwrap().into_items().collect();
        assert!(matches!(&left[..], [EnvelopeItem::Attachment(lost)] if lost.filename.len() == 70_000));
    }

    #[test]
    fn what_does_not_go_together_is_parted() {
        let mut theirs = Theirs::new();
        theirs.add_item(Transaction::new());
        theirs.add_item(attachment(&"n".repeat(70_000)));
        theirs.add_item(Event::new());
        let Converted { envelope, left } = convert(theirs);
        assert_eq!(envelope.unwrap().items().len(), 1);
        assert_eq!(left.unwrap().items().count(), 2);
    }
}
