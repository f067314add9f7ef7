//! What the disk buffer is compared with: a plain file, a file per envelope, an embedded store.

use std::fs::{self, File, OpenOptions};
use std::io::{IoSlice, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

/// A store for one thread at a time.
pub(crate) trait Rival: Send {
    /// Appends records: those of one batch with one sync, if any.
    fn append(&mut self, batch: &[Bytes], sync: bool);

    /// What makes everything that was appended survive, to be called without keeping the appends waiting; `None` if there
    /// is no such thing.
    fn syncer(&self) -> Option<Box<dyn Fn() + Send>>;

    /// Reads everything, oldest first, and lets it go. Says how many there were.
    fn drain(&mut self) -> u64;
}

/// The limit: an append file without any structure.
pub(crate) struct Plain {
    path: PathBuf,
    file: Arc<File>,
    record: usize,
}

impl Plain {
    pub(crate) fn new(dir: &Path) -> Self {
        let path = dir.join("plain");
        let file = OpenOptions::new().create_new(true).append(true).open(&path).unwrap();
        Self { path, file: Arc::new(file), record: 0 }
    }
}

impl Rival for Plain {
    fn append(&mut self, batch: &[Bytes], sync: bool) {
        let mut slices: Vec<_> = batch.iter().map(|bytes| IoSlice::new(bytes)).collect();
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            let written = (&*self.file).write_vectored(slices).unwrap();
            IoSlice::advance_slices(&mut slices, written);
        }
        if sync {
            self.file.sync_data().unwrap();
        }
        self.record = batch[0].len();
    }

    fn syncer(&self) -> Option<Box<dyn Fn() + Send>> {
        let file = Arc::clone(&self.file);
        Some(Box::new(move || file.sync_data().unwrap()))
    }

    fn drain(&mut self) -> u64 {
        let mut file = File::open(&self.path).unwrap();
        let mut count = 0;
        loop {
            let mut record = vec![0; self.record];
            if file.read(&mut record).unwrap() == 0 {
                break;
            }
            count += 1;
        }
        fs::remove_file(&self.path).unwrap();
        count
    }
}

/// One file per envelope, whole under its name or not there: what most SDKs do, those that are careful.
pub(crate) struct Files {
    dir: PathBuf,
    next: u64,
}

impl Files {
    pub(crate) fn new(dir: &Path) -> Self {
        let dir = dir.join("files");
        fs::create_dir(&dir).unwrap();
        Self { dir, next: 0 }
    }
}

impl Rival for Files {
    fn append(&mut self, batch: &[Bytes], sync: bool) {
        for bytes in batch {
            self.next += 1;
            let temporary = self.dir.join("new");
            let mut file = File::create(&temporary).unwrap();
            file.write_all(bytes).unwrap();
            if sync {
                file.sync_data().unwrap();
            }
            fs::rename(&temporary, self.dir.join(format!("{:016x}.envelope", self.next))).unwrap();
        }
        if sync {
            File::open(&self.dir).unwrap().sync_all().unwrap();
        }
    }

    fn syncer(&self) -> Option<Box<dyn Fn() + Send>> {
        None
    }

    fn drain(&mut self) -> u64 {
        let mut paths: Vec<_> = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in &paths {
            drop(fs::read(path).unwrap());
            fs::remove_file(path).unwrap();
        }
        paths.len() as u64
    }
}

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("envelopes");

/// redb. Without a sync what it appends is in the memory of the process, and no safer than that.
pub(crate) struct Redb {
    database: Arc<Database>,
    next: u64,
}

impl Redb {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { database: Arc::new(Database::create(dir.join("redb")).unwrap()), next: 0 }
    }

    /// How many records are there.
    pub(crate) fn len(&self) -> u64 {
        let read = self.database.begin_read().unwrap();
        redb::ReadableTableMetadata::len(&read.open_table(TABLE).unwrap()).unwrap()
    }

    /// The first record.
    pub(crate) fn first(&self) -> usize {
        let read = self.database.begin_read().unwrap();
        let table = read.open_table(TABLE).unwrap();
        table.first().unwrap().map_or(0, |(_, value)| value.value().len())
    }
}

fn durability(sync: bool) -> Durability {
    if sync { Durability::Immediate } else { Durability::None }
}

impl Rival for Redb {
    fn append(&mut self, batch: &[Bytes], sync: bool) {
        let mut write = self.database.begin_write().unwrap();
        write.set_durability(durability(sync)).unwrap();
        {
            let mut table = write.open_table(TABLE).unwrap();
            for bytes in batch {
                self.next += 1;
                table.insert(self.next, &bytes[..]).unwrap();
            }
        }
        write.commit().unwrap();
    }

    fn syncer(&self) -> Option<Box<dyn Fn() + Send>> {
        let database = Arc::clone(&self.database);
        Some(Box::new(move || {
            let mut write = database.begin_write().unwrap();
            write.set_durability(durability(true)).unwrap();
            write.commit().unwrap();
        }))
    }

    fn drain(&mut self) -> u64 {
        let mut count = 0;
        loop {
            let mut write = self.database.begin_write().unwrap();
            write.set_durability(durability(false)).unwrap();
            let is_over = write.open_table(TABLE).unwrap().pop_first().unwrap().is_none();
            write.commit().unwrap();
            if is_over {
                return count;
            }
            count += 1;
        }
    }
}
