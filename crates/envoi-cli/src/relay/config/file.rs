//! The file: TOML, every key known, every error with its line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Ack;
use super::units::{Size, Span};
use super::upstream::{HostRule, UpstreamText};
use super::way::ProxyUrl;
use crate::error::CliError;

/// What a file may say. What it does not say has a default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) listen: Option<SocketAddr>,
    pub(super) upstream: Option<UpstreamText>,
    pub(super) upstream_hosts: Vec<HostRule>,
    pub(super) allowed_keys: Option<Vec<String>>,
    pub(super) ack: Option<Ack>,
    pub(super) spool: SpoolTable,
    pub(super) limits: LimitsTable,
    pub(super) timeouts: TimeoutsTable,
    pub(super) forward: ForwardTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SpoolTable {
    pub(super) dir: Option<PathBuf>,
    pub(super) max_bytes: Option<Size>,
    pub(super) max_envelopes: Option<u32>,
    pub(super) max_age: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsTable {
    pub(super) connections: Option<u16>,
    pub(super) header: Option<Size>,
    pub(super) body: Option<Size>,
    pub(super) memory: Option<Size>,
    pub(super) destinations: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimeoutsTable {
    pub(super) header: Option<Span>,
    pub(super) body: Option<Span>,
    pub(super) idle: Option<Span>,
    pub(super) shutdown: Option<Span>,
    pub(super) destination_idle: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ForwardTable {
    pub(super) encoding: Option<EncodingName>,
    pub(super) concurrency: Option<u16>,
    pub(super) timeout: Option<Span>,
    pub(super) retry_first: Option<Span>,
    pub(super) retry_longest: Option<Span>,
    pub(super) replay_pause: Option<Span>,
    pub(super) ca: Option<PathBuf>,
    pub(super) proxy: Option<ProxyUrl>,
    pub(super) no_proxy: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EncodingName {
    Identity,
    Gzip,
    Deflate,
    Br,
    Zstd,
}

impl From<EncodingName> for envoi::Encoding {
    fn from(name: EncodingName) -> Self {
        match name {
            EncodingName::Identity => Self::Identity,
            EncodingName::Gzip => Self::Gzip,
            EncodingName::Deflate => Self::Deflate,
            EncodingName::Br => Self::Brotli,
            EncodingName::Zstd => Self::Zstd,
        }
    }
}

/// A configuration of this size is none.
const MOST_BYTES: u64 = 1 << 20;

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let wrong = |error: &dyn std::fmt::Display| {
            CliError::usage(format_args!("cannot read the configuration {}: {error}", path.display()))
        };
        let length = std::fs::metadata(path).map_err(|error| wrong(&error))?.len();
        if length > MOST_BYTES {
            return Err(wrong(&format_args!("{length} bytes are too many")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        Self::parse(&text).map_err(|error| CliError::usage(format_args!("{}:{error}", path.display())))
    }

    /// The error begins with the line, and quotes no value: it may be a DSN (AU-7).
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let message: Vec<&str> = error.message().lines().map(str::trim).collect();
            format!("{line}: {}", message.join(" "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_line_and_no_secret() {
        for (text, line, part) in [
            ("listen = \"127.0.0.1:1\"\nlisten_to = 1\n", 2, "unknown field `listen_to`"),
            ("\n\n[limits]\nbody = \"50 MB\"\n", 4, "not a size"),
            ("[timeouts]\nidle = 5\n", 2, "a time in quotes"),
            ("[spool]\nmax_age = \"0s\"\n", 2, "longer than nothing"),
            ("upstream = \"https://pub:topsecret@/42\"\n", 1, "host"),
            ("upstream_hosts = [\"a\",\n\"b c\"]\n", 2, "not a host"),
            ("ack = \"maybe\"\n", 1, "unknown variant"),
            ("listen = \"localhost\"\n", 1, "socket address"),
            ("[forward]\nconcurrency = 70000\n", 2, "70000"),
            ("[forward]\nproxy = \"ftp://u:topsecret@p\"\n", 2, "ftp"),
            ("= broken", 1, ""),
        ] {
            let error = File::parse(text).unwrap_err();
            assert!(error.starts_with(&format!("{line}: ")), "{text:?}: {error}");
            assert!(error.contains(part) && !error.contains("topsecret"), "{text:?}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
