use super::{array, crc};

/// Length of an entry in an ack log.
pub const ACK_LEN: usize = 16;
/// 2020-01-01T00:00:00Z in seconds since the Unix epoch.
const EPOCH_2020: u64 = 1_577_836_800;
const SEQ_MASK: u64 = (1 << 56) - 1;

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum AckKind {
    /// The receiver has it.
    Delivered = 1,
    /// Evicted to make room; counted.
    Evicted = 2,
    /// Given up; counted by whoever gave it up.
    Rejected = 3,
    /// Too old; counted.
    Expired = 4,
    /// Damaged; counted.
    Corrupt = 5,
    /// The sequence number was used up by an append that failed; there is no record.
    Void = 6,
    /// An attempt at delivery failed. Not an end: the attempt count of a record is the number of these.
    Attempt = 7,
    /// Written anew under another number, with fewer items.
    Superseded = 8,
}

impl AckKind {
    /// Whether the record is settled by this.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Attempt)
    }

    const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Delivered,
            2 => Self::Evicted,
            3 => Self::Rejected,
            4 => Self::Expired,
            5 => Self::Corrupt,
            6 => Self::Void,
            7 => Self::Attempt,
            8 => Self::Superseded,
            _ => return None,
        })
    }
}

/// One entry of an ack log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckEntry {
    /// The record; 56 bits.
    pub seq: u64,
    /// What happened to it.
    pub kind: AckKind,
    /// When, in whole seconds since the Unix epoch; not before 2020.
    pub at: u64,
}

impl AckEntry {
    /// The entry as it is written.
    #[must_use]
    pub fn encode(&self, salt: u32) -> [u8; ACK_LEN] {
        let mut out = [0; ACK_LEN];
        let seq = (self.seq & SEQ_MASK) | (u64::from(self.kind as u8) << 56);
        out[0..8].copy_from_slice(&seq.to_le_bytes());
        let at = u32::try_from(self.at.saturating_sub(EPOCH_2020)).unwrap_or(u32::MAX);
        out[8..12].copy_from_slice(&at.to_le_bytes());
        let sum = crc(salt, &out[..12]);
        out[12..16].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads an entry. `None` if it is damaged or of a kind that this version does not know.
    #[must_use]
    pub fn decode(bytes: &[u8], salt: u32) -> Option<Self> {
        let sum = u32::from_le_bytes(array(bytes, 12)?);
        if sum != crc(salt, bytes.get(..12)?) {
            return None;
        }
        let word = u64::from_le_bytes(array(bytes, 0)?);
        let [.., kind] = word.to_le_bytes();
        Some(Self {
            seq: word & SEQ_MASK,
            kind: AckKind::from_u8(kind)?,
            at: EPOCH_2020 + u64::from(u32::from_le_bytes(array(bytes, 8)?)),
        })
    }
}
