use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use envoi_core::Lane;

use crate::format::{DATA_OFFSET, HeaderError, SegmentHeader, SpoolHeader};
use crate::fs::{EntryKind, Fs, FsFile, read_full, read_small, replace_small};
use crate::log::{Log, LogConfig, Recovery, SpoolId};

use super::OpenError;

pub(super) const LOCK: &str = "LOCK";
const OWNER: &str = "OWNER";
pub(super) const SPOOL: &str = "SPOOL";

/// A directory `slot-NN` that this process has the lock of.
#[derive(Debug)]
pub(super) struct Slot<F: Fs> {
    /// Names it in addresses. Never used twice by one process.
    pub(super) source: u32,
    pub(super) dir: PathBuf,
    pub(super) uuid: [u8; 16],
    pub(super) lanes: Vec<Log<F>>,
    // Held for as long as the file is open.
    _lock: F::File,
}

/// What became of an attempt at a lock.
pub(super) enum Claim<L> {
    Mine(L),
    Busy,
}

pub(super) fn slot_name(number: u8) -> String {
    format!("slot-{number:02}")
}

/// What the owner of a slot says about itself.
pub(super) fn owner<F: Fs>(fs: &F, dir: &Path) -> String {
    let text = read_small(fs, &dir.join(OWNER), 1024).unwrap_or_default();
    String::from_utf8_lossy(&text).chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

/// Takes the lock of a slot. A file is never removed here: who locked a file that is gone would have nothing.
pub(super) fn claim<F: Fs>(fs: &F, dir: &Path) -> io::Result<Claim<F::File>> {
    let path = dir.join(LOCK);
    let file = match fs.open(&path, true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs.create_new(&path) {
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs.open(&path, true),
            other => other,
        },
        other => other,
    }?;
    Ok(if file.try_lock()? { Claim::Mine(file) } else { Claim::Busy })
}

/// Random bytes from the only source that the standard library has; they need to differ, not to be secret.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Who this spool is: what `SPOOL` says, else what any segment says, else somebody new.
fn identify<F: Fs>(fs: &F, dir: &Path, wall_ms: u64) -> io::Result<SpoolId> {
    match read_small(fs, &dir.join(SPOOL), 4096) {
        Ok(bytes) => match SpoolHeader::decode(&bytes) {
            Ok(header) => return Ok(SpoolId { uuid: header.uuid, salt: header.salt }),
            Err(HeaderError::Damaged) => {}
            Err(other) => return Err(io::Error::new(io::ErrorKind::InvalidData, other)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = identify_by_segments(fs, dir).unwrap_or_else(|| {
        let (high, low) = (random(), random());
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&high.to_le_bytes());
        uuid[8..].copy_from_slice(&low.to_le_bytes());
        let [a, b, c, d, ..] = random().to_le_bytes();
        SpoolId { uuid, salt: u32::from_le_bytes([a, b, c, d]) }
    });
    let header = SpoolHeader { features: 0, uuid: id.uuid, salt: id.salt, created_ms: wall_ms };
    replace_small(fs, dir, SPOOL, &header.encode())?;
    Ok(id)
}

fn identify_by_segments<F: Fs>(fs: &F, dir: &Path) -> Option<SpoolId> {
    Lane::ALL.into_iter().find_map(|lane| {
        let dir = lane_dir(dir, lane);
        fs.list(&dir).ok()?.into_iter().filter(|entry| entry.name.ends_with(".seg")).find_map(|entry| {
            let file = fs.open(&dir.join(entry.name), false).ok()?;
            let mut head = vec![0; usize::try_from(DATA_OFFSET).ok()?];
            let read = read_full(&file, &mut head, 0).ok()?;
            let header = SegmentHeader::decode_either(head.get(..read)?).ok()?;
            Some(SpoolId { uuid: header.uuid, salt: header.salt })
        })
    })
}

pub(super) fn lane_dir(slot: &Path, lane: Lane) -> PathBuf {
    slot.join(format!("lane-{}", lane.as_str()))
}

/// What says who has the slot, for people and for the error of the next one (OC-10).
fn introduce<F: Fs>(fs: &F, dir: &Path, wall_ms: u64) -> io::Result<()> {
    let host = ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let program = std::env::current_exe().ok();
    let program =
        program.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let text = format!(
        "pid {}\nsince {wall_ms} ms\nhost {}\nprogram {}\n",
        std::process::id(),
        host.as_deref().unwrap_or("unknown"),
        program.as_deref().unwrap_or("unknown"),
    );
    replace_small(fs, dir, OWNER, text.as_bytes())
}

impl<F: Fs> Slot<F> {
    /// Takes a slot for good and recovers what is in it, lane by lane.
    pub(super) fn open(
        fs: &F,
        dir: &Path,
        source: u32,
        config: &LogConfig,
        wall_ms: u64,
    ) -> Result<Claim<(Self, Vec<Recovery>)>, OpenError> {
        fs.create_dir(dir).map_err(OpenError::io("make the directory", dir))?;
        let lock = match claim(fs, dir).map_err(OpenError::io("lock", &dir.join(LOCK)))? {
            Claim::Mine(lock) => lock,
            Claim::Busy => return Ok(Claim::Busy),
        };
        let id = identify(fs, dir, wall_ms).map_err(OpenError::io("read or write", &dir.join(SPOOL)))?;
        // A full disk can still be emptied.
        let _ = introduce(fs, dir, wall_ms);
        let (mut lanes, mut recoveries) = (Vec::new(), Vec::new());
        for lane in Lane::ALL {
            let dir = lane_dir(dir, lane);
            let (log, recovery) = Log::open(fs.clone(), dir.clone(), id, config.clone(), wall_ms)
                .map_err(|error| OpenError::io("open the log", &dir)(io::Error::other(error)))?;
            lanes.push(log);
            recoveries.push(recovery);
        }
        Ok(Claim::Mine((Self { source, dir: dir.to_owned(), uuid: id.uuid, lanes, _lock: lock }, recoveries)))
    }

    pub(super) fn is_drained(&self) -> bool {
        self.lanes.iter().all(Log::is_empty)
    }
}

/// The slots of a directory that hold anything, by name.
pub(super) fn occupied<F: Fs>(fs: &F, root: &Path) -> Vec<PathBuf> {
    let mut slots: Vec<PathBuf> = fs
        .list(root)
        .unwrap_or_default()
        .into_iter()
        .filter(|entry| entry.kind == EntryKind::Dir && entry.name.starts_with("slot-"))
        .map(|entry| root.join(entry.name))
        .filter(|dir| {
            Lane::ALL.into_iter().any(|lane| {
                let files = fs.list(&lane_dir(dir, lane)).unwrap_or_default();
                files.iter().any(|file| file.name.ends_with(".seg"))
            })
        })
        .collect();
    slots.sort();
    slots
}
