use super::{HeaderError, VERSION, array, crc};

/// Length of the file `SPOOL`.
pub const SPOOL_LEN: usize = 64;
const MAGIC: &[u8; 8] = b"SPOOLDB1";

/// The file `SPOOL` of a slot: who this spool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolHeader {
    /// Features that a reader must know; none is defined in v1.
    pub features: u16,
    /// The id of the spool.
    pub uuid: [u8; 16],
    /// The random salt that seeds its check sums.
    pub salt: u32,
    /// Creation, milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl SpoolHeader {
    /// The file as it is written.
    #[must_use]
    pub fn encode(&self) -> [u8; SPOOL_LEN] {
        let mut out = [0; SPOOL_LEN];
        out[0..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[10..12].copy_from_slice(&self.features.to_le_bytes());
        out[12..28].copy_from_slice(&self.uuid);
        out[28..32].copy_from_slice(&self.salt.to_le_bytes());
        out[32..40].copy_from_slice(&self.created_ms.to_le_bytes());
        let sum = crc(0, &out[..60]);
        out[60..64].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads the file.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        Self::read(bytes).ok_or(HeaderError::Damaged)?
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
            uuid: array(bytes, 12)?,
            salt: u32::from_le_bytes(array(bytes, 28)?),
            created_ms: u64::from_le_bytes(array(bytes, 32)?),
        }))
    }
}
