//! The contract suite passes what keeps the contract and names the rule that a broken layer breaks.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use envoi_testkit::contract::{Contract, Rule, Violation};
use envoi_testkit::probe::Probe;
use envoi_testkit::{DropToken, Drops};
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower::util::{BoxCloneSyncServiceLayer, MapRequestLayer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, layer::util::Identity};

type Answer = Result<u32, &'static str>;
type Inner = Probe<Request, u32, &'static str>;
type BoxFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

#[derive(Clone)]
struct Request {
    _token: DropToken,
}

/// The ways in which [`Bad`] breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    SwallowsPending,
    SwallowsWaker,
    SwallowsReadinessError,
    RefusesInPollReady,
    NeverReadyAgain,
    AnswersByItself,
    CallsClone,
    DropsReadiness,
    ReadiesAnother,
    RepeatsCall,
    RepeatsFailedCall,
    SleepsThroughAnswer,
    NeverAnswers,
    ClonesReadyFlag,
    LeaksReadyService,
    DetachesCall,
    KeepsRequest,
    KeepsInnerFuture,
    StaysBusyAfterCancel,
    LeavesTheQueue,
}

#[derive(Clone)]
struct BadLayer {
    fault: Fault,
    attic: Arc<Mutex<Vec<Request>>>,
}

impl Layer<Inner> for BadLayer {
    type Service = Bad;

    fn layer(&self, inner: Inner) -> Bad {
        Bad {
            inner: Some(inner),
            layer: self.clone(),
            ready: false,
            spent: false,
            busy: Arc::default(),
            kept: Arc::default(),
        }
    }
}

/// A service with one fault, and with none if so asked.
struct Bad {
    inner: Option<Inner>,
    layer: BadLayer,
    ready: bool,
    spent: bool,
    busy: Arc<AtomicBool>,
    kept: Arc<Mutex<Option<BoxFuture>>>,
}

impl Bad {
    fn is(&self, fault: Fault) -> bool {
        self.layer.fault == fault
    }

    fn inner(&mut self) -> &mut Inner {
        self.inner.as_mut().unwrap()
    }
}

impl Clone for Bad {
    fn clone(&self) -> Self {
        Self {
            ready: self.ready && self.is(Fault::ClonesReadyFlag),
            inner: self.inner.clone(),
            layer: self.layer.clone(),
            spent: self.spent,
            busy: Arc::clone(&self.busy),
            kept: Arc::clone(&self.kept),
        }
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        if self.ready && self.is(Fault::LeaksReadyService) {
            std::mem::forget(self.inner.take());
        }
    }
}

impl Service<Request> for Bad {
    type Response = u32;
    type Error = &'static str;
    type Future = BoxFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        if self.ready && self.is(Fault::ClonesReadyFlag) {
            return Poll::Ready(Ok(()));
        }
        if self.is(Fault::RefusesInPollReady) {
            return Poll::Ready(Err("policy"));
        }
        if (self.spent && self.is(Fault::NeverReadyAgain)) || self.busy.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let polled = match self.layer.fault {
            Fault::SwallowsWaker => self.inner().poll_ready(&mut Context::from_waker(Waker::noop())),
            Fault::DropsReadiness => self.inner().clone().poll_ready(cx),
            _ => self.inner().poll_ready(cx),
        };
        self.ready = matches!(polled, Poll::Ready(Ok(())));
        match polled {
            Poll::Pending if self.is(Fault::SwallowsPending) => Poll::Ready(Ok(())),
            Poll::Pending if self.is(Fault::LeavesTheQueue) => {
                self.inner = self.inner.clone();
                Poll::Pending
            }
            Poll::Ready(Err(_)) if self.is(Fault::SwallowsReadinessError) => Poll::Ready(Ok(())),
            polled => polled,
        }
    }

    fn call(&mut self, request: Request) -> BoxFuture {
        self.ready = false;
        self.spent = true;
        let copy = request.clone();
        match self.layer.fault {
            Fault::AnswersByItself => Box::pin(async { Ok(0) }),
            Fault::CallsClone => Box::pin(self.inner().clone().call(request)),
            Fault::ReadiesAnother => Box::pin(self.inner().clone().oneshot(request)),
            Fault::RepeatsCall => {
                let first = self.inner().call(request);
                let second = self.inner().call(copy);
                Box::pin(async move { first.await.or(second.await) })
            }
            Fault::RepeatsFailedCall => {
                let fresh = self.inner().clone();
                let mut inner = std::mem::replace(self.inner(), fresh);
                Box::pin(async move {
                    match inner.call(request).await {
                        Err(_) => inner.call(copy).await,
                        answer => answer,
                    }
                })
            }
            Fault::SleepsThroughAnswer => {
                let mut inner = Box::pin(self.inner().call(request));
                Box::pin(std::future::poll_fn(move |_| {
                    inner.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                }))
            }
            Fault::NeverAnswers => {
                let inner = self.inner().call(request);
                Box::pin(async move {
                    let _ = inner.await;
                    std::future::pending().await
                })
            }
            Fault::DetachesCall => {
                let inner = tokio::spawn(self.inner().call(request));
                Box::pin(async move { inner.await.unwrap() })
            }
            Fault::KeepsRequest => {
                self.layer.attic.lock().unwrap().push(copy);
                Box::pin(self.inner().call(request))
            }
            Fault::KeepsInnerFuture => {
                *self.kept.lock().unwrap() = Some(Box::pin(self.inner().call(request)));
                let kept = Arc::clone(&self.kept);
                Box::pin(std::future::poll_fn(move |cx| {
                    kept.lock().unwrap().as_mut().unwrap().as_mut().poll(cx)
                }))
            }
            Fault::StaysBusyAfterCancel => {
                let busy = Arc::clone(&self.busy);
                busy.store(true, Ordering::Relaxed);
                let inner = self.inner().call(request);
                Box::pin(async move {
                    let answer = inner.await;
                    busy.store(false, Ordering::Relaxed);
                    answer
                })
            }
            _ => Box::pin(self.inner().call(request)),
        }
    }
}

async fn check(fault: Fault) -> Result<(), Violation> {
    let drops = Drops::new();
    let tracked = drops.clone();
    let layer = BadLayer { fault, attic: Arc::default() };
    Contract::new(
        layer,
        move || Request { _token: tracked.token() },
        |_: Request| Ok::<_, &'static str>(1),
        || "down",
    )
    .tracked_by(&drops)
    .run()
    .await
}

#[tokio::test(start_paused = true)]
async fn a_layer_without_fault_passes() {
    assert_eq!(check(Fault::Nothing).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn every_fault_is_named() {
    for (fault, rule) in [
        (Fault::SwallowsPending, Rule::PassesPending),
        (Fault::SwallowsWaker, Rule::RegistersWaker),
        (Fault::SwallowsReadinessError, Rule::PassesReadinessErrors),
        (Fault::RefusesInPollReady, Rule::ReadyWhenInnerIs),
        (Fault::NeverReadyAgain, Rule::ReadyWhenInnerIs),
        (Fault::AnswersByItself, Rule::ReachesInner),
        (Fault::CallsClone, Rule::CallsTheReadiedInstance),
        (Fault::DropsReadiness, Rule::CallsTheReadiedInstance),
        (Fault::ReadiesAnother, Rule::CallsTheReadiedInstance),
        (Fault::RepeatsCall, Rule::CallsOncePerReadiness),
        (Fault::RepeatsFailedCall, Rule::CallsOncePerReadiness),
        (Fault::SleepsThroughAnswer, Rule::Answers),
        (Fault::NeverAnswers, Rule::Answers),
        (Fault::ClonesReadyFlag, Rule::CloneResetsReadiness),
        (Fault::LeaksReadyService, Rule::ReleasesOnDrop),
        (Fault::DetachesCall, Rule::ReleasesOnDrop),
        (Fault::KeepsRequest, Rule::ReleasesOnDrop),
        (Fault::KeepsInnerFuture, Rule::ReleasesOnDrop),
        (Fault::StaysBusyAfterCancel, Rule::SurvivesCancellation),
        (Fault::LeavesTheQueue, Rule::ComposesWithConcurrencyLimit),
    ] {
        let violation = check(fault).await.expect_err(&format!("{fault:?}"));
        assert_eq!(violation.rule(), rule, "{fault:?}: {violation}");
    }
}

#[tokio::test(start_paused = true)]
async fn towers_own_layers_pass() {
    let second = std::time::Duration::from_secs(1);
    Contract::delivery(Identity::new()).run().await.unwrap();
    Contract::delivery(ConcurrencyLimitLayer::new(2)).run().await.unwrap();
    Contract::delivery(BoxCloneSyncServiceLayer::new(Identity::new())).run().await.unwrap();
    let boxing = ServiceBuilder::new().layer(TimeoutLayer::new(second)).layer(ConcurrencyLimitLayer::new(2));
    Contract::exchange(boxing.into_inner()).run().await.unwrap();
}

/// A layer may take one type and send another down, as `Encode` does.
#[tokio::test(start_paused = true)]
async fn a_bridging_layer_passes() {
    let bridge = MapRequestLayer::new(|text: String| http::Request::new(text.into_bytes()));
    Contract::new(
        bridge,
        || String::from("goods"),
        |request: http::Request<Vec<u8>>| {
            Ok::<_, &'static str>(http::Response::new(request.into_body().len()))
        },
        || "down",
    )
    .run()
    .await
    .unwrap();
}

/// The suite also works on a runtime whose time is not paused.
#[tokio::test]
async fn unpaused_time_will_do() {
    assert_eq!(check(Fault::Nothing).await, Ok(()));
    Contract::delivery(Identity::new()).run().await.unwrap();
}
