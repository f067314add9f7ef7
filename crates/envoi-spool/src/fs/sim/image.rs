use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Chance, SimFs};

/// What a disk writes or loses as one.
pub(super) const PAGE: usize = 4096;
/// What a disk writes at once; a page may be torn between two of these.
const SECTOR: usize = 512;

/// A file: what programs see, and what the disk holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) cache: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    /// Pages that differ, with the versions that they had since the last sync.
    dirty: BTreeMap<usize, Vec<Arc<Vec<u8>>>>,
    /// Lengths since the last sync.
    lens: BTreeSet<usize>,
}

fn page(bytes: &[u8], index: usize) -> &[u8] {
    let from = (index * PAGE).min(bytes.len());
    &bytes[from..(from + PAGE).min(bytes.len())]
}

impl Node {
    fn touch(&mut self, from: usize, to: usize) {
        for index in from / PAGE..to.div_ceil(PAGE) {
            let version = Arc::new(page(&self.cache, index).to_vec());
            let versions = self.dirty.entry(index).or_default();
            // Enough to mix up; a page that is written a hundred times has no hundred stories to tell.
            if versions.len() < 3 {
                versions.push(version);
            }
        }
        self.lens.insert(self.cache.len());
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        self.touch(at.min(self.cache.len()), end);
        let cache = Arc::make_mut(&mut self.cache);
        if cache.len() < end {
            cache.resize(end, 0);
        }
        cache[at..end].copy_from_slice(bytes);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        let (low, high) = (len.min(self.cache.len()), len.max(self.cache.len()));
        self.touch(low, high);
        Arc::make_mut(&mut self.cache).resize(len, 0);
    }

    /// Writes the dirty pages to the disk. Those that `lose` picks count as clean and are not written.
    pub(super) fn sync(&mut self, mut lose: impl FnMut() -> bool) {
        let cache = Arc::clone(&self.cache);
        let durable = Arc::make_mut(&mut self.durable);
        durable.resize(cache.len(), 0);
        for index in std::mem::take(&mut self.dirty).into_keys() {
            let new = page(&cache, index);
            if !lose() && !new.is_empty() {
                durable[index * PAGE..index * PAGE + new.len()].copy_from_slice(new);
            }
        }
        self.lens.clear();
    }

    /// What the disk holds after a power cut.
    fn cut(&self, choose: &mut dyn FnMut(usize) -> usize) -> Self {
        let mut lens: Vec<usize> = vec![self.durable.len(), self.cache.len()];
        lens.extend(&self.lens);
        lens.sort_unstable();
        lens.dedup();
        let mut out = self.durable.to_vec();
        if !self.dirty.is_empty() {
            out.resize(lens[choose(lens.len())], 0);
        }
        for (index, versions) in &self.dirty {
            if index * PAGE >= out.len() {
                continue;
            }
            let new = page(&self.cache, *index).to_vec();
            let old = page(&self.durable, *index).to_vec();
            // Where nothing was before there may be anything. What is there is replaced sector by sector.
            let fresh = old.len().next_multiple_of(SECTOR);
            let found = match choose(5 + versions.len()) {
                0 => old,
                1 => new,
                2 => spoilt(&old, fresh, || 0),
                3 => {
                    // The first sectors of the new, the rest of the old.
                    let at = (SECTOR * (1 + choose(PAGE / SECTOR - 1))).min(new.len());
                    [&new[..at], old.get(at..).unwrap_or_default()].concat()
                }
                4 => {
                    let mut junk = Chance::new(index.wrapping_mul(31) as u64 ^ out.len() as u64);
                    spoilt(&old, fresh, || junk.bits().to_le_bytes()[0])
                }
                version => versions[version - 5].to_vec(),
            };
            let from = index * PAGE;
            let room = (out.len() - from).min(PAGE);
            let filled = found.len().min(room);
            out[from..from + filled].copy_from_slice(&found[..filled]);
            out[from + filled..from + room].fill(0);
        }
        let out = Arc::new(out);
        Self { cache: Arc::clone(&out), durable: out, ..Self::default() }
    }
}

/// The old page, and what `fill` has where none was.
fn spoilt(old: &[u8], fresh: usize, mut fill: impl FnMut() -> u8) -> Vec<u8> {
    let mut out = old.to_vec();
    out.resize(fresh, 0);
    out.resize_with(PAGE, &mut fill);
    out
}

/// A change of a directory that is not on the disk.
#[derive(Clone, Debug)]
enum Change {
    Link(PathBuf, u64),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl Change {
    fn dir(&self) -> Option<&Path> {
        let (Self::Link(path, _) | Self::Unlink(path) | Self::Rename(path, _)) = self;
        path.parent()
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Link(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Unlink(path) => {
                names.remove(path);
            }
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

/// A disk and its cache at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(super) names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    changes: Vec<Change>,
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) nodes: BTreeMap<u64, Node>,
    next: u64,
}

impl Snapshot {
    pub(super) fn create(&mut self, path: &Path) -> u64 {
        self.next += 1;
        self.nodes.insert(self.next, Node::default());
        self.change(Change::Link(path.into(), self.next));
        self.next
    }

    pub(super) fn unlink(&mut self, path: &Path) {
        self.change(Change::Unlink(path.into()));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        self.change(Change::Rename(from.into(), to.into()));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        let (durable, names) = (&mut self.durable_names, &self.names);
        durable.retain(|path, _| path.parent() != Some(dir));
        durable.extend(
            names
                .iter()
                .filter(|(path, _)| path.parent() == Some(dir))
                .map(|(path, node)| (path.clone(), *node)),
        );
        self.changes.retain(|change| change.dir() != Some(dir));
    }

    pub(super) fn node(&mut self, node: u64) -> Option<&mut Node> {
        self.nodes.get_mut(&node)
    }

    /// Bytes of all files that have a name.
    pub(super) fn bytes(&self) -> u64 {
        self.names.values().filter_map(|node| self.nodes.get(node)).map(|node| node.cache.len() as u64).sum()
    }

    /// Puts a file there, safe on the disk, as somebody else would.
    pub(super) fn put(&mut self, path: &Path, bytes: Vec<u8>) {
        let bytes = Arc::new(bytes);
        self.next += 1;
        self.nodes.insert(self.next, Node { cache: Arc::clone(&bytes), durable: bytes, ..Node::default() });
        self.names.insert(path.into(), self.next);
        self.durable_names.insert(path.into(), self.next);
    }

    pub(super) fn take_away(&mut self, path: &Path) {
        self.names.remove(path);
        self.durable_names.remove(path);
    }

    /// The machine after a power cut at this moment. `choose(n)` picks one of `n` for everything that is open: each
    /// page that was not synced, each name, each length.
    #[must_use]
    pub fn power_cut(&self, choose: &mut dyn FnMut(usize) -> usize) -> SimFs {
        let mut names = self.durable_names.clone();
        for change in &self.changes {
            if choose(2) == 1 {
                change.apply(&mut names);
            }
        }
        let mut after = Self { dirs: self.dirs.clone(), next: self.next, ..Self::default() };
        for node in names.values() {
            let Some(found) = self.nodes.get(node) else { continue };
            if !after.nodes.contains_key(node) {
                after.nodes.insert(*node, found.cut(choose));
            }
        }
        after.durable_names.clone_from(&names);
        after.names = names;
        SimFs::of(after)
    }

    /// Every outcome of a power cut at this moment if there are at most `limit`, else that many: all lost, all kept,
    /// and the rest by chance.
    #[must_use]
    pub fn power_cuts(&self, limit: usize, seed: u64) -> Vec<SimFs> {
        let mut out = Vec::new();
        // Counts through the choices like an odometer, of which the digits are found out on the way.
        let mut digits: Vec<(usize, usize)> = Vec::new();
        loop {
            if out.len() == limit {
                break;
            }
            let mut at = 0;
            out.push(self.power_cut(&mut |of| {
                if at == digits.len() {
                    digits.push((0, of));
                }
                at += 1;
                digits[at - 1].0
            }));
            while digits.last().is_some_and(|(digit, of)| digit + 1 >= *of) {
                digits.pop();
            }
            match digits.last_mut() {
                Some((digit, _)) => *digit += 1,
                None => return out,
            }
        }
        let mut chance = Chance::new(seed);
        out.clear();
        out.push(self.power_cut(&mut |_| 0));
        out.push(self.power_cut(&mut |of| 1.min(of - 1)));
        while out.len() < limit {
            out.push(self.power_cut(&mut |of| chance.below(of)));
        }
        out
    }

    /// The machine after the process was killed at this moment: the cache lives on.
    #[must_use]
    pub fn kill(&self) -> SimFs {
        SimFs::of(self.clone())
    }
}
