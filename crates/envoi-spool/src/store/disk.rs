use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use envoi_core::{DiscardReason, Durable, Itemized, Lane};

use crate::format::{AckKind, KIND_LOSS};
use crate::fs::{Fs, FsFile};
use crate::log::{IndexEntry, LogConfig, ReadError, Recovery, Seq};

use super::entry::{Address, Body, Entry};
use super::front::{Event, Events, Front};
use super::inner::Inner;
use super::meta::{GlobalId, Label, MetaReader, RecordMeta, decode_news};
use super::shelf::{Shelf, Stock};
use super::slot::{Claim, SPOOL, Slot, occupied, owner, slot_name};
use super::{OnBusy, OpenError, SpoolConfig};

/// All slots that this process has the locks of.
pub(super) struct Disk<F: Fs> {
    pub(super) fs: F,
    root: PathBuf,
    on_busy: OnBusy,
    pub(super) log_config: LogConfig,
    pub(super) own: Option<Slot<F>>,
    pub(super) adopted: Vec<Slot<F>>,
    next_source: u32,
}

/// A slot, and what was found in its lanes.
type Opened<F> = (Slot<F>, Vec<Recovery>);
/// Entries by lane, and within it by age.
pub(super) type Entries<P> = [Stock<P>; Lane::COUNT];

/// A recovered record.
struct Recovered<C> {
    address: Address,
    enqueued_ms: u64,
    size: u64,
    attempts: u32,
    label: Label<C>,
    /// The oldest record that it takes the place of, and which it has the place of.
    place: u64,
}

impl<F: Fs> Disk<F> {
    pub(super) fn new(fs: F, root: &Path, config: &SpoolConfig) -> Self {
        // Small spools have small segments, or the newest of each lane, which stays, would be all there is room for.
        let segment_bytes = (config.max_bytes / 32).clamp(16 << 10, 8 << 20);
        let max_record = config.max_bytes.clamp(1 << 10, crate::log::MAX_SEGMENT);
        // With `Os` the device is told of nothing but what is confirmed one by one.
        let sync_segments = config.durability != super::Durability::Os;
        let ack_sync = sync_segments.then_some(Duration::from_secs(1));
        // What nobody will send must not crowd out what somebody may.
        let quarantine_bytes = (config.max_bytes / 4).min(16 << 20);
        let log_config = LogConfig {
            segment_bytes,
            max_record,
            quarantine_bytes,
            ack_sync,
            sync_segments,
            prewrite: config.prewrite,
            ..LogConfig::default()
        };
        Self {
            fs,
            root: root.to_owned(),
            on_busy: config.on_busy,
            log_config,
            own: None,
            adopted: Vec::new(),
            next_source: 0,
        }
    }

    fn open_slot(&mut self, dir: &Path, wall_ms: u64) -> Result<Claim<Opened<F>>, OpenError> {
        let source = self.next_source;
        let claim = Slot::open(&self.fs, dir, source, &self.log_config, wall_ms)?;
        if matches!(claim, Claim::Mine(_)) {
            self.next_source += 1;
        }
        Ok(claim)
    }

    /// Takes a slot for this process.
    pub(super) fn open_own(&mut self, wall_ms: u64) -> Result<Vec<Recovery>, OpenError> {
        self.fs.create_dir(&self.root).map_err(OpenError::io("make the directory", &self.root))?;
        let slots = match self.on_busy {
            OnBusy::NextSlot(slots) => slots.max(1),
            OnBusy::Error | OnBusy::Memory => 1,
        };
        for number in 0..slots {
            let dir = self.root.join(slot_name(number));
            if self.adopted.iter().any(|slot| slot.dir == dir) {
                continue;
            }
            if let Claim::Mine((slot, recoveries)) = self.open_slot(&dir, wall_ms)? {
                self.own = Some(slot);
                return Ok(recoveries);
            }
        }
        let owner = owner(&self.fs, &self.root.join(slot_name(0)));
        Err(OpenError::Busy { path: self.root.clone(), owner })
    }

    /// Takes over what owners left who are dead, and returns where the new slots begin.
    pub(super) fn adopt(&mut self, wall_ms: u64) -> Vec<(u32, Vec<Recovery>)> {
        let mut found = Vec::new();
        for dir in occupied(&self.fs, &self.root) {
            let is_known = self.own.iter().chain(&self.adopted).any(|slot| slot.dir == dir);
            if is_known {
                continue;
            }
            // One that cannot be opened now may be next time.
            if let Ok(Claim::Mine((slot, recoveries))) = self.open_slot(&dir, wall_ms) {
                found.push((slot.source, recoveries));
                self.adopted.push(slot);
            }
        }
        found
    }

    /// Gives adopted slots back that hold nothing any more.
    pub(super) fn release_drained(&mut self) -> io::Result<()> {
        let mut result = Ok(());
        for slot in self.adopted.extract_if(.., |slot| slot.is_drained()) {
            for log in slot.lanes {
                result = result.and(log.close());
            }
        }
        result
    }

    pub(super) fn slot(&mut self, source: u32) -> Option<&mut Slot<F>> {
        self.own.iter_mut().chain(&mut self.adopted).find(|slot| slot.source == source)
    }

    pub(super) fn slots(&mut self) -> impl Iterator<Item = &mut Slot<F>> {
        self.own.iter_mut().chain(&mut self.adopted)
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        let slots = self.own.iter().chain(&self.adopted);
        slots.flat_map(|slot| &slot.lanes).map(crate::log::Log::disk_bytes).sum()
    }

    pub(super) fn ack(&mut self, address: Address, kind: AckKind, wall_ms: u64) {
        if let Some(slot) = self.slot(address.source) {
            slot.lanes[address.lane].ack(Seq(address.seq), kind, wall_ms);
        }
    }

    /// Whether the directory of this process is still where it was.
    pub(super) fn is_there(&self) -> bool {
        self.own.as_ref().is_some_and(|slot| {
            let spool = self.fs.open(&slot.dir.join(SPOOL), false);
            !matches!(spool, Err(error) if error.kind() == io::ErrorKind::NotFound)
        })
    }

    /// Whether the disk takes bytes again.
    pub(super) fn try_out(&self) -> io::Result<()> {
        let Some(slot) = &self.own else { return Err(io::ErrorKind::NotFound.into()) };
        crate::fs::replace_small(&self.fs, &slot.dir, "PROBE", &[0x5a; 4096])?;
        self.fs.unlink(&slot.dir.join("PROBE"))
    }

    /// Keeps bytes that are intact and yet no payload, for people (decision 20).
    pub(super) fn quarantine(&mut self, address: Address, bytes: &[u8]) {
        let limit = self.log_config.quarantine_bytes;
        let fs = self.fs.clone();
        let Some(slot) = self.slot(address.source) else { return };
        let log = &slot.lanes[address.lane];
        if log.stats().quarantine_bytes.saturating_add(bytes.len() as u64) > limit {
            return;
        }
        let dir = log.dir().join("quarantine");
        let copy = || -> io::Result<()> {
            fs.create_dir(&dir)?;
            let mut file = fs.create_new(&dir.join(format!("unreadable-{:016x}.bin", address.seq)))?;
            crate::fs::write_full(&mut file, &mut [io::IoSlice::new(bytes)], 0, &mut 0)?;
            file.sync_data()
        };
        // It is a courtesy; the record is accounted for whether it works or not.
        let _ = copy();
    }

    /// Puts what was found in a slot on the shelves, oldest first, and says what there is to tell.
    pub(super) fn shelve<P>(
        &mut self,
        found: Vec<(u32, Vec<Recovery>)>,
        inner: &Inner<P>,
        reports: &mut Vec<Address>,
    ) -> (Entries<P>, Found<P::Category>)
    where
        P: Durable + Itemized<Category: From<String> + Display>,
    {
        let (wall_ms, now) = (inner.wall_ms(), inner.now());
        let (mut recovered, mut told) =
            (Vec::new(), Found { events: Vec::new(), corrupt: 0, notes: Vec::new() });
        let mut replaced = std::collections::HashSet::new();
        let mut reader = MetaReader::new();
        for (source, recoveries) in found {
            for (lane, recovery) in recoveries.into_iter().enumerate() {
                told.notes.extend(recovery.notes);
                for loss in recovery.losses {
                    told.corrupt += loss.count;
                    let is_report = loss.kind == Some(KIND_LOSS);
                    let meta = loss.meta.as_deref().filter(|_| !is_report);
                    if let Some(RecordMeta { label, .. }) = meta.and_then(|meta| reader.read(meta)) {
                        told.destroyed(label);
                    }
                }
                recovered.reserve(recovery.records.len());
                for index in recovery.records {
                    let address = Address { source, lane, seq: index.seq.0 };
                    if index.kind == KIND_LOSS {
                        self.read_report(address, wall_ms, reports, &mut told);
                    } else if let Some(meta) =
                        self.label::<P>(address, &index, wall_ms, &mut reader, &mut told)
                    {
                        let RecordMeta { attempts, replaces, label } = meta;
                        recovered.push(Recovered {
                            address,
                            enqueued_ms: index.enqueued_ms,
                            size: index.bytes_on_disk,
                            attempts: attempts.saturating_add(index.attempts),
                            label,
                            place: replaces.first().map_or(address.seq, |first| first.seq.min(address.seq)),
                        });
                        replaced.extend(replaces.into_iter().map(|replaced| (lane, replaced)));
                    }
                }
            }
        }
        // What was written anew has the place of what it replaced.
        recovered.sort_unstable_by_key(|found| {
            (found.enqueued_ms, found.address.source, found.place, found.address.seq)
        });
        let mut entries: Entries<P> = Default::default();
        let mut sums: Vec<(P::Category, u64)> = Vec::new();
        for Recovered { address, enqueued_ms, size, attempts, label, .. } in recovered {
            if !replaced.is_empty() {
                let uuid = self.slot(address.source).map(|slot| slot.uuid).unwrap_or_default();
                if replaced.contains(&(address.lane, GlobalId { uuid, seq: address.seq })) {
                    // It was written anew before the crash, with what was left of it.
                    self.ack(address, AckKind::Superseded, wall_ms);
                    continue;
                }
            }
            for (category, quantity) in &*label.tally {
                match sums.iter_mut().find(|(known, _)| known == category) {
                    Some((_, sum)) => *sum = sum.saturating_add(*quantity),
                    None => sums.push((category.clone(), *quantity)),
                }
            }
            let age = Duration::from_millis(wall_ms.saturating_sub(enqueued_ms));
            let entry = Entry {
                tag: 0,
                since: now.checked_sub(age).unwrap_or(now),
                wall_ms: enqueued_ms,
                label,
                size,
                attempts,
                replayed: true,
                body: Body::Away,
                address: Some(address),
                former: Vec::new(),
                writes: 0,
                volatile: false,
            };
            // It gets its number on the shelf.
            entries[address.lane].push((0, (Shelf::turn(&entry), entry)));
        }
        told.events.push(Event::Found(sums.into()));
        (entries, told)
    }

    /// What a record says about itself; from its payload if it does not.
    fn label<P>(
        &mut self,
        address: Address,
        index: &IndexEntry,
        wall_ms: u64,
        reader: &mut MetaReader<P::Category>,
        told: &mut Found<P::Category>,
    ) -> Option<RecordMeta<P::Category>>
    where
        P: Durable + Itemized<Category: From<String> + Display>,
    {
        if let Some(meta) = reader.read(&index.meta) {
            return Some(meta);
        }
        let log = &mut self.slot(address.source)?.lanes[address.lane];
        let payload = match log.read(index.seq, wall_ms) {
            Ok(record) => P::thaw(record.payload).ok(),
            // It stays for the next run.
            Err(ReadError::Io { .. }) => return None,
            Err(_) => None,
        };
        match payload {
            Some(payload) => {
                Some(RecordMeta { attempts: 0, replaces: Vec::new(), label: Label::of(&payload) })
            }
            None => {
                self.ack(address, AckKind::Corrupt, wall_ms);
                told.corrupt += 1;
                None
            }
        }
    }

    /// Losses of an earlier run that may not have been reported.
    fn read_report<C: From<String>>(
        &mut self,
        address: Address,
        wall_ms: u64,
        reports: &mut Vec<Address>,
        told: &mut Found<C>,
    ) {
        let Some(slot) = self.slot(address.source) else { return };
        match slot.lanes[address.lane].read(Seq(address.seq), wall_ms) {
            Ok(record) => {
                if let Some(news) = decode_news(&record.payload) {
                    told.events.push(Event::Restore(news));
                }
                reports.push(address);
            }
            Err(ReadError::Io { .. }) => {}
            Err(_) => told.corrupt += 1,
        }
    }
}

/// What a recovery has to tell.
pub(super) struct Found<C> {
    pub(super) events: Events<C>,
    pub(super) corrupt: u64,
    pub(super) notes: Vec<String>,
}

impl<C> Found<C>
where
    C: Clone,
{
    /// A record whose payload is damaged: it comes to light and is lost in the same breath (decision 20).
    fn destroyed(&mut self, label: Label<C>) {
        self.events.push(Event::Found(label.tally.clone()));
        self.events.push(Event::Lost(DiscardReason::InternalSdkError, label.tally));
    }
}

/// Puts recovered entries on the shelves.
pub(super) fn stock<P: Itemized>(front: &mut Front<P>, mut entries: Entries<P>) {
    for (order, _) in entries.iter_mut().flatten() {
        *order = front.order();
    }
    for (shelf, entries) in front.shelves.iter_mut().zip(entries) {
        shelf.stock(entries);
    }
}
