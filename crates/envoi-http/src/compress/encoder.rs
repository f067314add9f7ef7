use envoi_core::BoxError;

use super::Encoding;

/// One compressor at work. Output is appended to the caller's buffer, which is the only one.
pub(super) enum Encoder {
    #[cfg(feature = "gzip")]
    Zlib(flate2::Compress),
    #[cfg(feature = "br")]
    Brotli { level: u32, writer: Option<Box<brotli::CompressorWriter<Vec<u8>>>> },
    #[cfg(feature = "zstd")]
    Zstd(zstd::stream::raw::Encoder<'static>),
    /// Copies. The layer never gets that far; it is what is left when no coding is built in.
    Copy,
}

impl Encoder {
    /// `level` is within the range of `encoding`.
    #[cfg_attr(not(any(feature = "gzip", feature = "br", feature = "zstd")), expect(unused_variables))]
    pub(super) fn new(encoding: Encoding, level: u32) -> Result<Self, BoxError> {
        Ok(match encoding {
            Encoding::Identity => Self::Copy,
            #[cfg(feature = "gzip")]
            Encoding::Gzip => Self::Zlib(flate2::Compress::new_gzip(flate2::Compression::new(level), 15)),
            #[cfg(feature = "gzip")]
            Encoding::Deflate => Self::Zlib(flate2::Compress::new(flate2::Compression::new(level), true)),
            #[cfg(feature = "br")]
            Encoding::Brotli => Self::Brotli { level, writer: None },
            #[cfg(feature = "zstd")]
            Encoding::Zstd => {
                let mut zstd = zstd::stream::raw::Encoder::new(level.cast_signed())?;
                if level > 19 {
                    // RFC 9659: no window above 8 MiB in a content coding, which only these levels would use.
                    zstd.set_parameter(zstd::stream::raw::CParameter::WindowLog(23))?;
                }
                Self::Zstd(zstd)
            }
        })
    }

    /// Compresses `input`; what comes out is appended to `out`. Much may stay inside until [`Encoder::finish`].
    pub(super) fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), BoxError> {
        match self {
            #[cfg(feature = "gzip")]
            Self::Zlib(zlib) => {
                let mut rest = input;
                while !rest.is_empty() {
                    make_room(out);
                    let before = zlib.total_in();
                    zlib.compress_vec(rest, out, flate2::FlushCompress::None)?;
                    rest = &rest[usize::try_from(zlib.total_in() - before)?..];
                }
            }
            #[cfg(feature = "br")]
            Self::Brotli { level, writer } => {
                let level = *level;
                let writer = writer.get_or_insert_with(|| Box::new(brotli_writer(level)));
                std::mem::swap(writer.get_mut(), out);
                let written = std::io::Write::write_all(&mut **writer, input);
                std::mem::swap(writer.get_mut(), out);
                written?;
            }
            #[cfg(feature = "zstd")]
            Self::Zstd(zstd) => {
                use zstd::stream::raw::{InBuffer, Operation as _, OutBuffer};
                let mut input = InBuffer::around(input);
                while input.pos() < input.src.len() {
                    make_room(out);
                    let end = out.len();
                    zstd.run(&mut input, &mut OutBuffer::around_pos(out, end))?;
                }
            }
            Self::Copy => out.extend_from_slice(input),
        }
        Ok(())
    }

    /// Ends the stream and makes the encoder fit for the next.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), BoxError> {
        match self {
            #[cfg(feature = "gzip")]
            Self::Zlib(zlib) => {
                loop {
                    make_room(out);
                    if zlib.compress_vec(&[], out, flate2::FlushCompress::Finish)?
                        == flate2::Status::StreamEnd
                    {
                        break;
                    }
                }
                zlib.reset();
            }
            #[cfg(feature = "br")]
            Self::Brotli { level, writer } => {
                let mut writer = *writer.take().unwrap_or_else(|| Box::new(brotli_writer(*level)));
                std::mem::swap(writer.get_mut(), out);
                *out = writer.into_inner();
            }
            #[cfg(feature = "zstd")]
            Self::Zstd(zstd) => {
                use zstd::stream::raw::{Operation as _, OutBuffer};
                loop {
                    make_room(out);
                    let end = out.len();
                    if zstd.finish(&mut OutBuffer::around_pos(out, end), true)? == 0 {
                        break;
                    }
                }
                zstd.reinit()?;
            }
            Self::Copy => out.shrink_to_fit(),
        }
        Ok(())
    }
}

/// Spare capacity is what the compressors write into; they do not grow the buffer themselves.
#[cfg(any(feature = "gzip", feature = "zstd"))]
fn make_room(out: &mut Vec<u8>) {
    if out.capacity() - out.len() < 64 {
        out.reserve(out.capacity().clamp(512, 1024 * 1024));
    }
}

#[cfg(feature = "br")]
fn brotli_writer(level: u32) -> brotli::CompressorWriter<Vec<u8>> {
    brotli::CompressorWriter::new(Vec::new(), 4096, level, 20)
}
