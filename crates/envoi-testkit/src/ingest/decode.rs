use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::Problem;

/// The largest window that a zstd frame may ask for: 8 MiB, as RFC 9659 says for this content encoding.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A content encoding (CO-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// `gzip`.
    Gzip,
    /// `deflate`, in the zlib format.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

impl Encoding {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The encoding that the headers say; `None` for a plain body.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Ok(None),
            (Some(value), None) => value.to_str().map_err(|_| Problem::UnknownEncoding)?.trim(),
            _ => return Err(Problem::UnknownEncoding),
        };
        if value.is_empty() || value.eq_ignore_ascii_case("identity") {
            return Ok(None);
        }
        [Self::Gzip, Self::Deflate, Self::Brotli, Self::Zstd]
            .into_iter()
            .find(|known| value.eq_ignore_ascii_case(known.as_str()))
            .map(Some)
            .ok_or(Problem::UnknownEncoding)
    }

    /// Decodes `wire`, up to `limit` bytes: what would be larger is never produced.
    pub(super) fn decode(self, wire: &[u8], limit: u64) -> Result<Bytes, Problem> {
        let decode = |error: io::Error| Problem::Decode(error.to_string());
        match self {
            Self::Gzip => bounded(MultiGzDecoder::new(wire), limit).map(|(plain, _)| plain),
            Self::Deflate => {
                let (plain, decoder) = bounded(ZlibDecoder::new(wire), limit)?;
                if decoder.total_in() < wire.len() as u64 {
                    return Err(Problem::Decode("bytes follow the end of the zlib stream".to_owned()));
                }
                Ok(plain)
            }
            Self::Brotli => bounded(brotli::Decompressor::new(wire, 4096), limit).map(|(plain, _)| plain),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(wire).map_err(decode)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(decode)?;
                bounded(decoder, limit).map(|(plain, _)| plain)
            }
        }
    }
}

fn bounded<R: Read>(decoder: R, limit: u64) -> Result<(Bytes, R), Problem> {
    let mut plain = Vec::new();
    let mut bounded = decoder.take(limit.saturating_add(1));
    bounded.read_to_end(&mut plain).map_err(|error| Problem::Decode(error.to_string()))?;
    if plain.len() as u64 > limit {
        return Err(Problem::TooLarge { limit });
    }
    Ok((plain.into(), bounded.into_inner()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Encoding; 4] = [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd];

    proptest! {
        /// CO-1: whatever comes, a decoder ends, and never gives more than it may.
        #[test]
        fn no_input_makes_a_decoder_exceed_its_limit(
            wire in proptest::collection::vec(any::<u8>(), 0..400),
            limit in 0_u64..100,
        ) {
            for encoding in ALL {
                if let Ok(plain) = encoding.decode(&wire, limit) {
                    prop_assert!(plain.len() as u64 <= limit);
                }
            }
        }
    }

    /// A frame may not make the decoder set aside more than 8 MiB for its window (RFC 9659).
    #[test]
    fn a_zstd_window_is_bounded() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        std::io::Write::write_all(&mut encoder, b"{}\n").unwrap();
        let wire = encoder.finish().unwrap();
        assert!(matches!(Encoding::Zstd.decode(&wire, 100), Err(Problem::Decode(_))));
    }
}
