use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject as _, SectionKind};

use super::{TlsConfigError, TlsConfigProblem};

/// More than any bundle: the platform's hold some 300 KiB.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Reads a file of certificates or keys.
pub(super) fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsConfigError> {
    let fail = |problem| TlsConfigError::new(what, problem).in_file(path);
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| fail(TlsConfigProblem::Unreadable).caused_by(error))?;
    file.take(LARGEST + 1)
        .read_to_end(&mut content)
        .map_err(|error| fail(TlsConfigProblem::Unreadable).caused_by(error))?;
    if content.len() as u64 > LARGEST { Err(fail(TlsConfigProblem::TooLarge)) } else { Ok(content) }
}

/// Whether it is text rather than DER.
pub(super) fn is_pem(content: &[u8]) -> bool {
    find(content, b"-----BEGIN ")
}

/// The blocks of a PEM text that are of a known kind, with their numbers from 1. The text around them is ignored, as
/// RFC 7468 §2 has it.
pub(super) fn blocks(what: &'static str, pem: &[u8]) -> Result<Vec<Block>, TlsConfigError> {
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let number = found.len() + 1;
        let (kind, der) =
            section.map_err(|error| TlsConfigError::new(what, describe(&error)).in_block(number))?;
        found.push(Block { number, kind, der });
    }
    Ok(found)
}

pub(super) struct Block {
    pub(super) number: usize,
    pub(super) kind: SectionKind,
    pub(super) der: Vec<u8>,
}

/// Whether a key in it is protected by a password.
pub(super) fn is_encrypted(pem: &[u8]) -> bool {
    find(pem, b"BEGIN ENCRYPTED PRIVATE KEY") || find(pem, b"Proc-Type: 4,ENCRYPTED")
}

fn find(content: &[u8], wanted: &[u8]) -> bool {
    content.windows(wanted.len()).any(|window| window == wanted)
}

/// Only marker lines are quoted: the lines between them may be a key.
fn describe(error: &Error) -> TlsConfigProblem {
    let text = |line: &[u8]| -> String { String::from_utf8_lossy(line).trim().chars().take(80).collect() };
    TlsConfigProblem::BadPem(match error {
        Error::MissingSectionEnd { end_marker } => {
            format!(
                "its end is missing, there is no line `-----END {}-----`",
                text(end_marker).trim_matches('-').trim_start_matches("END ").trim()
            )
        }
        Error::IllegalSectionStart { line } => format!("its first line is malformed: `{}`", text(line)),
        Error::Base64Decode(_) => "its lines are not base64".to_owned(),
        _ => "it cannot be read".to_owned(),
    })
}
