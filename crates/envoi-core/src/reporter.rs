use std::sync::Arc;

/// Pending reports of losses, and how they travel: the client reports of Sentry (CR-5), or yours.
pub trait Reporter<P>: Send + Sync + 'static {
    /// Whether there is anything to report. One relaxed load when there is not.
    fn is_pending(&self) -> bool;

    /// Moves pending losses into `payload`, if it may carry them. Says whether it did.
    ///
    /// From then on the payload answers for them: a copy that is destroyed puts them back through
    /// [`Itemized::carried_losses`](crate::Itemized::carried_losses).
    fn attach(&self, payload: &mut P) -> bool;

    /// Takes the reports that [`Reporter::attach`] added out of `payload`, and nothing else. Where `restore` is set
    /// the losses are pending again (CR-6); it is not set when the receiver has read them (decision 14).
    fn detach(&self, payload: &mut P, restore: bool);

    /// Moves pending losses into a payload of their own; `None` if there are none.
    fn standalone(&self) -> Option<P>;
}

/// Reports nothing and costs nothing (CR-7).
impl<P> Reporter<P> for () {
    fn is_pending(&self) -> bool {
        false
    }

    fn attach(&self, _: &mut P) -> bool {
        false
    }

    fn detach(&self, _: &mut P, _: bool) {}

    fn standalone(&self) -> Option<P> {
        None
    }
}

impl<P, R: Reporter<P> + ?Sized> Reporter<P> for Arc<R> {
    fn is_pending(&self) -> bool {
        (**self).is_pending()
    }

    fn attach(&self, payload: &mut P) -> bool {
        (**self).attach(payload)
    }

    fn detach(&self, payload: &mut P, restore: bool) {
        (**self).detach(payload, restore);
    }

    fn standalone(&self) -> Option<P> {
        (**self).standalone()
    }
}

#[cfg(test)]
mod tests;
