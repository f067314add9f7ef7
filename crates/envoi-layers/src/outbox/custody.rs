use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use envoi_core::{Custodian, DiscardReason, Itemized, Ledger, Loss};

use super::books::{Books, News, Tally, beyond, news_of, restores, tally_of};

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
    /// It was destroyed, and the store falls back on a copy of what departed.
    Abandoned,
}

/// The custody of one parcel during one call.
///
/// Two things happen, in either order: the call ends, and the parcel is dropped somewhere. Whichever is second makes
/// the entry in the books, of what the parcel held at its end. A layer that keeps the parcel beyond the call delays the
/// entry; that is the truth, the goods are still held.
pub(super) struct Custody<P: Itemized> {
    books: Arc<Books<P::Category>>,
    departed: Tally<P::Category>,
    /// The news that it departed with.
    news: News<P::Category>,
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
        Arc::new(Self { books, departed, news: news_of(payload), state: Mutex::new(State::Underway) })
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
                self.conclude(&entry, &tally, news);
            }
            State::Judged(_) | State::Closed => {}
        }
    }

    /// Makes the entry, of what was left.
    fn conclude(&self, entry: &Entry, tally: &Tally<P::Category>, news: News<P::Category>) {
        self.close();
        if *entry == Entry::Abandoned {
            return self.fall_back(tally, &news);
        }
        for (category, quantity) in tally {
            self.enter(entry, category, *quantity);
        }
        if entry.restores() {
            self.restore(news);
        }
    }

    /// The copy in the store is what departed. What a layer has dropped and recorded since is in it again, as if posted
    /// anew; reports that were put on board since are not (decision 14), so they are to be told again (CR-6).
    fn fall_back(&self, tally: &Tally<P::Category>, news: &News<P::Category>) {
        for (category, quantity) in beyond(self.departed.clone(), tally) {
            self.books.ledger.posted(&category, quantity);
        }
        let key = |(reason, category, quantity): &(_, P::Category, u64)| {
            ((DiscardReason::clone(reason), category.clone()), *quantity)
        };
        let own: Vec<_> = self.news.iter().map(key).collect();
        let attached = beyond(news.iter().map(key).collect(), &own);
        self.restore(attached.into_iter().map(|((reason, category), quantity)| (reason, category, quantity)));
    }

    fn restore(&self, news: impl IntoIterator<Item = (DiscardReason, P::Category, u64)>) {
        for (reason, category, quantity) in news {
            self.books.sink.restore(reason, &category, quantity);
        }
    }

    fn enter(&self, entry: &Entry, category: &P::Category, quantity: u64) {
        match entry {
            Entry::Delivered => self.books.ledger.delivered(category, quantity),
            Entry::Lost(loss) => self.books.lost(loss, category, quantity),
            Entry::Spent => {
                self.books.sink.lost(DiscardReason::InternalSdkError, category, quantity);
            }
            Entry::Void | Entry::Abandoned => {}
        }
    }
}

impl Entry {
    fn restores(&self) -> bool {
        match self {
            Self::Delivered | Self::Void | Self::Abandoned => false,
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
                self.conclude(&entry, &tally_of(payload), news_of(payload));
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
