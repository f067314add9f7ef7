use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use envoi_core::{BoxError, Segments};

use super::Encoding;
use super::encoder::Encoder;

/// How many idle encoders are kept. One of gzip holds about 300 KiB.
const IDLE: usize = 4;
/// Between two looks at whether the result is still wanted.
const PIECE: usize = 64 * 1024;

/// Encoders of one coding and level, used again.
pub(super) struct Pool {
    pub(super) encoding: Encoding,
    pub(super) level: u32,
    idle: Mutex<Vec<Encoder>>,
}

impl Pool {
    pub(super) const fn new(encoding: Encoding, level: u32) -> Self {
        Self { encoding, level, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn take(&self) -> Result<Encoder, BoxError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| Encoder::new(self.encoding, self.level), Ok)
    }

    /// Only for an encoder that has finished: one that was given up in the middle is dropped.
    pub(super) fn put_back(&self, encoder: Encoder) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(encoder);
        }
    }

    #[cfg(all(test, feature = "gzip"))]
    pub(super) fn idle(&self) -> usize {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The compressed body, or `None` where it is better sent as it is: no gain, no longer `wanted`, or the
    /// compressor failed.
    pub(super) fn compress(&self, body: &Segments, wanted: impl Fn() -> bool) -> Option<Bytes> {
        let size = usize::try_from(body.len()).ok()?;
        let mut encoder = self.take().ok()?;
        let mut out = Vec::with_capacity((size / 4).max(256));
        // A small body in one write: at its second Brotli sets up a window of 2 MiB, which takes longer than the rest.
        let joined = (size <= PIECE).then(|| Segments::from(body.to_bytes()));
        let body = joined.as_ref().unwrap_or(body);
        for piece in body.chunks().flat_map(|chunk| chunk.chunks(PIECE)) {
            if out.len() >= size || !wanted() {
                return None;
            }
            encoder.write(piece, &mut out).ok()?;
        }
        encoder.finish(&mut out).ok()?;
        self.put_back(encoder);
        (out.len() < size).then(|| out.into())
    }
}
