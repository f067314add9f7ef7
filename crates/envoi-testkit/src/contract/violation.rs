use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// What a layer has to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// While the inner service is pending, so is the layer.
    PassesPending,
    /// Who found the layer pending is woken when it is worth polling again.
    RegistersWaker,
    /// An inner readiness error is a readiness error of the layer.
    PassesReadinessErrors,
    /// The layer is ready when the inner service is: a refusal is the answer of `call`, not of `poll_ready`.
    ReadyWhenInnerIs,
    /// A call reaches the inner service. If the layer may answer by itself, configure it so that it does not.
    ReachesInner,
    /// The instance that is called is the one that was polled ready, not a clone of it.
    CallsTheReadiedInstance,
    /// For each readiness there is one call.
    CallsOncePerReadiness,
    /// The layer answers when the inner service has, and its future is woken for it.
    Answers,
    /// A clone has to be polled ready itself.
    CloneResetsReadiness,
    /// Whatever is dropped (the service when it is ready; a future before its first poll, underway or done) lets go
    /// of what it held: readiness, the inner call, the request.
    ReleasesOnDrop,
    /// After a cancelled call the service works as before.
    SurvivesCancellation,
    /// Above a concurrency limit, nobody waits for a permit that nobody uses.
    ComposesWithConcurrencyLimit,
}

impl Rule {
    /// The rule in one sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PassesPending => "while the inner service is pending, so is the layer",
            Self::RegistersWaker => "who found the layer pending is woken when it may be ready",
            Self::PassesReadinessErrors => "an inner readiness error is a readiness error of the layer",
            Self::ReadyWhenInnerIs => "the layer is ready when the inner service is",
            Self::ReachesInner => "a call reaches the inner service",
            Self::CallsTheReadiedInstance => "the instance that is called is the one that was polled ready",
            Self::CallsOncePerReadiness => "for each readiness there is one call",
            Self::Answers => "the layer answers when the inner service has",
            Self::CloneResetsReadiness => "a clone has to be polled ready itself",
            Self::ReleasesOnDrop => "what is dropped lets go of what it held",
            Self::SurvivesCancellation => "after a cancelled call the service works as before",
            Self::ComposesWithConcurrencyLimit => "nobody waits for a permit that nobody uses",
        }
    }
}

/// How a layer broke the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    rule: Rule,
    detail: Cow<'static, str>,
}

impl Violation {
    pub(super) fn new(rule: Rule, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { rule, detail: detail.into() }
    }

    /// The rule that was broken.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// What happened instead.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "contract broken: {} ({:?}): {}", self.rule.as_str(), self.rule, self.detail)
    }
}

impl Error for Violation {}
