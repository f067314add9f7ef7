use envoi_core::Lane;

/// A set of lanes, as bits by [`Lane::index`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LaneSet(u8);

impl LaneSet {
    pub(super) const ALL: Self = Self((1 << Lane::COUNT) - 1);

    pub(super) const fn of(lane: Lane) -> Self {
        Self(1 << lane.index())
    }

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn contains(self, lane: Lane) -> bool {
        self.0 & Self::of(lane).0 != 0
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, lane: Lane) -> Self {
        Self(self.0 & !Self::of(lane).0)
    }
}

/// Whose turn it is: weighted round robin (TP-2).
///
/// Each lane has as many turns in a round as its weight, the most urgent first. A lane with nothing to send is passed
/// over; the round ends when nobody who wants a turn has one left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rota {
    weights: [u32; Lane::COUNT],
    left: [u32; Lane::COUNT],
}

impl Rota {
    /// A weight of 0 counts as 1: nobody starves.
    pub(super) fn new(weights: [u32; Lane::COUNT]) -> Self {
        let weights = weights.map(|weight| weight.max(1));
        Self { weights, left: weights }
    }

    /// The lane whose turn it is among `candidates`. Takes no turn away.
    pub(super) fn next(&mut self, candidates: LaneSet) -> Option<Lane> {
        let mut waiting = Lane::ALL.into_iter().filter(|lane| candidates.contains(*lane));
        let first = waiting.clone().next()?;
        Some(waiting.find(|lane| self.left[lane.index()] > 0).unwrap_or_else(|| {
            self.left = self.weights;
            first
        }))
    }

    /// `lane` has had a turn.
    pub(super) fn took(&mut self, lane: Lane) {
        let left = &mut self.left[lane.index()];
        *left = left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn turns(rota: &mut Rota, candidates: LaneSet, count: usize) -> [u32; Lane::COUNT] {
        let mut turns = [0; Lane::COUNT];
        for _ in 0..count {
            let lane = rota.next(candidates).unwrap();
            rota.took(lane);
            turns[lane.index()] += 1;
        }
        turns
    }

    /// TP-2: under backlog in all lanes each round gives 5:4:3:2:1, the most urgent first.
    #[test]
    fn a_round_serves_by_weight() {
        let mut rota = Rota::new(Lane::ALL.map(Lane::default_weight));
        assert_eq!(rota.next(LaneSet::ALL), Some(Lane::Critical));
        for _ in 0..3 {
            assert_eq!(turns(&mut rota, LaneSet::ALL, 15), [5, 4, 3, 2, 1]);
        }
    }

    /// TP-2: who has nothing to send costs nobody a turn.
    #[test]
    fn an_empty_lane_is_passed_over() {
        let mut rota = Rota::new([5, 4, 3, 2, 1]);
        let two = LaneSet::of(Lane::Critical).with(LaneSet::of(Lane::Low));
        assert_eq!(turns(&mut rota, two, 14), [10, 0, 0, 4, 0]);
        assert_eq!(rota.next(LaneSet::default()), None);
    }

    proptest! {
        /// TP-2: whatever the weights and whoever waits, a lane that waits all along gets its share.
        #[test]
        fn shares_follow_the_weights(
            weights in prop::array::uniform5(0_u32..20),
            bits in 1_u8..32,
            rounds in 1_usize..5,
            warm_up in prop::collection::vec(1_u8..32, 0..40),
        ) {
            let mut rota = Rota::new(weights);
            for bits in warm_up {
                turns(&mut rota, LaneSet::from_bits(bits), 1);
            }
            let candidates = LaneSet::from_bits(bits);
            let wanted = |lane: Lane| if candidates.contains(lane) { weights[lane.index()].max(1) } else { 0 };
            let round: u32 = Lane::ALL.into_iter().map(wanted).sum();
            // What is left of the round that the warm-up began.
            let rest: u32 = Lane::ALL
                .into_iter()
                .filter(|lane| candidates.contains(*lane))
                .map(|lane| rota.left[lane.index()])
                .sum();
            turns(&mut rota, candidates, rest as usize);
            let served = turns(&mut rota, candidates, round as usize * rounds);
            for lane in Lane::ALL {
                prop_assert_eq!(served[lane.index()], wanted(lane) * u32::try_from(rounds).unwrap());
            }
        }
    }
}
