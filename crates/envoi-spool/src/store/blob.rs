//! Small pieces of state that outlive the process: rate limits, a breaker.
//!
//! `"SPOOLST1"`, u64 milliseconds since the Unix epoch, u32 length, the bytes, CRC-32C of all of it; little-endian.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::format::{array, crc};
use crate::fs::{Fs, read_small, replace_small};

const MAGIC: &[u8; 8] = b"SPOOLST1";
const HEAD: usize = 20;
/// The most that [`save`] takes.
pub(super) const MAX_STATE: usize = 1 << 20;

fn file(name: &str) -> io::Result<String> {
    let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.is_empty() || name.len() > 32 || !name.bytes().all(is_plain) {
        let message = format!("the name {name:?} is not 1 to 32 of a-z, 0-9 and -");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(format!("state-{name}"))
}

pub(super) fn save<F: Fs>(fs: &F, dir: &Path, name: &str, bytes: &[u8], wall_ms: u64) -> io::Result<()> {
    let file = file(name)?;
    let len = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= MAX_STATE);
    let Some(len) = len else {
        let message = format!("{} bytes of state are more than {MAX_STATE}", bytes.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    };
    let mut out = Vec::with_capacity(HEAD + bytes.len() + 4);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&wall_ms.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
    let sum = crc(0, &out);
    out.extend_from_slice(&sum.to_le_bytes());
    replace_small(fs, dir, &file, &out)
}

/// `None` if it is missing, damaged, older than `max_age` or from the future.
pub(super) fn load<F: Fs>(
    fs: &F,
    dir: &Path,
    name: &str,
    max_age: Duration,
    wall_ms: u64,
) -> io::Result<Option<Vec<u8>>> {
    let bytes = match read_small(fs, &dir.join(file(name)?), HEAD + MAX_STATE + 4) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let read = || {
        let saved_ms = u64::from_le_bytes(array(&bytes, 8)?);
        let len = usize::try_from(u32::from_le_bytes(array(&bytes, 16)?)).ok()?;
        let covered = bytes.get(..HEAD + len)?;
        let sum = u32::from_le_bytes(array(&bytes, HEAD + len)?);
        let age = Duration::from_millis(wall_ms.checked_sub(saved_ms)?);
        let is_good = covered.starts_with(MAGIC) && sum == crc(0, covered) && age <= max_age;
        is_good.then(|| covered[HEAD..].to_vec())
    };
    Ok(read())
}
