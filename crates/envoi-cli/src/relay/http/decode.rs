//! Content encodings, bounded: what would be larger is never produced (CO-1).

use std::io::Read;

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::Refusal;
use crate::relay::memory::Share;

/// The largest window that a zstd frame may ask for: 8 MiB, as RFC 9659 says for this content encoding.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How much is decoded at a time.
const STEP: usize = 32 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    /// What the headers say.
    ///
    /// # Errors
    /// If it is something else, or several.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let name = match (values.next(), values.next()) {
            (None, _) => return Ok(Self::Identity),
            (Some(value), None) => value.to_str().map_err(|_| Refusal::UnknownEncoding)?.trim(),
            _ => return Err(Refusal::UnknownEncoding),
        };
        [
            ("", Self::Identity),
            ("identity", Self::Identity),
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("deflate", Self::Deflate),
            ("br", Self::Brotli),
            ("zstd", Self::Zstd),
        ]
        .into_iter()
        .find_map(|(known, encoding)| name.eq_ignore_ascii_case(known).then_some(encoding))
        .ok_or(Refusal::UnknownEncoding)
    }

    /// Decodes `wire` to at most `limit` bytes, and takes what they need from the budget.
    ///
    /// # Errors
    /// If it is not in this encoding, gives more, or there is no memory for it.
    pub(super) fn decode(self, wire: Bytes, limit: usize, share: &mut Share) -> Result<Bytes, Refusal> {
        match self {
            Self::Identity => Ok(wire),
            Self::Gzip => bounded(MultiGzDecoder::new(&*wire), limit, wire.len(), share),
            Self::Deflate => {
                let mut decoder = ZlibDecoder::new(&*wire);
                let plain = bounded(&mut decoder, limit, wire.len(), share)?;
                if decoder.total_in() < wire.len() as u64 {
                    return Err(Refusal::Decode("bytes follow the end of the zlib stream".to_owned()));
                }
                Ok(plain)
            }
            Self::Brotli => bounded(brotli::Decompressor::new(&*wire, 4096), limit, wire.len(), share),
            Self::Zstd => {
                let wrong = |error: std::io::Error| Refusal::Decode(error.to_string());
                let mut decoder = zstd::stream::read::Decoder::with_buffer(&*wire).map_err(wrong)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(wrong)?;
                bounded(decoder, limit, wire.len(), share)
            }
        }
    }
}

fn bounded(mut decoder: impl Read, limit: usize, wire: usize, share: &mut Share) -> Result<Bytes, Refusal> {
    let mut plain = Vec::new();
    let mut step = vec![0; STEP];
    loop {
        let read = decoder.read(&mut step).map_err(|error| Refusal::Decode(error.to_string()))?;
        let Some(decoded) = step.get(..read).filter(|decoded| !decoded.is_empty()) else { break };
        if plain.len() + decoded.len() > limit {
            return Err(Refusal::TooLarge { limit });
        }
        // Doubling, but never beyond what is allowed.
        if plain.capacity() - plain.len() < decoded.len() {
            let room = (plain.capacity() * 2).clamp(plain.len() + decoded.len(), limit);
            share.grow_to(wire + room).map_err(|_| Refusal::Memory)?;
            plain.reserve_exact(room - plain.len());
        }
        plain.extend_from_slice(decoded);
    }
    plain.shrink_to_fit();
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::relay::memory::Memory;

    const ALL: [Encoding; 4] = [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd];

    fn encode(encoding: Encoding, plain: &[u8]) -> Bytes {
        let mut wire = Vec::new();
        match encoding {
            Encoding::Identity => wire.extend_from_slice(plain),
            Encoding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(&mut wire, flate2::Compression::best());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap();
            }
            Encoding::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(&mut wire, flate2::Compression::best());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap();
            }
            Encoding::Brotli => {
                brotli::CompressorWriter::new(&mut wire, 4096, 5, 22).write_all(plain).unwrap();
            }
            Encoding::Zstd => wire = zstd::encode_all(plain, 3).unwrap(),
        }
        wire.into()
    }

    fn share() -> Share {
        Memory::new(1 << 20).share()
    }

    proptest! {
        /// CO-1: every encoding gives back what was encoded.
        #[test]
        fn what_was_encoded_is_decoded(plain in proptest::collection::vec(any::<u8>(), 0..4000)) {
            for encoding in ALL {
                let back = encoding.decode(encode(encoding, &plain), 4000, &mut share()).unwrap();
                prop_assert_eq!(&*back, &plain[..]);
            }
        }

        /// CO-1: whatever comes, a decoder ends, and never gives more than it may.
        #[test]
        fn no_input_exceeds_the_limit(
            wire in proptest::collection::vec(any::<u8>(), 0..400),
            limit in 0_usize..100,
        ) {
            for encoding in ALL {
                if let Ok(plain) = encoding.decode(wire.clone().into(), limit, &mut share()) {
                    prop_assert!(plain.len() <= limit);
                }
            }
        }
    }

    /// CO-1: a bomb costs its limit, not its size; and it stops earlier where memory is short.
    #[test]
    fn bombs_stop_at_the_limit() {
        let bomb = vec![0; 8 << 20];
        for encoding in ALL {
            let wire = encode(encoding, &bomb);
            assert!(wire.len() < 64 << 10, "{encoding:?}");
            let refused = encoding.decode(wire.clone(), 256 << 10, &mut share());
            assert!(matches!(refused, Err(Refusal::TooLarge { limit: 262_144 })), "{encoding:?}");
            let short = encoding.decode(wire, 16 << 20, &mut share());
            assert!(matches!(short, Err(Refusal::Memory)), "{encoding:?}");
        }
    }

    /// A frame may not make the decoder set aside more than 8 MiB for its window (RFC 9659).
    #[test]
    fn a_zstd_window_is_bounded() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"{}\n").unwrap();
        let wire = encoder.finish().unwrap();
        assert!(matches!(Encoding::Zstd.decode(wire.into(), 100, &mut share()), Err(Refusal::Decode(_))));
    }

    #[test]
    fn several_encodings_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(Encoding::of(&headers).unwrap(), Encoding::Identity);
        headers.insert(CONTENT_ENCODING, "GZIP".parse().unwrap());
        assert_eq!(Encoding::of(&headers).unwrap(), Encoding::Gzip);
        headers.append(CONTENT_ENCODING, "br".parse().unwrap());
        assert!(Encoding::of(&headers).is_err());
        headers.insert(CONTENT_ENCODING, "gzip, br".parse().unwrap());
        assert!(Encoding::of(&headers).is_err());
    }
}
