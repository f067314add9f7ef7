use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::choose::Sizes;
use super::pool::Pool;
use super::{Compress, Encoding};

/// The [`Layer`](tower_layer::Layer) of [`Compress`]. See the module documentation.
///
/// Services made from one layer, and clones of them, share their encoders.
#[derive(Clone)]
pub struct CompressLayer {
    pool: Arc<Pool>,
    sizes: Sizes,
}

impl CompressLayer {
    /// Compresses with `encoding`, at the level that pays for telemetry.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        let sizes = Sizes { min: 1024, offload_above: 256 * 1024, stream_above: 8 * 1024 * 1024 };
        Self { pool: Arc::new(Pool::new(encoding, encoding.default_level())), sizes }
    }

    /// Leaves every body as it is.
    #[must_use]
    pub fn identity() -> Self {
        Self::new(Encoding::Identity)
    }

    /// gzip, which every ingest endpoint reads.
    #[cfg(feature = "gzip")]
    #[must_use]
    pub fn gzip() -> Self {
        Self::new(Encoding::Gzip)
    }

    /// deflate, in the zlib format.
    #[cfg(feature = "gzip")]
    #[must_use]
    pub fn deflate() -> Self {
        Self::new(Encoding::Deflate)
    }

    /// Brotli.
    #[cfg(feature = "br")]
    #[must_use]
    pub fn br() -> Self {
        Self::new(Encoding::Brotli)
    }

    /// Zstandard.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn zstd() -> Self {
        Self::new(Encoding::Zstd)
    }

    /// How hard to try. Cut to what the coding knows, see [`Encoding`].
    #[must_use]
    pub fn level(mut self, level: u32) -> Self {
        self.pool = Arc::new(Pool::new(self.pool.encoding, self.pool.encoding.clamp(level)));
        self
    }

    /// Bodies below this many bytes are sent as they are. Default 1 KiB.
    #[must_use]
    pub const fn min_size(mut self, bytes: u64) -> Self {
        self.sizes.min = bytes;
        self
    }

    /// Bodies above this many bytes are compressed on a blocking thread. Default 256 KiB, which takes about 5 ms.
    ///
    /// Outside a tokio runtime there is no such thread, and everything is compressed in place.
    #[must_use]
    pub const fn offload_above(mut self, bytes: u64) -> Self {
        self.sizes.offload_above = bytes;
        self
    }

    /// Bodies above this many bytes are compressed while they are sent (CO-2). Default 8 MiB.
    ///
    /// Such a request has no `content-length`. Give [`u64::MAX`] for servers that insist on one.
    #[must_use]
    pub const fn stream_above(mut self, bytes: u64) -> Self {
        self.sizes.stream_above = bytes;
        self
    }
}

impl fmt::Debug for CompressLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressLayer")
            .field("encoding", &self.pool.encoding)
            .field("level", &self.pool.level)
            .field("sizes", &self.sizes)
            .finish()
    }
}

impl<S> Layer<S> for CompressLayer {
    type Service = Compress<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Compress::new(inner, self.pool.clone(), self.sizes)
    }
}
