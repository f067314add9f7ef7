use std::time::Duration;

use envoi_core::{Advice, DiscardReason, Fault, Kind, Loss};

use super::Backoff;

/// A server may ask for no longer a wait than this.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// So many resets in a row end a parcel: a server may cut the connection instead of answering 413 (decision 17).
const RESETS: u32 = 3;

/// How long the outbox keeps trying (decision 17).
#[derive(Clone, Copy, Debug)]
pub(super) struct Persistence {
    pub(super) backoff: Backoff,
    pub(super) max_attempts: u32,
    pub(super) max_age: Duration,
}

/// What is known about a parcel whose delivery failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct History {
    /// Attempts that failed before this one.
    pub(super) attempt: u32,
    /// Resets in a row before this failure.
    pub(super) resets: u32,
    /// The time since it was posted.
    pub(super) age: Duration,
}

/// What becomes of a parcel whose delivery failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is given up, and written down like this.
    GiveUp(Loss),
    /// It is tried again, after this wait.
    Again {
        wait: Duration,
        /// Whether a server asked for the wait.
        until_server: bool,
        /// Resets in a row, this one included.
        resets: u32,
    },
    /// Shutdown interrupted it; this was no attempt.
    Halted,
}

/// Whether nothing was sent, by the word of a breaker below: such refusals do not use the attempts of a parcel up (BD-4).
pub(super) fn is_no_attempt(fault: &Fault) -> bool {
    fault.kind() == Kind::CircuitOpen
}

/// Judges a failure. `unit` is a random number in 0…1, for the jitter.
pub(super) fn verdict(fault: &Fault, history: History, persistence: &Persistence, unit: f64) -> Verdict {
    let asked = match fault.advice() {
        Advice::Drop => return Verdict::GiveUp(fault.loss()),
        Advice::Retry if fault.kind() == Kind::Halted => return Verdict::Halted,
        Advice::Retry => None,
        Advice::RetryAfter(wait) => Some(wait.min(LONGEST_WAIT)),
    };
    let failures = history.attempt.saturating_add(1);
    if is_no_attempt(fault) && history.age < persistence.max_age {
        // As after a first failure, not to spin over a breaker that says nothing of a wait.
        let wait = asked.unwrap_or_default().max(persistence.backoff.delay(1, unit));
        return Verdict::Again { wait, until_server: asked.is_some(), resets: history.resets };
    }
    let resets = if fault.kind() == Kind::Reset { history.resets.saturating_add(1) } else { 0 };
    if resets >= RESETS {
        return Verdict::GiveUp(Loss::Lost(DiscardReason::SendError));
    }
    if failures >= persistence.max_attempts || history.age >= persistence.max_age {
        return Verdict::GiveUp(fault.loss());
    }
    let backoff = persistence.backoff.delay(failures, unit);
    Verdict::Again { wait: asked.unwrap_or_default().max(backoff), until_server: asked.is_some(), resets }
}

#[cfg(test)]
mod tests {
    use envoi_core::Reply;
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const FRESH: History = History { attempt: 0, resets: 0, age: Duration::ZERO };

    fn persistence() -> Persistence {
        Persistence { backoff: Backoff::default(), max_attempts: 20, max_age: 30 * DAY }
    }

    fn judge(fault: &Fault, history: History) -> Verdict {
        verdict(fault, history, &persistence(), 0.5)
    }

    fn again(seconds: u64, until_server: bool, resets: u32) -> Verdict {
        Verdict::Again { wait: Duration::from_secs(seconds), until_server, resets }
    }

    /// CR-3, TR-8: without advice to retry a parcel ends, as the fault says.
    #[test]
    fn a_refusal_is_final() {
        let refused = Fault::new(Kind::Server).with_reply(Reply::new(StatusCode::BAD_GATEWAY));
        assert_eq!(judge(&refused, FRESH), Verdict::GiveUp(Loss::Refused(StatusCode::BAD_GATEWAY)));
        let broken = Fault::new(Kind::Encode);
        assert_eq!(judge(&broken, FRESH), Verdict::GiveUp(Loss::Lost(DiscardReason::InternalSdkError)));
    }

    /// OC-4, decision 17: network errors are tried again with a delay that doubles.
    #[test]
    fn network_errors_back_off() {
        let fault = Fault::new(Kind::Connect);
        let waits: Vec<_> = (0..3).map(|attempt| judge(&fault, History { attempt, ..FRESH })).collect();
        assert_eq!(waits, [again(5, false, 0), again(10, false, 0), again(20, false, 0)]);
    }

    /// CR-3, decision 17: after 20 attempts or 30 days it is a `network_error`.
    #[test]
    fn persistence_is_bounded() {
        let fault = Fault::new(Kind::Timeout);
        let lost = Verdict::GiveUp(Loss::Lost(DiscardReason::NetworkError));
        assert_eq!(judge(&fault, History { attempt: 18, ..FRESH }), again(3600, false, 0));
        assert_eq!(judge(&fault, History { attempt: 19, ..FRESH }), lost);
        assert_eq!(judge(&fault, History { age: 30 * DAY, ..FRESH }), lost);
    }

    /// Decision 17: three resets in a row are a `send_error`, with anything between they are not.
    #[test]
    fn three_resets_in_a_row_end_it() {
        let reset = Fault::new(Kind::Reset);
        assert_eq!(judge(&reset, History { attempt: 1, resets: 1, ..FRESH }), again(10, false, 2));
        assert_eq!(
            judge(&reset, History { attempt: 2, resets: 2, ..FRESH }),
            Verdict::GiveUp(Loss::Lost(DiscardReason::SendError))
        );
        let between = judge(&Fault::new(Kind::Io), History { attempt: 2, resets: 2, ..FRESH });
        assert_eq!(between, again(20, false, 0));
    }

    /// TR-8: what a server asks for is waited for, up to 24 hours, and never less than the back-off.
    #[test]
    fn a_server_is_waited_for() {
        let asked = |wait| Fault::new(Kind::Server).with_advice(Advice::RetryAfter(wait));
        assert_eq!(judge(&asked(Duration::from_secs(90)), FRESH), again(90, true, 0));
        assert_eq!(judge(&asked(Duration::ZERO), FRESH), again(5, true, 0));
        assert_eq!(judge(&asked(Duration::MAX), FRESH), again(86_400, true, 0));
    }

    /// BD-4: what an open breaker refused was not tried: it waits for as long as an outage lasts, and its resets stay in a
    /// row. Age ends it all the same.
    #[test]
    fn a_refusal_by_a_breaker_is_no_attempt() {
        let refused = |wait| Fault::new(Kind::CircuitOpen).with_advice(Advice::RetryAfter(wait));
        let tired = History { attempt: 100, resets: 2, age: Duration::ZERO };
        assert_eq!(judge(&refused(2 * DAY / 24), tired), again(7200, true, 2));
        assert_eq!(judge(&refused(Duration::ZERO), FRESH), again(5, true, 0));
        let old = History { age: 30 * DAY, ..FRESH };
        let lost = Verdict::GiveUp(Loss::Lost(DiscardReason::Backpressure));
        assert_eq!(judge(&refused(Duration::ZERO), old), lost);
    }

    /// Decision 16: an interruption by shutdown is no attempt, however many there were.
    #[test]
    fn a_halt_is_no_attempt() {
        assert_eq!(
            judge(&Fault::new(Kind::Halted), History { attempt: 19, resets: 2, age: 40 * DAY }),
            Verdict::Halted
        );
    }

    proptest! {
        /// Decision 17: nothing is tried for ever, whatever goes wrong in whatever order.
        #[test]
        fn every_parcel_ends(kinds in prop::collection::vec(0_usize..6, 20)) {
            let mut history = FRESH;
            for (number, kind) in kinds.into_iter().enumerate() {
                let kind = [Kind::Connect, Kind::Reset, Kind::Io, Kind::Timeout, Kind::Server, Kind::Tls][kind];
                let verdict = judge(&Fault::new(kind).with_advice(Advice::Retry), history);
                match verdict {
                    Verdict::GiveUp(_) => return Ok(()),
                    Verdict::Again { resets, .. } => {
                        prop_assert!(number < 19);
                        history = History { attempt: history.attempt + 1, resets, ..FRESH };
                    }
                    Verdict::Halted => prop_assert!(false, "nobody halted"),
                }
            }
            prop_assert!(false, "still trying");
        }
    }
}
