use bytes::{BufMut, Bytes, BytesMut};

use super::buffer::Batch;
use crate::{Envelope, Item};

/// What is collected: logs, metrics or spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Log,
    Metric,
    Span,
}

const CLOSE: &[u8] = b"]}";

/// What stands before the items.
pub(super) fn opening(version: Option<u32>) -> Bytes {
    version
        .map_or_else(|| "{\"items\":[".to_owned(), |version| format!("{{\"version\":{version},\"items\":["))
        .into()
}

/// The bytes of a container besides its items and the commas between them.
pub(super) const fn frame_bytes(opening: &Bytes) -> usize {
    opening.len() + CLOSE.len()
}

/// The envelope with the container of a batch, and nothing else in it (IT-1).
pub(super) fn envelope(kind: Kind, opening: &Bytes, batch: &Batch) -> Envelope {
    let container = match kind {
        Kind::Log => Item::logs,
        Kind::Metric => Item::metrics,
        Kind::Span => Item::spans,
    };
    let item = container(batch.items.len() as u64, payload(opening, batch));
    let Ok(mut envelope) = Envelope::new().with_item(item) else {
        unreachable!("an empty envelope takes any container");
    };
    if let Some(header) = &batch.trace_header
        && envelope.set_attribute("trace", header).is_err()
    {
        unreachable!("a trace header is checked, and is small, when it comes");
    }
    envelope
}

/// The items are copied as they are.
fn payload(opening: &Bytes, batch: &Batch) -> Bytes {
    let mut payload = BytesMut::with_capacity(frame_bytes(opening) + batch.bytes + batch.items.len());
    payload.put_slice(opening);
    for (position, item) in batch.items.iter().enumerate() {
        if position > 0 {
            payload.put_u8(b',');
        }
        payload.put_slice(item);
    }
    payload.put_slice(CLOSE);
    payload.freeze()
}
