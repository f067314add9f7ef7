//! What a record says about itself without its payload: category and quantity of what is in it, what holds it, how
//! often it was tried before. And what a loss report says.
//!
//! Numbers are LEB128; names have one byte for their length. Version 1.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use envoi_core::{DiscardReason, Itemized, Payload};

use crate::format::MAX_META;

const VERSION: u8 = 1;
const HAS_HOLDERS: u8 = 1;
const REPLACES: u8 = 2;

/// A record of a slot, whatever process it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GlobalId {
    pub(super) uuid: [u8; 16],
    pub(super) seq: u64,
}

/// Category and quantity of some items. Shared, for those of most records are alike.
pub(super) type Tally<C> = Arc<[(C, u64)]>;
/// One group per item, see [`Itemized::holders`]. Shared.
pub(super) type Holders<C> = Arc<[Vec<C>]>;

/// What is known of a payload that is not at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label<C> {
    pub(super) items: usize,
    pub(super) bytes: usize,
    pub(super) tally: Tally<C>,
    /// `None` if the payload cannot say.
    pub(super) holders: Option<Holders<C>>,
}

impl<C: Clone + Ord> Label<C> {
    pub(super) fn of<P: Itemized<Category = C>>(payload: &P) -> Self {
        let weight = Payload::weight(payload);
        let mut tally: Vec<(C, u64)> = Vec::with_capacity(1);
        payload.tally(
            &mut |category, quantity| match tally.iter_mut().find(|(known, _)| known == category) {
                Some((_, sum)) => *sum = sum.saturating_add(quantity),
                None => tally.push((category.clone(), quantity)),
            },
        );
        let mut holders: Vec<Vec<C>> = Vec::with_capacity(1);
        let known = payload.holders(&mut |group| {
            let mut group = group.to_vec();
            group.sort_unstable();
            group.dedup();
            if !holders.contains(&group) {
                holders.push(group);
            }
        });
        Self {
            items: weight.items,
            bytes: weight.bytes,
            tally: tally.into(),
            holders: known.then(|| holders.into()),
        }
    }

    /// Whether limits hold it (decision 22); `None` if that takes the payload itself.
    pub(super) fn is_held(&self, limited: &mut dyn FnMut(&C) -> bool) -> Option<bool> {
        let holders = self.holders.as_ref()?;
        Some(!holders.is_empty() && holders.iter().all(|group| group.iter().any(&mut *limited)))
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordMeta<C> {
    /// Attempts that had failed when it was written.
    pub(super) attempts: u32,
    /// The records that this one takes the place of, the oldest first: usually none, rarely more than one.
    pub(super) replaces: Vec<GlobalId>,
    pub(super) label: Label<C>,
}

impl<C: Clone + Ord + Display> RecordMeta<C> {
    /// `None` if the categories do not fit into a header.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let holders = self.label.holders.as_deref();
        // What holds it is worth little against the record itself.
        [holders, None].into_iter().map(|holders| self.write(holders)).find(|out| out.len() <= MAX_META)
    }

    fn write(&self, holders: Option<&[Vec<C>]>) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        let flags = if holders.is_some() { HAS_HOLDERS } else { 0 }
            | if self.replaces.is_empty() { 0 } else { REPLACES };
        out.extend_from_slice(&[VERSION, flags]);
        put(&mut out, u64::from(self.attempts));
        if !self.replaces.is_empty() {
            put(&mut out, self.replaces.len() as u64);
        }
        for GlobalId { uuid, seq } in &self.replaces {
            out.extend_from_slice(uuid);
            put(&mut out, *seq);
        }
        put(&mut out, self.label.items as u64);
        put(&mut out, self.label.bytes as u64);
        put(&mut out, self.label.tally.len() as u64);
        for (category, quantity) in &*self.label.tally {
            put_name(&mut out, category);
            put(&mut out, *quantity);
        }
        if let Some(holders) = holders {
            put(&mut out, holders.len() as u64);
            for group in holders {
                put(&mut out, group.len() as u64);
                group.iter().for_each(|category| put_name(&mut out, category));
            }
        }
        out
    }
}

/// So many different tallies are remembered while records are read, and as many holders.
const KNOWN: usize = 1024;

/// Reads what records say about themselves. What was seen before is not kept a second time.
#[derive(Debug)]
pub(super) struct MetaReader<C> {
    tallies: HashMap<Box<[u8]>, Tally<C>>,
    holders: HashMap<Box<[u8]>, Holders<C>>,
}

impl<C: From<String>> MetaReader<C> {
    pub(super) fn new() -> Self {
        Self { tallies: HashMap::new(), holders: HashMap::new() }
    }

    /// `None` if it is no meta data, or of a later version.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Option<RecordMeta<C>> {
        let input = &mut bytes;
        let [version, flags] = take::<2>(input)?;
        if version != VERSION {
            return None;
        }
        let attempts = u32::try_from(get(input)?).unwrap_or(u32::MAX);
        let replaces = match flags & REPLACES {
            0 => Vec::new(),
            _ => get_list(input, |input| Some(GlobalId { uuid: take(input)?, seq: get(input)? }))?,
        };
        let items = usize::try_from(get(input)?).ok()?;
        let bytes = usize::try_from(get(input)?).ok()?;
        let tally =
            |input: &mut &[u8]| get_list(input, |input| Some((C::from(get_name(input)?), get(input)?)));
        let skip_group = |input: &mut &[u8]| skip_list(input, skip_name);
        let tally = shared(&mut self.tallies, input, |input| skip_list(input, skip_entry), tally)?;
        let holders = match flags & HAS_HOLDERS {
            0 => None,
            _ => {
                let holders = |input: &mut &[u8]| {
                    get_list(input, |input| get_list(input, |input| get_name(input).map(C::from)))
                };
                Some(shared(&mut self.holders, input, |input| skip_list(input, skip_group), holders)?)
            }
        };
        Some(RecordMeta { attempts, replaces, label: Label { items, bytes, tally, holders } })
    }
}

/// The list at the beginning of `input`, one that is known if there is.
fn shared<T>(
    known: &mut HashMap<Box<[u8]>, Arc<[T]>>,
    input: &mut &[u8],
    skip: impl FnOnce(&mut &[u8]) -> Option<()>,
    read: impl FnOnce(&mut &[u8]) -> Option<Vec<T>>,
) -> Option<Arc<[T]>> {
    let mut rest = *input;
    skip(&mut rest)?;
    let raw = &input[..input.len() - rest.len()];
    if let Some(list) = known.get(raw) {
        *input = rest;
        return Some(Arc::clone(list));
    }
    let list: Arc<[T]> = read(input)?.into();
    if known.len() < KNOWN {
        known.insert(raw.into(), Arc::clone(&list));
    }
    Some(list)
}

fn skip_list(input: &mut &[u8], mut one: impl FnMut(&mut &[u8]) -> Option<()>) -> Option<()> {
    (0..get(input)?).try_for_each(|_| one(input))
}

fn skip_name(input: &mut &[u8]) -> Option<()> {
    let [len] = take::<1>(input)?;
    *input = input.get(usize::from(len)..)?;
    Some(())
}

fn skip_entry(input: &mut &[u8]) -> Option<()> {
    skip_name(input)?;
    get(input).map(drop)
}

/// What was lost: the payload of a loss report.
pub(super) type News<C> = Vec<(DiscardReason, C, u64)>;

pub(super) fn encode_news<C: Display>(news: &News<C>) -> Vec<u8> {
    let mut out = vec![VERSION];
    put(&mut out, news.len() as u64);
    for (reason, category, quantity) in news {
        put_name(&mut out, reason);
        put_name(&mut out, category);
        put(&mut out, *quantity);
    }
    out
}

pub(super) fn decode_news<C: From<String>>(mut bytes: &[u8]) -> Option<News<C>> {
    let input = &mut bytes;
    if take::<1>(input)? != [VERSION] {
        return None;
    }
    get_list(input, |input| {
        let reason = DiscardReason::from(&*get_name(input)?);
        Some((reason, C::from(get_name(input)?), get(input)?))
    })
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Names longer than a byte can count are cut at a character.
fn put_name(out: &mut Vec<u8>, name: &impl Display) {
    let name = name.to_string();
    let name = &name[..name.floor_char_boundary(usize::from(u8::MAX))];
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}

fn get(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take::<1>(input)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn get_name(input: &mut &[u8]) -> Option<String> {
    let [len] = take::<1>(input)?;
    let (name, rest) = input.split_at_checked(usize::from(len))?;
    *input = rest;
    String::from_utf8(name.to_vec()).ok()
}

/// Nothing is allocated for a count that the bytes do not bear out.
fn get_list<T>(input: &mut &[u8], mut one: impl FnMut(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = get(input)?;
    let mut list = Vec::new();
    for _ in 0..count {
        list.push(one(input)?);
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_meta() -> impl Strategy<Value = RecordMeta<String>> {
        let name = "\\PC{0,20}";
        (
            any::<u32>(),
            prop::collection::vec((any::<[u8; 16]>(), any::<u64>()), 0..3),
            any::<u32>(),
            prop::collection::vec((name, any::<u64>()), 0..5),
            prop::option::of(prop::collection::vec(prop::collection::vec(name, 0..4), 0..4)),
        )
            .prop_map(|(attempts, replaces, size, tally, holders)| RecordMeta {
                attempts,
                replaces: replaces.into_iter().map(|(uuid, seq)| GlobalId { uuid, seq }).collect(),
                label: Label {
                    items: size as usize,
                    bytes: size as usize,
                    tally: tally.into(),
                    holders: holders.map(Into::into),
                },
            })
    }

    proptest! {
        /// OC-2, decision 22: what a record says about itself reads back.
        #[test]
        fn meta_reads_back(metas in prop::collection::vec(any_meta(), 1..4), again in any::<prop::sample::Index>()) {
            let mut reader = MetaReader::new();
            for meta in metas.iter().chain([again.get(&metas)]) {
                let read = reader.read(&meta.encode().unwrap());
                prop_assert_eq!(read.as_ref(), Some(meta));
            }
        }

        /// OC-5: whatever is there instead is refused or read, never a panic or an allocation without bytes behind it.
        #[test]
        fn garbage_is_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>(), meta in any_meta()) {
            let _ = MetaReader::<String>::new().read(&bytes);
            let _ = decode_news::<String>(&bytes);
            let whole = meta.encode().unwrap();
            let cut = cut.index(whole.len());
            prop_assert_eq!(MetaReader::<String>::new().read(&whole[..cut]), None);
        }

        /// Losses that outlive a crash read back.
        #[test]
        fn news_read_back(news in prop::collection::vec(("[a-z_]{1,20}", "\\PC{0,20}", any::<u64>()), 0..5)) {
            let news: News<String> = news.into_iter().map(|(reason, category, n)| (DiscardReason::from(&*reason), category, n)).collect();
            prop_assert_eq!(decode_news(&encode_news(&news)), Some(news));
        }
    }

    /// What many records have in common is kept once.
    #[test]
    fn what_is_alike_is_shared() {
        let label = Label {
            items: 1,
            bytes: 9,
            tally: [("error".to_owned(), 1)].into(),
            holders: Some([vec!["error".to_owned()]].into()),
        };
        let meta = |attempts| RecordMeta { attempts, replaces: Vec::new(), label: label.clone() };
        let mut reader = MetaReader::<String>::new();
        let [one, other] = [1, 300].map(|attempts| reader.read(&meta(attempts).encode().unwrap()).unwrap());
        assert!(Arc::ptr_eq(&one.label.tally, &other.label.tally));
        assert!(Arc::ptr_eq(one.label.holders.as_ref().unwrap(), other.label.holders.as_ref().unwrap()));
    }

    /// Too many categories for a header: first what holds the record is left out, then there is no header.
    #[test]
    fn a_header_has_bounds() {
        let names: Vec<String> = (0..30).map(|n| format!("{n:0>100}")).collect();
        let tally: Vec<_> = names.iter().map(|name| (name.clone(), 1)).collect();
        let label = Label { items: 1, bytes: 1, tally: tally.into(), holders: Some([names].into()) };
        let meta = RecordMeta { attempts: 0, replaces: Vec::new(), label };
        let read = MetaReader::<String>::new().read(&meta.encode().unwrap()).unwrap();
        assert_eq!((read.label.holders, &read.label.tally), (None, &meta.label.tally));
        let tally: Vec<_> = (0..60).map(|n| (format!("{n:0>100}"), 1)).collect();
        assert_eq!(
            RecordMeta { label: Label { tally: tally.into(), ..meta.label.clone() }, ..meta.clone() }
                .encode(),
            None
        );
    }
}
