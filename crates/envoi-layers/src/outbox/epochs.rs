use std::collections::BTreeMap;

/// Which parcels were posted before which flush, in constant space per flush that still has somebody to wait for.
///
/// Every parcel is entered under the number of the current epoch, its tag. A flush ends the epoch and waits until
/// nothing of it or of an earlier one is left. Tag 0 belongs to nobody: entries of an earlier run.
#[derive(Debug)]
pub(super) struct Epochs {
    current: u64,
    open: u64,
    // Ended epochs with parcels that have no outcome yet; never an empty one.
    ended: BTreeMap<u64, u64>,
}

impl Default for Epochs {
    fn default() -> Self {
        Self { current: 1, open: 0, ended: BTreeMap::new() }
    }
}

impl Epochs {
    /// Enters a parcel and returns its tag.
    pub(super) fn enter(&mut self) -> u64 {
        self.open += 1;
        self.current
    }

    /// The parcel with this tag has its outcome. Says whether a mark may have been reached by it.
    pub(super) fn settle(&mut self, tag: u64) -> bool {
        if tag == self.current {
            self.open = self.open.saturating_sub(1);
            return false;
        }
        let Some(count) = self.ended.get_mut(&tag) else { return false };
        *count -= 1;
        if *count == 0 {
            self.ended.remove(&tag);
            return true;
        }
        false
    }

    /// Ends the current epoch and returns the mark to wait for.
    pub(super) fn cut(&mut self) -> u64 {
        if self.open > 0 {
            self.ended.insert(self.current, std::mem::take(&mut self.open));
            self.current += 1;
        }
        self.current - 1
    }

    /// Whether everything that was entered before the mark has its outcome.
    pub(super) fn is_reached(&self, mark: u64) -> bool {
        self.ended.first_key_value().is_none_or(|(first, _)| *first > mark)
    }

    /// How many parcels from before the mark have no outcome.
    pub(super) fn left(&self, mark: u64) -> u64 {
        self.ended.range(..=mark).map(|(_, count)| count).sum()
    }

    /// How many parcels have no outcome.
    pub(super) fn outstanding(&self) -> u64 {
        self.open + self.ended.values().sum::<u64>()
    }

    /// Whether every parcel has its outcome.
    pub(super) fn is_settled(&self) -> bool {
        self.open == 0 && self.ended.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// TR-2: a flush waits for what came before, however much comes after.
    #[test]
    fn a_mark_waits_for_what_came_before() {
        let mut epochs = Epochs::default();
        let first = epochs.enter();
        let mark = epochs.cut();
        let second = epochs.enter();
        assert!(!epochs.is_reached(mark));
        assert!(!epochs.settle(second), "a later parcel reaches no mark");
        assert_eq!(epochs.left(mark), 1);
        assert!(epochs.settle(first));
        assert!(epochs.is_reached(mark) && epochs.is_settled());
    }

    /// TR-2: with nothing posted there is nothing to wait for, also when something comes later.
    #[test]
    fn an_empty_epoch_is_not_waited_for() {
        let mut epochs = Epochs::default();
        let mark = epochs.cut();
        epochs.enter();
        assert!(epochs.is_reached(mark));
        assert_eq!((epochs.left(mark), epochs.is_settled()), (0, false));
    }

    /// Tag 0 and tags that were never given are nobody's.
    #[test]
    fn foreign_tags_change_nothing() {
        let mut epochs = Epochs::default();
        epochs.enter();
        let mark = epochs.cut();
        assert!(!epochs.settle(0) && !epochs.settle(99));
        assert_eq!(epochs.left(mark), 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Enter,
        Settle(prop::sample::Index),
        Cut,
    }

    proptest! {
        /// TR-2: against a model that remembers every parcel.
        #[test]
        fn marks_agree_with_a_model(
            steps in prop::collection::vec(
                prop_oneof![
                    4 => Just(Step::Enter),
                    3 => any::<prop::sample::Index>().prop_map(Step::Settle),
                    1 => Just(Step::Cut),
                ],
                0..200,
            )
        ) {
            let mut epochs = Epochs::default();
            // Open parcels as (number, tag); marks as (number of parcels before, mark).
            let (mut open, mut marks, mut entered) = (Vec::new(), Vec::new(), 0_u64);
            for step in steps {
                match step {
                    Step::Enter => {
                        open.push((entered, epochs.enter()));
                        entered += 1;
                    }
                    Step::Settle(index) if !open.is_empty() => {
                        let (_, tag) = open.swap_remove(index.index(open.len()));
                        epochs.settle(tag);
                    }
                    Step::Settle(_) => {}
                    Step::Cut => marks.push((entered, epochs.cut())),
                }
                for (before, mark) in &marks {
                    let left = open.iter().filter(|(number, _)| number < before).count() as u64;
                    prop_assert_eq!(epochs.left(*mark), left);
                    prop_assert_eq!(epochs.is_reached(*mark), left == 0);
                }
                prop_assert_eq!(epochs.is_settled(), open.is_empty());
                prop_assert_eq!(epochs.outstanding(), open.len() as u64);
                prop_assert!(epochs.ended.len() <= open.len(), "no space without somebody to wait for");
            }
        }
    }
}
