use std::error::Error;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use envoi_core::{BoxError, Durable};
use memchr::{memchr, memchr_iter};
use serde::{Deserialize, Serialize};

use crate::{Batch, Event, EventError};

/// The most bytes that [`Batch::from_bytes`] looks at, and [`Batch::to_bytes`] makes: 64 MiB.
pub const MAX_BATCH_BYTES: usize = 64 << 20;
/// The most events of a batch that rests: a million.
pub const MAX_BATCH_EVENTS: usize = 1_000_000;

const NAME: &str = "batch";
const VERSION: u32 = 1;
/// A header is some forty bytes; this leaves room for later versions.
const MAX_HEADER: usize = 1024;

/// The first line. Members that are not known are for later versions.
#[derive(Serialize, Deserialize)]
struct Header {
    envoi: String,
    version: u32,
    events: usize,
}

impl Batch {
    /// The batch as bytes that [`Batch::from_bytes`] reads: a line with a header, then one event per line.
    ///
    /// # Errors
    /// If there is more than [`MAX_BATCH_EVENTS`] and [`MAX_BATCH_BYTES`] allow.
    pub fn to_bytes(&self) -> Result<Bytes, MalformedBatch> {
        let header = Header { envoi: NAME.to_owned(), version: VERSION, events: self.len() };
        let mut header = serde_json::to_vec(&header).map_err(MalformedBatch::Header)?;
        header.push(b'\n');
        let bytes = self.events().iter().fold(header.len(), |sum, event| sum + event.len() + 1);
        within_bounds(bytes, self.len())?;
        let mut whole = BytesMut::with_capacity(bytes);
        whole.extend_from_slice(&header);
        for event in self.events() {
            whole.extend_from_slice(event.as_bytes());
            whole.extend_from_slice(b"\n");
        }
        Ok(whole.freeze())
    }

    /// The batch back from its bytes. The events share them.
    ///
    /// # Errors
    /// If the bytes are not a batch, whole and of a version that is known. Nothing of a damaged batch is used.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, MalformedBatch> {
        let mut bytes = bytes.into();
        within_bounds(bytes.len(), 0)?;
        let Some(end) = memchr(b'\n', &bytes[..bytes.len().min(MAX_HEADER)]) else {
            return Err(MalformedBatch::NoHeader);
        };
        let header: Header = serde_json::from_slice(&bytes[..end]).map_err(MalformedBatch::Header)?;
        if header.envoi != NAME {
            return Err(MalformedBatch::NoHeader);
        }
        if header.version != VERSION {
            return Err(MalformedBatch::Version(header.version));
        }
        within_bounds(0, header.events)?;
        bytes.advance(end + 1);
        let mut events = Vec::new();
        while let Some(end) = memchr(b'\n', &bytes) {
            let line = bytes.split_to(end + 1);
            let number = events.len() + 1;
            // An event in memory is larger than a short line: a header that lies must not make us gather millions.
            if number > header.events {
                let found = number + memchr_iter(b'\n', &bytes).count();
                return Err(MalformedBatch::Count { said: header.events, found });
            }
            let event = Event::from_json(line).map_err(|source| MalformedBatch::Event { number, source })?;
            events.push(event);
        }
        // What follows the last line break is a line that was cut off.
        if events.len() != header.events || !bytes.is_empty() {
            return Err(MalformedBatch::Count { said: header.events, found: events.len() });
        }
        Ok(Self::new(events))
    }
}

const fn within_bounds(bytes: usize, events: usize) -> Result<(), MalformedBatch> {
    if bytes > MAX_BATCH_BYTES || events > MAX_BATCH_EVENTS {
        return Err(MalformedBatch::TooLarge { bytes, events });
    }
    Ok(())
}

/// [`Batch::to_bytes`] and [`Batch::from_bytes`].
impl Durable for Batch {
    fn freeze(&self) -> Result<Bytes, BoxError> {
        Ok(self.to_bytes()?)
    }

    fn thaw(bytes: Bytes) -> Result<Self, BoxError> {
        Ok(Self::from_bytes(bytes)?)
    }
}

/// Why bytes are no batch, or a batch cannot be made bytes.
#[derive(Debug)]
#[non_exhaustive]
pub enum MalformedBatch {
    /// Larger than [`MAX_BATCH_BYTES`], or more events than [`MAX_BATCH_EVENTS`].
    TooLarge {
        /// The bytes, as far as they are known.
        bytes: usize,
        /// The events, as far as they are known.
        events: usize,
    },
    /// It does not begin with a header of ours.
    NoHeader,
    /// The header is damaged.
    Header(serde_json::Error),
    /// It is of another version.
    Version(u32),
    /// A line is no event.
    Event {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        source: EventError,
    },
    /// Something is missing, or too much.
    Count {
        /// As many events as the header says.
        said: usize,
        /// As many events as there are.
        found: usize,
    },
}

impl fmt::Display for MalformedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, events } => write!(
                f,
                "a batch of {events} events and {bytes} bytes is too large to be stored, {MAX_BATCH_EVENTS} and \
                 {MAX_BATCH_BYTES} are allowed"
            ),
            Self::NoHeader => f.write_str("the bytes do not begin with the header of a batch"),
            Self::Header(_) => f.write_str("the header of the batch is damaged"),
            Self::Version(version) => {
                write!(f, "the batch is of version {version}, and only version {VERSION} is known")
            }
            Self::Event { number, .. } => write!(f, "event {number} of the batch is damaged"),
            Self::Count { said, found } => {
                write!(f, "the batch should have {said} events, and {found} whole ones are there")
            }
        }
    }
}

impl Error for MalformedBatch {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Header(error) => Some(error),
            Self::Event { source, .. } => Some(source),
            _ => None,
        }
    }
}
