use envoi_core::{Advice, Fate, Fault, Kind, Receipt};
use http::StatusCode;

/// What an answer says about the health of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The receiver is well: failures in a row begin at none again.
    Success,
    /// It failed.
    Failure,
    /// Nothing.
    Neutral,
}

impl Verdict {
    /// The verdict of the default (BD-4).
    ///
    /// | the answer | |
    /// |---|---|
    /// | `Delivered` | success |
    /// | `Queued`, `Stored`, `Spent`: no receiver was asked | neutral |
    /// | a network error or a timeout | failure |
    /// | 5xx, 408 | failure |
    /// | 429; without a reply it was a limit known beforehand | failure; neutral |
    /// | 401, 403, any other refusal | neutral |
    /// | an error of an unknown kind | failure if it may be tried again, else neutral |
    /// | everything local: encoding, storage, shutdown, another breaker | neutral |
    ///
    /// ```
    /// use envoi_core::{Fault, Kind, Receipt};
    /// use envoi_layers::breaker::{BreakerConfig, Verdict};
    /// assert_eq!(Verdict::of(Ok(&Receipt::delivered())), Verdict::Success);
    /// assert_eq!(Verdict::of(Err(&Fault::new(Kind::Unauthorized))), Verdict::Neutral);
    ///
    /// // A server that answers is well, whatever it answers.
    /// let lenient = BreakerConfig::new().judge(|answer| match answer {
    ///     Err(fault) if fault.status().is_some() => Verdict::Success,
    ///     answer => Verdict::of(answer),
    /// });
    /// ```
    #[must_use]
    pub fn of(answer: Result<&Receipt, &Fault>) -> Self {
        let fault = match answer {
            Ok(receipt) if receipt.fate() == Fate::Delivered => return Self::Success,
            Ok(_) => return Self::Neutral,
            Err(fault) => fault,
        };
        let failed = match fault.kind() {
            kind if kind.is_network() => true,
            Kind::Server => true,
            Kind::RateLimited => fault.reply().is_some(),
            Kind::Rejected => fault.status() == Some(StatusCode::REQUEST_TIMEOUT),
            Kind::Other => fault.advice() != Advice::Drop,
            _ => false,
        };
        if failed { Self::Failure } else { Self::Neutral }
    }
}

#[cfg(test)]
mod tests {
    use envoi_core::Reply;

    use super::*;

    /// BD-4: what counts, what does not.
    #[test]
    fn table_of_verdicts() {
        let replied =
            |kind, code| Fault::new(kind).with_reply(Reply::new(StatusCode::from_u16(code).unwrap()));
        let failures = [
            Fault::new(Kind::Connect),
            Fault::new(Kind::Proxy),
            Fault::new(Kind::Tls),
            Fault::new(Kind::Io),
            Fault::new(Kind::Reset),
            Fault::new(Kind::Timeout),
            replied(Kind::Server, 500),
            replied(Kind::Server, 503),
            replied(Kind::Rejected, 408),
            replied(Kind::RateLimited, 429),
            Fault::new(Kind::Other).with_advice(Advice::Retry),
        ];
        for fault in failures {
            assert_eq!(Verdict::of(Err(&fault)), Verdict::Failure, "{fault:?}");
        }
        let neutral = [
            replied(Kind::Unauthorized, 401),
            replied(Kind::Unauthorized, 403),
            replied(Kind::Rejected, 400),
            replied(Kind::Rejected, 413),
            replied(Kind::Rejected, 302),
            Fault::new(Kind::RateLimited),
            Fault::new(Kind::Encode),
            Fault::new(Kind::Storage),
            Fault::new(Kind::Halted),
            Fault::new(Kind::Disabled),
            Fault::new(Kind::CircuitOpen).with_advice(Advice::RetryAfter(std::time::Duration::ZERO)),
            Fault::new(Kind::QueueFull),
            Fault::new(Kind::Closed),
            Fault::new(Kind::Other),
        ];
        for fault in neutral {
            assert_eq!(Verdict::of(Err(&fault)), Verdict::Neutral, "{fault:?}");
        }
        for fate in [Fate::Queued, Fate::Stored, Fate::Spent] {
            assert_eq!(Verdict::of(Ok(&Receipt::new(fate))), Verdict::Neutral);
        }
        assert_eq!(Verdict::of(Ok(&Receipt::delivered())), Verdict::Success);
    }
}
