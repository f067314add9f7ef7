use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::Encoding;

/// From which sizes on a body is treated how, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) min: u64,
    pub(super) offload_above: u64,
    pub(super) stream_above: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    Inline,
    Offload,
    Stream,
}

pub(super) fn choose(encoding: Encoding, headers: &HeaderMap, size: u64, sizes: Sizes) -> Way {
    if encoding == Encoding::Identity
        || size == 0
        || size < sizes.min
        || headers.contains_key(CONTENT_ENCODING)
        || is_compressed(headers)
    {
        Way::Plain
    } else if size > sizes.stream_above {
        Way::Stream
    } else if size > sizes.offload_above {
        Way::Offload
    } else {
        Way::Inline
    }
}

/// Whether the media type says that the content is compressed by itself.
fn is_compressed(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.split_once('/') {
        Some(("image", kind)) => !matches!(kind, "svg+xml" | "bmp" | "x-portable-pixmap"),
        Some(("audio", kind)) => !matches!(kind, "wav" | "x-wav" | "midi"),
        Some(("video", _)) => true,
        Some(("font", kind)) => kind.starts_with("woff"),
        Some(("application", kind)) => matches!(
            kind,
            "gzip" | "x-gzip" | "zip" | "zstd" | "x-7z-compressed" | "x-bzip2" | "x-xz" | "x-brotli"
        ),
        _ => false,
    }
}
