use std::fmt;
use std::str::FromStr;

/// A content coding for requests. Which there are depends on the features of this crate.
///
/// ```
/// # #[cfg(feature = "gzip")] {
/// use envoi_http::Encoding;
/// assert_eq!("gzip".parse(), Ok(Encoding::Gzip));
/// assert_eq!(Encoding::Deflate.to_string(), "deflate");
/// # }
/// assert!("lzw".parse::<envoi_http::Encoding>().unwrap_err().to_string().contains("built in: identity"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// No compression.
    #[default]
    Identity,
    /// gzip, RFC 1952. Levels 0 to 9, default 5.
    #[cfg(feature = "gzip")]
    Gzip,
    /// deflate in the zlib format, RFC 1950, as HTTP means it (RFC 9110 §8.4.1.2). Levels 0 to 9, default 5.
    #[cfg(feature = "gzip")]
    Deflate,
    /// Brotli, RFC 7932. Levels 0 to 11, default 4.
    #[cfg(feature = "br")]
    Brotli,
    /// Zstandard, RFC 8878. Levels 1 to 22, default 3.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Encoding {
    /// Every coding that is built in.
    pub const ALL: &[Self] = &[
        Self::Identity,
        #[cfg(feature = "gzip")]
        Self::Gzip,
        #[cfg(feature = "gzip")]
        Self::Deflate,
        #[cfg(feature = "br")]
        Self::Brotli,
        #[cfg(feature = "zstd")]
        Self::Zstd,
    ];

    /// The name in `content-encoding`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            #[cfg(feature = "gzip")]
            Self::Gzip => "gzip",
            #[cfg(feature = "gzip")]
            Self::Deflate => "deflate",
            #[cfg(feature = "br")]
            Self::Brotli => "br",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    /// The level that pays for telemetry, as measured on event-like JSON.
    pub(super) const fn default_level(self) -> u32 {
        match self {
            Self::Identity => 0,
            // Levels 1 to 3 of zlib-rs compress badly, 6 costs more than it saves.
            #[cfg(feature = "gzip")]
            Self::Gzip | Self::Deflate => 5,
            #[cfg(feature = "br")]
            Self::Brotli => 4,
            #[cfg(feature = "zstd")]
            Self::Zstd => 3,
        }
    }

    pub(super) fn clamp(self, level: u32) -> u32 {
        let (low, high) = match self {
            Self::Identity => (0, 0),
            #[cfg(feature = "gzip")]
            Self::Gzip | Self::Deflate => (0, 9),
            #[cfg(feature = "br")]
            Self::Brotli => (0, 11),
            #[cfg(feature = "zstd")]
            Self::Zstd => (1, 22),
        };
        level.clamp(low, high)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        let known = Self::ALL.iter().find(|encoding| encoding.as_str().eq_ignore_ascii_case(name));
        known.copied().ok_or_else(|| UnknownEncoding(name.chars().take(32).collect()))
    }
}

/// A content coding that is unknown or not built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEncoding(String);

impl fmt::Display for UnknownEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown encoding {:?}, built in: ", self.0)?;
        for (position, encoding) in Encoding::ALL.iter().enumerate() {
            write!(f, "{}{encoding}", if position == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownEncoding {}
