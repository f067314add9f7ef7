use super::{array, crc};

/// Length of the fixed part of a frame header.
pub const FRAME_HEAD_LEN: usize = 40;
/// Begins every frame; the mark to resynchronise on.
pub const FRAME_MAGIC: u32 = 0x5AC3_96E1;
/// The most meta bytes that a frame may have.
pub const MAX_META: usize = 4096;
/// A record of the caller.
pub const KIND_DATA: u8 = 1;
/// A loss report: counts that must outlive a crash.
pub const KIND_LOSS: u8 = 2;
/// The payload is compressed with gzip.
pub const FLAG_GZIP: u8 = 1;
/// The payload is compressed with Zstandard.
pub const FLAG_ZSTD: u8 = 2;

/// The fixed part of a frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Payload bytes.
    pub payload_len: u32,
    /// Check sum of the payload, see [`payload_crc`].
    pub payload_crc: u32,
    /// Sequence number, unique for the life of the lane.
    pub seq: u64,
    /// When the record was accepted, milliseconds since the Unix epoch.
    pub enqueued_ms: u64,
    /// Meta bytes, at most [`MAX_META`].
    pub meta_len: u16,
    /// [`KIND_DATA`] or [`KIND_LOSS`].
    pub kind: u8,
    /// `FLAG_*`.
    pub flags: u8,
}

/// The check sum of a payload made of `pieces`.
#[must_use]
pub fn payload_crc<'a>(salt: u32, pieces: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    pieces.into_iter().fold(salt, crc)
}

/// Bytes that a frame takes on disk, padding included.
#[must_use]
pub const fn frame_len(meta_len: usize, payload_len: usize) -> u64 {
    ((FRAME_HEAD_LEN + meta_len + payload_len) as u64).next_multiple_of(8)
}

/// Appends header and meta to `out`; payload and padding follow from the caller.
///
/// `meta` beyond [`MAX_META`] is the caller's mistake and is cut, so that the frame stays readable.
pub fn encode_head(out: &mut Vec<u8>, head: &FrameHead, meta: &[u8], segment_salt: u32) {
    let meta = &meta[..meta.len().min(MAX_META)];
    let start = out.len();
    out.extend_from_slice(&FRAME_MAGIC.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&head.payload_len.to_le_bytes());
    out.extend_from_slice(&head.payload_crc.to_le_bytes());
    out.extend_from_slice(&head.seq.to_le_bytes());
    out.extend_from_slice(&head.enqueued_ms.to_le_bytes());
    out.extend_from_slice(&u16::try_from(meta.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&[head.kind, head.flags, 0, 0, 0, 0]);
    out.extend_from_slice(meta);
    let sum = crc(segment_salt, &out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
}

impl FrameHead {
    /// Whether `bytes` could begin a frame: enough to decide whether a closer look pays.
    #[must_use]
    pub fn has_magic(bytes: &[u8]) -> bool {
        array(bytes, 0).is_some_and(|magic| u32::from_le_bytes(magic) == FRAME_MAGIC)
    }

    /// Reads the fixed part without checking its sum, to learn how many meta bytes follow. `None` if it cannot be
    /// the head of a frame.
    #[must_use]
    pub fn peek(bytes: &[u8]) -> Option<Self> {
        if !Self::has_magic(bytes) {
            return None;
        }
        let head = Self {
            payload_len: u32::from_le_bytes(array(bytes, 8)?),
            payload_crc: u32::from_le_bytes(array(bytes, 12)?),
            seq: u64::from_le_bytes(array(bytes, 16)?),
            enqueued_ms: u64::from_le_bytes(array(bytes, 24)?),
            meta_len: u16::from_le_bytes(array(bytes, 32)?),
            kind: *bytes.get(34)?,
            flags: *bytes.get(35)?,
        };
        let reserved: [u8; 4] = array(bytes, 36)?;
        (usize::from(head.meta_len) <= MAX_META && reserved == [0; 4]).then_some(head)
    }

    /// Reads header and meta and checks their sum. `None` if this is not a frame of this segment.
    #[must_use]
    pub fn decode(bytes: &[u8], segment_salt: u32) -> Option<(Self, &[u8])> {
        let head = Self::peek(bytes)?;
        let end = FRAME_HEAD_LEN + usize::from(head.meta_len);
        let sum = u32::from_le_bytes(array(bytes, 4)?);
        let covered = bytes.get(8..end)?;
        (sum == crc(segment_salt, covered)).then(|| (head, &covered[FRAME_HEAD_LEN - 8..]))
    }

    /// Bytes that the whole frame takes on disk.
    #[must_use]
    pub const fn len_on_disk(&self) -> u64 {
        frame_len(self.meta_len as usize, self.payload_len as usize)
    }

    /// Where the payload begins, counted from the start of the frame.
    #[must_use]
    pub const fn payload_offset(&self) -> u64 {
        (FRAME_HEAD_LEN + self.meta_len as usize) as u64
    }
}
