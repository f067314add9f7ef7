use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::image::Snapshot;
use super::{Chance, Faults, Op};
use crate::fs::{DirEntry, EntryKind, Fs, FsFile};

/// The simulated file system, see the [module](super). Clones are the same machine.
#[derive(Clone, Debug)]
pub struct SimFs {
    world: Arc<Mutex<World>>,
}

#[derive(Debug)]
struct World {
    now: Snapshot,
    faults: Faults,
    chance: Chance,
    ops: u64,
    history: Option<Vec<(u64, Snapshot)>>,
    /// The handle that holds the lock of a file.
    locks: BTreeMap<u64, u64>,
    handles: u64,
}

impl World {
    /// Begins an operation.
    fn begin(&mut self, op: Op) -> io::Result<()> {
        if self.faults.power.is_some_and(|power| self.ops >= power) {
            return Err(io::Error::other("simulated power cut"));
        }
        if let Some(history) = self.history.as_mut().filter(|_| op.changes()) {
            history.push((self.ops, self.now.clone()));
        }
        self.ops += 1;
        self.faults.hit(op, &mut self.chance)
    }

    fn node(&mut self, path: &Path) -> io::Result<u64> {
        self.now.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn dir(&self, path: &Path) -> io::Result<()> {
        if self.now.dirs.contains(path) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn handle(&mut self) -> u64 {
        self.handles += 1;
        self.handles
    }
}

impl Default for SimFs {
    fn default() -> Self {
        Self::new()
    }
}

impl SimFs {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Snapshot::default())
    }

    pub(super) fn of(now: Snapshot) -> Self {
        let world = World {
            now,
            faults: Faults::default(),
            chance: Chance::new(0),
            ops: 0,
            history: None,
            locks: BTreeMap::new(),
            handles: 0,
        };
        Self { world: Arc::new(Mutex::new(world)) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these faults.
    pub fn set_faults(&self, faults: Faults) {
        let mut world = self.world();
        world.chance = Chance::new(faults.seed);
        world.faults = faults;
    }

    /// From now on keeps the state before each operation that changes anything.
    pub fn keep_history(&self) {
        self.world().history = Some(Vec::new());
    }

    /// The states since [`keep_history`](Self::keep_history), each before one operation and with the number of
    /// operations before it: all moments at which the power can go.
    #[must_use]
    pub fn take_history(&self) -> Vec<(u64, Snapshot)> {
        self.world().history.take().unwrap_or_default()
    }

    /// Operations so far.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.world().ops
    }

    /// The state of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.world().now.clone()
    }

    /// All files.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.world().now.names.keys().cloned().collect()
    }

    /// What is in a file, whatever the faults.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let world = self.world();
        let node = world.now.names.get(path)?;
        world.now.nodes.get(node).map(|node| node.cache.to_vec())
    }

    /// Puts a file there behind everybody's back, safe on the disk.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut world = self.world();
        for dir in path.ancestors().skip(1) {
            world.now.dirs.insert(dir.into());
        }
        world.now.put(path, bytes);
    }

    /// Takes a file away behind everybody's back.
    pub fn take_away(&self, path: &Path) {
        self.world().now.take_away(path);
    }
}

impl Fs for SimFs {
    type File = SimFile;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin(Op::CreateDir)?;
        if path.ancestors().any(|above| world.now.names.contains_key(above)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.now.dirs.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn create_new(&self, path: &Path) -> io::Result<SimFile> {
        let mut world = self.world();
        world.begin(Op::Create)?;
        world.dir(path.parent().unwrap_or(Path::new("")))?;
        if world.now.names.contains_key(path) || world.now.dirs.contains(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (node, handle) = (world.now.create(path), world.handle());
        Ok(SimFile { world: Arc::clone(&self.world), node, handle, write: true })
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<SimFile> {
        let mut world = self.world();
        world.begin(Op::Open)?;
        if world.now.dirs.contains(path) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (node, handle) = (world.node(path)?, world.handle());
        Ok(SimFile { world: Arc::clone(&self.world), node, handle, write })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut world = self.world();
        world.begin(Op::List)?;
        world.dir(dir)?;
        let now = &world.now;
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let inside = |path: &Path| path.parent() == Some(dir);
        let files = now.names.iter().filter(|(path, _)| inside(path)).filter_map(|(path, node)| {
            let len = now.nodes.get(node).map_or(0, |node| node.cache.len() as u64);
            Some(DirEntry { name: name(path)?, kind: EntryKind::File, len })
        });
        let dirs = now.dirs.iter().filter(|path| inside(path));
        let dirs = dirs.filter_map(|path| Some(DirEntry { name: name(path)?, kind: EntryKind::Dir, len: 0 }));
        Ok(files.chain(dirs).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin(Op::Rename)?;
        world.node(from)?;
        world.now.rename(from, to);
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin(Op::Unlink)?;
        world.node(path)?;
        world.now.unlink(path);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin(Op::Unlink)?;
        world.dir(path)?;
        let inside = |other: &PathBuf| other.parent() == Some(path);
        if world.now.names.keys().chain(&world.now.dirs).any(inside) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        world.now.dirs.remove(path);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin(Op::SyncDir)?;
        world.dir(dir)?;
        world.now.sync_dir(dir);
        Ok(())
    }

    fn free_space(&self, _dir: &Path) -> io::Result<Option<u64>> {
        let world = self.world();
        Ok(world.faults.space.map(|space| space.saturating_sub(world.now.bytes())))
    }
}

/// An open file of [`SimFs`].
#[derive(Debug)]
pub struct SimFile {
    world: Arc<Mutex<World>>,
    node: u64,
    handle: u64,
    write: bool,
}

/// A file of more than this is a mistake of the test.
const MAX_LEN: u64 = 1 << 30;

impl SimFile {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offset(&self, at: u64) -> io::Result<usize> {
        if at > MAX_LEN {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            usize::try_from(at).map_err(io::Error::other)
        }
    }

    fn writable(&self) -> io::Result<()> {
        if self.write { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl FsFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.world();
        world.begin(Op::Read)?;
        let node = world.now.node(self.node).ok_or(io::ErrorKind::NotFound)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(node.cache.len());
        let bytes = &node.cache[from..];
        let count = bytes.len().min(buf.len());
        buf[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write_at(&mut self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.writable()?;
        let at = self.offset(offset)?;
        let mut world = self.world();
        world.begin(Op::Write)?;
        let mut bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let short = world.faults.short_writes;
        if world.chance.hits(short) && bytes.len() > 1 {
            let keep = 1 + world.chance.below(bytes.len() - 1);
            bytes.truncate(keep);
        }
        let used = world.now.bytes();
        let space = world.faults.space;
        let node = world.now.node(self.node).ok_or(io::ErrorKind::NotFound)?;
        if let Some(space) = space {
            // What lies within the file has its room already.
            let room = (node.cache.len() as u64).saturating_sub(offset) + space.saturating_sub(used);
            bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX));
            if bytes.is_empty() && bufs.iter().any(|buf| !buf.is_empty()) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        node.write(at, &bytes);
        Ok(bytes.len())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.writable()?;
        let len = self.offset(len)?;
        let mut world = self.world();
        world.begin(Op::SetLen)?;
        world.now.node(self.node).ok_or(io::ErrorKind::NotFound)?.set_len(len);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut world = self.world();
        Ok(world.now.node(self.node).ok_or(io::ErrorKind::NotFound)?.cache.len() as u64)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut world = self.world();
        let result = world.begin(Op::Sync);
        let world = &mut *world;
        let node = world.now.node(self.node).ok_or(io::ErrorKind::NotFound)?;
        match result {
            Ok(()) => node.sync(|| false),
            // Without power nothing is lost that was not lost before.
            Err(_) if world.faults.power.is_some_and(|power| world.ops >= power) => {}
            Err(_) => node.sync(|| world.chance.hits(512)),
        }
        result
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut world = self.world();
        Ok(*world.locks.entry(self.node).or_insert(self.handle) == self.handle)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let (node, handle) = (self.node, self.handle);
        let mut world = self.world();
        if world.locks.get(&node) == Some(&handle) {
            world.locks.remove(&node);
        }
    }
}
