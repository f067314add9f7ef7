//! Format v1 of the spool, as bytes: pure functions, no I/O.
//!
//! Everything is little-endian; every check sum is CRC-32C (Castagnoli). A lane directory holds segments
//! (`<id:016x>.seg`) and one ack log for each (`<id:016x>.ack`); there is no index, cursor or ledger file that could
//! disagree with them. Golden files of this format are kept in the tree and read by a test for ever.
//!
//! * [`SegmentHeader`]: 64 bytes, written twice, at 0 and 64. Frames begin at [`DATA_OFFSET`].
//! * [`FrameHead`]: 40 bytes, then the meta bytes, then the payload, then zeros to a multiple of 8. The header has a
//!   check sum of its own, so a bad payload costs exactly one record whose categories are still known, and a bad
//!   header is found and skipped by searching for the next valid one.
//! * [`AckEntry`]: 16 bytes in the ack log of the segment.
//! * [`SpoolHeader`]: 64 bytes, the file `SPOOL` of a slot.
//!
//! Check sums of frames and acks are seeded with the spool's random salt, frames with the segment's id as well, so that
//! a frame of another spool (attached to an envelope, say) or of a recycled segment never validates.

mod ack;
mod frame;
mod segment;
mod spool;

pub use ack::{ACK_LEN, AckEntry, AckKind};
pub use frame::{
    FLAG_GZIP, FLAG_ZSTD, FRAME_HEAD_LEN, FRAME_MAGIC, FrameHead, KIND_DATA, KIND_LOSS, MAX_META,
    encode_head, frame_len, payload_crc,
};
pub use segment::{DATA_OFFSET, HeaderError, SEGMENT_HEADER_LEN, SegmentHeader, segment_salt};
pub use spool::{SPOOL_LEN, SpoolHeader};

/// The version of the format that this crate writes.
pub const VERSION: u16 = 1;

/// CRC-32C of `bytes`, continued from `seed`.
pub(crate) fn crc(seed: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(seed, bytes)
}

/// Reads little-endian integers out of a slice of known length; the offset is a constant of the format.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests;
