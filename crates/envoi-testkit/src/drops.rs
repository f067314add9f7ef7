use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Tells whether everything that a test handed out has been dropped.
///
/// Put a [`DropToken`] into a payload, or take tracked [`Bytes`] as one. Clones of a token count on their own, so a
/// copy that somebody keeps is seen too.
///
/// ```
/// use envoi_testkit::Drops;
/// let drops = Drops::new();
/// let body = drops.bytes("payload");
/// let copy = body.slice(1..); // shares the memory
/// drop(body);
/// assert_eq!(drops.alive(), 1);
/// drop(copy);
/// assert_eq!(drops.alive(), 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Drops {
    alive: Arc<AtomicUsize>,
}

impl Drops {
    /// A detector with nothing to detect yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A value whose drop is seen.
    #[must_use]
    pub fn token(&self) -> DropToken {
        self.alive.fetch_add(1, Ordering::Relaxed);
        DropToken { alive: Arc::clone(&self.alive) }
    }

    /// Bytes whose drop is seen, once the last handle to them is gone.
    #[must_use]
    pub fn bytes(&self, content: impl Into<Vec<u8>>) -> Bytes {
        Bytes::from_owner(Tracked { content: content.into(), _token: self.token() })
    }

    /// How many tokens exist at this moment.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }
}

/// One value that [`Drops`] watches.
#[derive(Debug)]
pub struct DropToken {
    alive: Arc<AtomicUsize>,
}

impl Clone for DropToken {
    fn clone(&self) -> Self {
        Drops { alive: Arc::clone(&self.alive) }.token()
    }
}

impl Drop for DropToken {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Tracked {
    content: Vec<u8>,
    _token: DropToken,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}
