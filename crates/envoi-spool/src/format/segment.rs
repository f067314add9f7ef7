use std::fmt;

use super::{VERSION, array, crc};

/// Length of one copy of the segment header.
pub const SEGMENT_HEADER_LEN: usize = 64;
/// Where the first frame begins: after the two copies of the header.
pub const DATA_OFFSET: u64 = 128;

const MAGIC: &[u8; 8] = b"SPOOLSG1";

/// The head of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Features that a reader must know; none is defined in v1.
    pub features: u16,
    /// Segment id; ids of a lane only grow.
    pub id: u64,
    /// The sequence number of the first record.
    pub base_seq: u64,
    /// Creation, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// The random salt of the spool, the same in all its segments.
    pub salt: u32,
    /// The id of the spool.
    pub uuid: [u8; 16],
}

/// Why a header is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// Too short, other magic or bad check sum.
    Damaged,
    /// Written by a newer version: must not be touched.
    Version(u16),
    /// Uses features that this version does not know: must not be touched.
    Features(u16),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("the header is damaged"),
            Self::Version(version) => {
                write!(f, "format version {version} is newer than {VERSION}, use a newer envoi")
            }
            Self::Features(bits) => write!(f, "unknown incompatible features {bits:#06x}, use a newer envoi"),
        }
    }
}

impl std::error::Error for HeaderError {}

impl SegmentHeader {
    /// The header as it is written, once.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut out = [0; SEGMENT_HEADER_LEN];
        out[0..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[10..12].copy_from_slice(&self.features.to_le_bytes());
        out[12..16].copy_from_slice(&128_u32.to_le_bytes());
        out[16..24].copy_from_slice(&self.id.to_le_bytes());
        out[24..32].copy_from_slice(&self.base_seq.to_le_bytes());
        out[32..40].copy_from_slice(&self.created_ms.to_le_bytes());
        out[40..44].copy_from_slice(&self.salt.to_le_bytes());
        out[44..60].copy_from_slice(&self.uuid);
        let sum = crc(0, &out[..60]);
        out[60..64].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads one copy.
    ///
    /// # Errors
    /// See [`HeaderError`]. The version and the features are looked at only when the check sum is right.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        Self::read(bytes).ok_or(HeaderError::Damaged)?
    }

    /// Reads the first copy that is intact, given the beginning of the file.
    ///
    /// # Errors
    /// Of the first copy, if neither is usable.
    pub fn decode_either(bytes: &[u8]) -> Result<Self, HeaderError> {
        let first = Self::decode(bytes);
        match first {
            Err(HeaderError::Damaged) => Self::decode(bytes.get(SEGMENT_HEADER_LEN..).unwrap_or_default()),
            other => other,
        }
    }

    fn read(bytes: &[u8]) -> Option<Result<Self, HeaderError>> {
        let sum = u32::from_le_bytes(array(bytes, 60)?);
        if bytes.get(..8)? != MAGIC || sum != crc(0, bytes.get(..60)?) {
            return None;
        }
        let version = u16::from_le_bytes(array(bytes, 8)?);
        let features = u16::from_le_bytes(array(bytes, 10)?);
        if version != VERSION {
            return Some(Err(HeaderError::Version(version)));
        }
        if features != 0 {
            return Some(Err(HeaderError::Features(features)));
        }
        Some(Ok(Self {
            features,
            id: u64::from_le_bytes(array(bytes, 16)?),
            base_seq: u64::from_le_bytes(array(bytes, 24)?),
            created_ms: u64::from_le_bytes(array(bytes, 32)?),
            salt: u32::from_le_bytes(array(bytes, 40)?),
            uuid: array(bytes, 44)?,
        }))
    }
}

/// The seed of the frame headers of one segment.
#[must_use]
pub fn segment_salt(salt: u32, id: u64) -> u32 {
    crc(salt, &id.to_le_bytes())
}
