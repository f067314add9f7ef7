use envoi_core::{DiscardReason, Itemized, Limits, LossSink, Reply, SharedClock};

/// The decisions of a filter and what they need; shared by a service, its clones and its futures.
pub(super) struct Rules<L, K> {
    pub(super) limits: L,
    pub(super) sink: K,
    pub(super) clock: SharedClock,
}

impl<L, K> Rules<L, K> {
    /// Takes what is limited out of `payload` and records it. Says whether anything is left to send.
    pub(super) fn admit<P>(&self, payload: &mut P) -> bool
    where
        P: Itemized,
        L: Limits<P::Category>,
        K: LossSink<P::Category>,
    {
        if self.limits.is_idle() {
            return true;
        }
        let now = self.clock.now();
        if !self.limits.any_active(now) {
            return true;
        }
        if self.limits.all_until(now).is_none() {
            let mut limited = |category: &P::Category| self.limits.category_until(category, now).is_some();
            // Asked first because a payload that would only carry news of other losses is not sent (decision 11),
            // and that news has to be put back before it is taken apart.
            if !payload.is_held(&mut limited) {
                payload.shed(&mut limited, &mut |category, quantity| self.drop(category, quantity));
                if !payload.is_spent() {
                    return true;
                }
            }
        }
        payload.carried_losses(&mut |reason, category, quantity| {
            self.sink.restore(reason, category, quantity);
        });
        payload.clear(&mut |category, quantity| self.drop(category, quantity));
        false
    }

    fn drop<C>(&self, category: &C, quantity: u64)
    where
        K: LossSink<C>,
    {
        self.sink.lost(DiscardReason::RatelimitBackoff, category, quantity);
    }

    /// Takes in what a reply says about limits.
    pub(super) fn learn<C>(&self, reply: Option<&Reply>)
    where
        L: Limits<C>,
    {
        if let Some(reply) = reply {
            self.limits.learn(reply, self.clock.now(), self.clock.wall());
        }
    }
}
