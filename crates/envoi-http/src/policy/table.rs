use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use envoi_core::{Advice, BoxError, Fault, Kind, Phase, Receipt, Reply};
use http::StatusCode;

use super::door::Door;
use super::{classify, explain, retry_after};

/// What to do about a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The receiver has it.
    Deliver,
    /// Give up: [`Advice::Drop`].
    Drop,
    /// Try again after a back-off of one's own: [`Advice::Retry`].
    Retry,
    /// Try again after what `Retry-After` says: [`Advice::RetryAfter`], capped, see [`Policy::retry_after_cap`].
    /// [`Advice::Retry`] if the header is missing or unreadable (BD-3).
    RetryAfter,
}

/// A table of statuses and errors. See the module documentation for the three that are built in.
///
/// A later entry wins over an earlier one.
#[derive(Clone, Debug)]
pub struct Policy {
    statuses: Vec<(RangeInclusive<u16>, Action)>,
    errors: Vec<(Kind, Advice)>,
    every_error: Option<Advice>,
    retry_after_cap: Duration,
}

impl Policy {
    const CAP: Duration = Duration::from_secs(60);

    fn base() -> Self {
        Self {
            statuses: vec![(200..=299, Action::Deliver)],
            errors: Vec::new(),
            every_error: None,
            retry_after_cap: Self::CAP,
        }
    }

    /// The Sentry protocol: what the server refused is never sent again, network errors are (TR-8, OC-3, OC-4).
    #[must_use]
    pub fn sentry() -> Self {
        Self::base()
    }

    /// Generic batch endpoints: what may pass is tried again, `Retry-After` is obeyed up to 60 s (BD-2, BD-3).
    #[must_use]
    pub fn at_least_once() -> Self {
        Self::base()
            .on_status(StatusCode::REQUEST_TIMEOUT, Action::RetryAfter)
            .on_status(StatusCode::TOO_MANY_REQUESTS, Action::RetryAfter)
            .on_statuses(500..=599, Action::RetryAfter)
    }

    /// One attempt, whatever comes of it.
    #[must_use]
    pub fn best_effort() -> Self {
        Self { every_error: Some(Advice::Drop), ..Self::base() }
    }

    /// Changes the action for one status.
    #[must_use]
    pub fn on_status(self, status: StatusCode, action: Action) -> Self {
        self.on_statuses(status.as_u16()..=status.as_u16(), action)
    }

    /// Changes the action for a range of statuses.
    #[must_use]
    pub fn on_statuses(mut self, statuses: RangeInclusive<u16>, action: Action) -> Self {
        self.statuses.push((statuses, action));
        self
    }

    /// Changes the advice for a kind of error.
    #[must_use]
    pub fn on_error(mut self, kind: Kind, advice: Advice) -> Self {
        self.errors.push((kind, advice));
        self
    }

    /// The longest wait that a server may ask for. Default 60 s (BD-3).
    #[must_use]
    pub const fn retry_after_cap(mut self, cap: Duration) -> Self {
        self.retry_after_cap = cap;
        self
    }

    /// What to do about a status. What no entry names is dropped.
    #[must_use]
    pub fn action(&self, status: StatusCode) -> Action {
        let code = status.as_u16();
        self.statuses
            .iter()
            .rev()
            .find(|(range, _)| range.contains(&code))
            .map_or(Action::Drop, |entry| entry.1)
    }

    /// The verdict on a reply. `wall` is the wall time, for a `Retry-After` date in a reply without `Date`.
    ///
    /// # Errors
    /// A fault of the status' kind with the advice of the table, the reply, and what the server said (TR-7). A client
    /// certificate that is missing or not believed is one of [`Kind::Tls`] without a reply, however it is said.
    pub fn judge(&self, reply: Reply, wall: SystemTime) -> Result<Receipt, Fault> {
        let door = Door::of(&reply);
        if let Some(door @ (Door::NoCertificate | Door::BadCertificate)) = door {
            let words = format!("{} (it answered {})", door.words(), reply.status);
            return Err(self.advise(Fault::new(Kind::Tls).with_phase(Phase::Tls).with_message(words)));
        }
        let advice = match self.action(reply.status) {
            Action::Deliver => return Ok(Receipt::delivered().with_reply(reply)),
            Action::Drop => Advice::Drop,
            Action::Retry => Advice::Retry,
            Action::RetryAfter => match retry_after(&reply, wall) {
                Some(wait) => Advice::RetryAfter(wait.min(self.retry_after_cap)),
                None => Advice::Retry,
            },
        };
        let explanation = explain(&reply);
        let mut fault = Fault::new(kind_of(reply.status)).with_advice(advice).with_explanation(explanation);
        if reply.status.is_redirection() {
            fault = fault.with_message("redirects are not followed, use the final address");
        } else if let Some(door) = door {
            fault = fault.with_message(door.words());
        }
        Err(fault.with_reply(reply))
    }

    /// The verdict on an exchange that gave no reply: [`classify`], with the advice of the table.
    #[must_use]
    pub fn judge_error(&self, error: BoxError) -> Fault {
        self.advise(classify(error))
    }

    /// The advice for a kind of error, if there is another than its own.
    fn advise(&self, fault: Fault) -> Fault {
        let entry = self.errors.iter().rev().find(|(kind, _)| *kind == fault.kind()).map(|entry| entry.1);
        match entry.or(self.every_error) {
            Some(advice) => fault.with_advice(advice),
            None => fault,
        }
    }
}

const fn kind_of(status: StatusCode) -> Kind {
    match status.as_u16() {
        401 | 403 => Kind::Unauthorized,
        407 => Kind::Proxy,
        429 => Kind::RateLimited,
        500..=599 => Kind::Server,
        _ => Kind::Rejected,
    }
}
