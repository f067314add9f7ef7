use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use envoi_core::{Custodian, DiscardReason, Itemized, Ledger, Loss};

use super::books::{Books, News, Tally, news_of, restores, tally_of};

/// How what is left of a parcel is written down once the call that had it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The receiver has it.
    Delivered,
    /// It was destroyed.
    Lost(Loss),
    /// Nothing should be left; if something is, it was lost by a fault of a layer.
    Spent,
    /// Nothing: others answer for it, or it is back where it came from.
    Void,
}

/// The custody of one parcel during one call.
///
/// Two things happen, in either order: the call ends, and the parcel is dropped somewhere. Whichever is second makes
/// the entry in the books, of what the parcel held at its end. A layer that keeps the parcel beyond the call delays the
/// entry; that is the truth, the goods are still held.
pub(super) struct Custody<P: Itemized> {
    books: Arc<Books<P::Category>>,
    departed: Tally<P::Category>,
    state: Mutex<State<P::Category>>,
}

enum State<C> {
    /// The call runs and the parcel lives.
    Underway,
    /// The parcel is gone; this was left of it.
    Released(Tally<C>, News<C>),
    /// The call is over; the parcel lives.
    Judged(Entry),
    /// Entered.
    Closed,
}

impl<P: Itemized> Custody<P> {
    /// Takes a payload in custody that leaves the store.
    pub(super) fn new(books: Arc<Books<P::Category>>, payload: &P) -> Arc<Self> {
        let departed = tally_of(payload);
        books.departed(&departed);
        Arc::new(Self { books, departed, state: Mutex::new(State::Underway) })
    }

    fn replace(&self, state: State<P::Category>) -> State<P::Category> {
        std::mem::replace(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), state)
    }

    fn close(&self) {
        if !matches!(self.replace(State::Closed), State::Closed) {
            self.books.arrived(&self.departed);
        }
    }

    /// The call is over.
    pub(super) fn judge(&self, entry: Entry) {
        if entry == Entry::Void {
            return self.close();
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Underway => *state = State::Judged(entry),
            State::Released(tally, news) => {
                let (tally, news) = (std::mem::take(tally), std::mem::take(news));
                // Sinks are strangers; none is called with the lock held.
                drop(state);
                self.close();
                for (category, quantity) in &tally {
                    self.enter(&entry, category, *quantity);
                }
                if entry.restores() {
                    for (reason, category, quantity) in news {
                        self.books.sink.restore(reason, &category, quantity);
                    }
                }
            }
            State::Judged(_) | State::Closed => {}
        }
    }

    fn enter(&self, entry: &Entry, category: &P::Category, quantity: u64) {
        match entry {
            Entry::Delivered => self.books.ledger.delivered(category, quantity),
            Entry::Lost(loss) => self.books.lost(loss, category, quantity),
            Entry::Spent => {
                self.books.sink.lost(DiscardReason::InternalSdkError, category, quantity);
            }
            Entry::Void => {}
        }
    }
}

impl Entry {
    fn restores(&self) -> bool {
        match self {
            Self::Delivered | Self::Void => false,
            Self::Lost(loss) => restores(loss),
            Self::Spent => true,
        }
    }
}

impl<P: Itemized> Custodian<P> for Custody<P> {
    fn released(&self, payload: &P) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Underway => *state = State::Released(tally_of(payload), news_of(payload)),
            State::Judged(entry) => {
                let entry = entry.clone();
                drop(state);
                self.close();
                payload.tally(&mut |category, quantity| self.enter(&entry, category, quantity));
                if entry.restores() {
                    self.books.restore(payload);
                }
            }
            State::Released(..) | State::Closed => {}
        }
    }

    fn keeps(&self, books: &dyn Any) -> bool {
        books.downcast_ref::<Ledger<P::Category>>().is_some_and(|ledger| ledger.is_same(&self.books.ledger))
    }
}

/// Taken out of custody by another owner, who answers for it: nothing will be entered here.
impl<P: Itemized> Drop for Custody<P> {
    fn drop(&mut self) {
        self.close();
    }
}
