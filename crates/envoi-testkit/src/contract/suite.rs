use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tower_service::Service;

use super::waker::WakeFlag;
use super::{Rule, Violation};
use crate::Drops;
use crate::probe::{Gate, ProbeHandle};

/// More than any scenario needs, so that capacity matters only where it is the point.
const AMPLE: usize = 16;

type Verdict = Result<(), Violation>;

fn broken(rule: Rule, detail: &'static str) -> Verdict {
    Err(Violation::new(rule, detail))
}

fn poll_ready_once<S: Service<Q>, Q>(service: &mut S, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
    service.poll_ready(cx).map(|ready| ready.map_err(drop))
}

/// The scenarios. Each has a fresh service above a fresh probe.
pub(super) struct Suite<'a, S, Q> {
    pub(super) build: &'a dyn Fn(usize) -> (S, ProbeHandle),
    pub(super) make: &'a dyn Fn() -> Q,
    pub(super) drops: &'a Drops,
    pub(super) patience: Duration,
}

impl<S, Q> Suite<'_, S, Q>
where
    S: Service<Q> + Clone,
{
    pub(super) async fn run(&self) -> Verdict {
        let (service, probe) = (self.build)(AMPLE);
        self.judged(&probe, self.readiness(service, &probe)).await?;
        let (service, probe) = (self.build)(AMPLE);
        self.judged(&probe, self.readiness_error(service, &probe)).await?;
        let (service, probe) = (self.build)(AMPLE);
        self.judged(&probe, self.calls(service, &probe)).await?;
        let (service, probe) = (self.build)(AMPLE);
        self.judged(&probe, self.answer(service, &probe)).await?;
        let (service, probe) = (self.build)(AMPLE);
        self.judged(&probe, self.clones(service, &probe)).await?;
        for state in [DropAt::Fresh, DropAt::Ready, DropAt::Called, DropAt::Underway, DropAt::Done] {
            let (service, probe) = (self.build)(AMPLE);
            self.judged(&probe, self.drops_at(state, service, &probe)).await?;
        }
        let (service, probe) = (self.build)(AMPLE);
        self.judged(&probe, self.failed_call(service, &probe)).await?;
        let (service, probe) = (self.build)(1);
        self.judged(&probe, self.waits_for_permit(service, &probe)).await?;
        let (service, probe) = (self.build)(1);
        self.judged(&probe, self.shares_permit(service, &probe)).await
    }

    /// Runs a scenario. A misused inner service explains whatever else went wrong, so it is named first.
    async fn judged(&self, probe: &ProbeHandle, scenario: impl Future<Output = Verdict>) -> Verdict {
        // Each scenario with a fresh cooperative budget, so that no poll is pending for that reason.
        tokio::task::yield_now().await;
        let verdict = scenario.await;
        let counts = probe.counts();
        if counts.unready_calls > 0 {
            return broken(
                Rule::CallsTheReadiedInstance,
                "an instance was called that was never polled ready",
            );
        }
        if counts.repeated_calls > 0 {
            return broken(Rule::CallsOncePerReadiness, "an instance was called again without poll_ready");
        }
        verdict
    }

    // Steps.

    async fn within<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        timeout(self.patience, future).await.ok()
    }

    async fn ready(&self, service: &mut S, rule: Rule, when: &str) -> Verdict {
        match self.within(poll_fn(|cx| poll_ready_once(service, cx))).await {
            Some(Ok(())) => Ok(()),
            Some(Err(())) => Err(Violation::new(rule, format!("poll_ready failed {when}"))),
            None => Err(Violation::new(rule, format!("poll_ready stayed pending {when}"))),
        }
    }

    /// Makes one whole call.
    async fn call(&self, service: &mut S, probe: &ProbeHandle, rule: Rule, when: &str) -> Verdict {
        self.ready(service, rule, when).await?;
        let before = probe.counts().calls;
        if self.within(service.call((self.make)())).await.is_none() {
            return Err(Violation::new(rule, format!("a call was not answered {when}")));
        }
        if probe.counts().calls == before {
            return broken(Rule::ReachesInner, "a call was answered without the inner service");
        }
        Ok(())
    }

    /// Polls `future` until the inner service has been called.
    async fn reach_inner(&self, future: Pin<&mut S::Future>, probe: &ProbeHandle) -> Verdict {
        let before = probe.counts().answered;
        let reached = self
            .within(async {
                tokio::select! {
                    biased;
                    _ = future => probe.counts().answered > before,
                    counts = probe.until(|counts| counts.in_flight > 0) => counts.in_flight > 0,
                }
            })
            .await;
        match reached {
            Some(true) => Ok(()),
            Some(false) => broken(Rule::ReachesInner, "a call was answered without the inner service"),
            None => broken(Rule::ReachesInner, "a call neither reached the inner service nor was answered"),
        }
    }

    /// Waits until everything is released. What a layer does on other threads may take a moment.
    async fn released(&self, probe: &ProbeHandle, state: DropAt) -> Verdict {
        let deadline = Instant::now() + self.patience;
        loop {
            let (taken, in_flight, kept) = (probe.taken(), probe.counts().in_flight, self.drops.alive());
            let detail = if in_flight > 0 {
                "the inner call goes on"
            } else if taken > 0 {
                "the readiness of the inner service is still reserved"
            } else if kept > 0 {
                "the request or a copy of it is still kept"
            } else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                return Err(Violation::new(
                    Rule::ReleasesOnDrop,
                    format!("after {}, {detail}", state.what()),
                ));
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    // Scenarios.

    async fn readiness(&self, mut service: S, probe: &ProbeHandle) -> Verdict {
        probe.set_gate(Gate::Pending);
        let (flag, waker) = WakeFlag::new();
        let mut cx = Context::from_waker(&waker);
        match poll_ready_once(&mut service, &mut cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                return broken(
                    Rule::PassesPending,
                    "poll_ready was ready while the inner service was pending",
                );
            }
            Poll::Ready(Err(())) => {
                return broken(Rule::ReadyWhenInnerIs, "poll_ready failed though the inner service did not");
            }
        }
        probe.set_gate(Gate::Open);
        if self.within(flag.woken()).await.is_none() {
            return broken(Rule::RegistersWaker, "nobody was woken when the inner service became ready");
        }
        self.ready(&mut service, Rule::ReadyWhenInnerIs, "after the inner service became ready").await?;
        // Polling a ready service again changes nothing.
        self.ready(&mut service, Rule::ReadyWhenInnerIs, "when polled again").await
    }

    async fn readiness_error(&self, mut service: S, probe: &ProbeHandle) -> Verdict {
        probe.set_gate(Gate::Failed);
        match self.within(poll_fn(|cx| poll_ready_once(&mut service, cx))).await {
            Some(Err(())) => Ok(()),
            Some(Ok(())) => {
                broken(Rule::PassesReadinessErrors, "poll_ready was ready after the inner one failed")
            }
            None => {
                broken(Rule::PassesReadinessErrors, "poll_ready stayed pending after the inner one failed")
            }
        }
    }

    async fn calls(&self, mut service: S, probe: &ProbeHandle) -> Verdict {
        for round in ["at first", "the second time", "the third time"] {
            self.ready(&mut service, Rule::ReadyWhenInnerIs, round).await?;
            probe.hold();
            let mut future = pin!(service.call((self.make)()));
            self.reach_inner(future.as_mut(), probe).await?;
            if probe.taken() > 1 {
                return broken(
                    Rule::CallsTheReadiedInstance,
                    "another instance was readied and called; the first one still holds its reservation",
                );
            }
            probe.release();
            if self.within(future).await.is_none() {
                return broken(Rule::Answers, "a call was not answered though the inner one was");
            }
        }
        Ok(())
    }

    async fn answer(&self, mut service: S, probe: &ProbeHandle) -> Verdict {
        self.ready(&mut service, Rule::ReadyWhenInnerIs, "at first").await?;
        probe.hold();
        let mut future = pin!(service.call((self.make)()));
        self.reach_inner(future.as_mut(), probe).await?;
        let (flag, waker) = WakeFlag::new();
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return broken(Rule::Answers, "a call was answered before the inner one was");
        }
        probe.release();
        if self.within(flag.woken()).await.is_none() {
            return broken(Rule::Answers, "the future was not woken when the inner call was answered");
        }
        match self.within(future).await {
            Some(_) => Ok(()),
            None => broken(Rule::Answers, "a call was not answered though the inner one was"),
        }
    }

    async fn clones(&self, mut service: S, probe: &ProbeHandle) -> Verdict {
        self.ready(&mut service, Rule::ReadyWhenInnerIs, "at first").await?;
        let mut clone = service.clone();
        probe.set_gate(Gate::Pending);
        let (_, waker) = WakeFlag::new();
        if poll_ready_once(&mut clone, &mut Context::from_waker(&waker)).is_ready() {
            return broken(
                Rule::CloneResetsReadiness,
                "the clone of a ready service was ready though the inner service was pending",
            );
        }
        probe.set_gate(Gate::Open);
        self.ready(&mut clone, Rule::CloneResetsReadiness, "for the clone of a ready service").await?;
        if probe.taken() < 2 {
            return broken(Rule::CloneResetsReadiness, "a service and its clone share one readiness");
        }
        drop(clone);
        self.call(&mut service, probe, Rule::CloneResetsReadiness, "after the clone was dropped").await
    }

    async fn drops_at(&self, state: DropAt, mut service: S, probe: &ProbeHandle) -> Verdict {
        if state == DropAt::Fresh {
            drop(service);
            return self.released(probe, state).await;
        }
        self.ready(&mut service, Rule::ReadyWhenInnerIs, "at first").await?;
        if state == DropAt::Ready {
            drop(service);
            return self.released(probe, state).await;
        }
        probe.hold();
        {
            let mut future = Box::pin(service.call((self.make)()));
            if state != DropAt::Called {
                self.reach_inner(future.as_mut(), probe).await?;
            }
            if state == DropAt::Done {
                probe.release();
                if self.within(future.as_mut()).await.is_none() {
                    return broken(Rule::Answers, "a call was not answered though the inner one was");
                }
            }
        }
        // Answers are still held back: a call that goes on by itself cannot end in time.
        self.released(probe, state).await?;
        probe.release();
        let when = format!("after {}", state.what());
        self.call(&mut service, probe, Rule::SurvivesCancellation, &when).await?;
        drop(service);
        self.released(probe, state).await
    }

    async fn failed_call(&self, mut service: S, probe: &ProbeHandle) -> Verdict {
        self.ready(&mut service, Rule::ReadyWhenInnerIs, "at first").await?;
        probe.set_refusing(true);
        // A layer that tries again may still be at it when patience ends; that is its business.
        self.within(service.call((self.make)())).await;
        probe.set_refusing(false);
        self.released(probe, DropAt::Failed).await?;
        self.call(&mut service, probe, Rule::SurvivesCancellation, "after a failed call").await
    }

    async fn waits_for_permit(&self, mut first: S, probe: &ProbeHandle) -> Verdict {
        const RULE: Rule = Rule::ComposesWithConcurrencyLimit;
        let mut second = first.clone();
        self.ready(&mut first, Rule::ReadyWhenInnerIs, "at first").await?;
        let (flag, waker) = WakeFlag::new();
        if poll_ready_once(&mut second, &mut Context::from_waker(&waker)).is_ready() {
            return broken(RULE, "two services were ready though there is one permit");
        }
        drop(first);
        if self.within(flag.woken()).await.is_none() {
            return broken(RULE, "who waited for a permit was not woken when it was free");
        }
        self.call(&mut second, probe, RULE, "after the permit was free").await
    }

    async fn shares_permit(&self, service: S, probe: &ProbeHandle) -> Verdict {
        const RULE: Rule = Rule::ComposesWithConcurrencyLimit;
        let several = async |mut service: S| {
            for _ in 0..3 {
                self.call(&mut service, probe, RULE, "while another shares the only permit").await?;
            }
            drop(service);
            Ok(())
        };
        let (first, second) = tokio::join!(several(service.clone()), several(service));
        first.and(second)
    }
}

/// Where a scenario drops what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DropAt {
    Fresh,
    Ready,
    Called,
    Underway,
    Done,
    Failed,
}

impl DropAt {
    const fn what(self) -> &'static str {
        match self {
            Self::Fresh => "a fresh service was dropped",
            Self::Ready => "a ready service was dropped",
            Self::Called => "a future was dropped before its first poll",
            Self::Underway => "a future was dropped underway",
            Self::Done => "an answered call",
            Self::Failed => "a failed call",
        }
    }
}
