use std::time::Instant;

use envoi_core::Lane;

use super::rota::LaneSet;

/// What lanes that have nothing to lease wait for.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    not_before: [Option<Instant>; Lane::COUNT],
    held: LaneSet,
    held_until: Option<Instant>,
    fetching: LaneSet,
}

impl Agenda {
    /// Forgets what is known of a lane: it is about to be asked.
    pub(super) fn forget(&mut self, lane: Lane) {
        self.not_before[lane.index()] = None;
        self.held = self.held.without(lane);
        self.fetching = self.fetching.without(lane);
        if self.held.is_empty() {
            self.held_until = None;
        }
    }

    /// The lane has something at `due`, perhaps sooner.
    pub(super) fn wait(&mut self, lane: Lane, due: Instant) {
        let known = &mut self.not_before[lane.index()];
        *known = Some(known.map_or(due, |known| known.min(due)));
    }

    /// Limits hold something in the lane; ask again at `end`, when the first of them ends.
    pub(super) fn hold(&mut self, lane: Lane, end: Instant) {
        self.held = self.held.with(LaneSet::of(lane));
        self.held_until = Some(self.held_until.map_or(end, |known| known.min(end)));
    }

    /// The store will wake us.
    pub(super) fn fetch(&mut self, lane: Lane) {
        self.fetching = self.fetching.with(LaneSet::of(lane));
    }

    pub(super) fn is_fetching(&self) -> bool {
        !self.fetching.is_empty()
    }

    /// Takes off the lanes whose time has come. `free` says that no limit is in force.
    pub(super) fn due(&mut self, now: Instant, free: bool) -> LaneSet {
        let mut due = LaneSet::default();
        for lane in Lane::ALL {
            let not_before = &mut self.not_before[lane.index()];
            if not_before.is_some_and(|at| at <= now) {
                *not_before = None;
                due = due.with(LaneSet::of(lane));
            }
        }
        if free || self.held_until.is_some_and(|at| at <= now) {
            due = due.with(std::mem::take(&mut self.held));
            self.held_until = None;
        }
        due
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.not_before.iter().copied().flatten().chain(self.held_until).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// OC-8, decision 7: a lane is asked again at the exact instant, not before.
    #[test]
    fn lanes_come_up_when_their_time_has_come() {
        let start = tokio::time::Instant::now().into_std();
        let at = |millis| start + Duration::from_millis(millis);
        let mut agenda = Agenda::default();
        assert_eq!(agenda.next(), None);
        agenda.wait(Lane::High, at(50));
        agenda.wait(Lane::High, at(30));
        agenda.hold(Lane::Low, at(40));
        agenda.hold(Lane::Lowest, at(60));
        assert_eq!(agenda.next(), Some(at(30)));
        assert_eq!(agenda.due(at(29), false), LaneSet::default());
        assert_eq!(agenda.due(at(30), false), LaneSet::of(Lane::High));
        assert_eq!(agenda.next(), Some(at(40)));
        assert_eq!(agenda.due(at(40), false), LaneSet::of(Lane::Low).with(LaneSet::of(Lane::Lowest)));
        assert_eq!(agenda.next(), None);
    }

    /// RL-12: limits that are lifted early let everybody go at once.
    #[test]
    fn lifted_limits_hold_nobody() {
        let start = tokio::time::Instant::now().into_std();
        let mut agenda = Agenda::default();
        agenda.hold(Lane::Low, start + Duration::from_secs(60));
        agenda.hold(Lane::High, start + Duration::from_secs(60));
        agenda.forget(Lane::High);
        assert_eq!(agenda.due(start, true), LaneSet::of(Lane::Low));
        assert_eq!(agenda.due(start, true), LaneSet::default());
    }
}
