//! Who may carry news of losses, so that the store knows when its own losses have been told (CR-6).

use std::collections::HashSet;

use envoi_core::Itemized;

use super::Front;
use crate::format::AckKind;
use crate::store::entry::Body;
use crate::store::shelf::Shelf;

/// At a moment when no losses are pending, whatever was pending before is on board of these, or was told.
#[derive(Debug, Default)]
pub(in crate::store) struct Carriers {
    orders: HashSet<u64>,
    /// One of them was not delivered: what it carried may be on board of another by now.
    failed: bool,
}

/// What became of the carriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Told {
    /// Some are under way.
    NotYet,
    /// All were delivered.
    All,
    /// One was not.
    Perhaps,
}

impl<P: Itemized> Front<P> {
    /// To be called while nothing is pending: from here on it is watched what becomes of the carriers.
    pub(in crate::store) fn watch_carriers(&mut self) {
        let mut orders: HashSet<u64> = self.loans.keys().copied().collect();
        for (order, entry) in self.shelves.iter().flat_map(Shelf::iter) {
            if let Body::Here(parcel) = &entry.body {
                let mut carries = false;
                parcel.payload().carried_losses(&mut |_, _, _| carries = true);
                if carries {
                    orders.insert(order);
                }
            }
        }
        self.carriers = Some(Carriers { orders, failed: false });
    }

    /// What became of them; `None` if nobody watches.
    pub(in crate::store) fn told(&self) -> Option<Told> {
        self.carriers.as_ref().map(|carriers| match carriers {
            Carriers { failed: true, .. } => Told::Perhaps,
            Carriers { orders, .. } if orders.is_empty() => Told::All,
            Carriers { .. } => Told::NotYet,
        })
    }

    /// An entry has ended like this, or, with `None`, came back.
    pub(super) fn carrier_ended(&mut self, order: u64, kind: Option<AckKind>) {
        if let Some(carriers) = &mut self.carriers
            && carriers.orders.remove(&order)
        {
            carriers.failed |= kind != Some(AckKind::Delivered);
            self.news |= carriers.failed || carriers.orders.is_empty();
        }
    }
}

#[cfg(test)]
mod tests {
    use envoi_core::{Clock, DiscardReason, Lane, Next, Parcel, SystemClock};
    use envoi_testkit::Goods;

    use super::*;
    use crate::store::SpoolConfig;
    use crate::store::meta::Label;

    /// A front with a disk that takes nothing, so that parcels are ready at once.
    fn front(parcels: impl IntoIterator<Item = Goods>) -> Front<Goods> {
        let mut front = Front::default();
        for goods in parcels {
            let label = Label::of(&goods);
            let when = (1, SystemClock.now(), 0);
            let config = SpoolConfig::new();
            assert!(
                front.append(Parcel::new(goods), label, None, when, None, &config, &mut Vec::new()).is_ok()
            );
        }
        front
    }

    fn lease(front: &mut Front<Goods>) -> (u64, Parcel<Goods>) {
        match front.lease(Lane::Critical, SystemClock.now(), None, &SpoolConfig::new()) {
            Next::Ready(lease) => (lease.id.0, lease.parcel),
            other => unreachable!("nothing to lease: {other:?}"),
        }
    }

    fn error() -> Goods {
        Goods::new("error").with_lane(Lane::Critical)
    }

    /// CR-6: with nobody under way everything was told.
    #[test]
    fn nobody_under_way_is_the_end() {
        let mut front = front([error()]);
        assert_eq!(front.told(), None);
        front.watch_carriers();
        assert_eq!(front.told(), Some(Told::All), "what is queued without news on board carries none");
    }

    /// CR-6: those under way are waited for, and no others.
    #[test]
    fn those_under_way_are_waited_for() {
        let mut front = front([error(), error(), error()]);
        let ((first, _first), (second, _second)) = (lease(&mut front), lease(&mut front));
        front.watch_carriers();
        let (later, _later) = lease(&mut front);
        front.finish(first, AckKind::Delivered);
        assert_eq!(front.told(), Some(Told::NotYet));
        front.finish(second, AckKind::Delivered);
        assert_eq!(front.told(), Some(Told::All));
        assert!(front.has_work(), "the thread hears of it");
        front.finish(later, AckKind::Rejected);
        assert_eq!(front.told(), Some(Told::All));
    }

    /// CR-6: what a parcel carries that is refused, given back or abandoned is on board of another by now.
    #[test]
    fn a_failure_tells_nothing() {
        type End = fn(&mut Front<Goods>, u64, Parcel<Goods>);
        let ends: [End; 3] = [
            |front, order, _| front.finish(order, AckKind::Rejected),
            |front, order, _| front.abandon(order),
            |front, order, parcel| {
                let Some(loan) = front.loans.remove(&order) else { unreachable!("it is on loan") };
                let loan = (order, loan);
                front.restore(loan, parcel, None, (true, None), &SpoolConfig::new(), &mut Vec::new());
            },
        ];
        for end in ends {
            let mut front = front([error()]);
            let (order, parcel) = lease(&mut front);
            front.watch_carriers();
            end(&mut front, order, parcel);
            assert_eq!(front.told(), Some(Told::Perhaps));
            assert!(front.has_work(), "the thread hears of it");
        }
    }

    /// CR-6: a parcel that waits with news on board is a carrier.
    #[test]
    fn news_that_wait_are_not_told() {
        let mut front = front([error().carrying(DiscardReason::SampleRate, "error", 4)]);
        front.watch_carriers();
        assert_eq!(front.told(), Some(Told::NotYet));
        let (order, _parcel) = lease(&mut front);
        front.finish(order, AckKind::Delivered);
        assert_eq!(front.told(), Some(Told::All));
    }
}
