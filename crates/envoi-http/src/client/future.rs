use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use envoi_core::Phase;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, ResponseFuture};
use tokio::time::{Instant, Sleep};

use super::again::{self, Verdict};
use super::observe::{self, Event};
use super::progress::Progress;
use super::service::Settings;
use super::status_first::StatusFirst;
use super::tracked::Tracked;
use super::{ClientError, Connect, TimedOut, Timeouts};
use crate::RequestBody;

pin_project_lite::pin_project! {
    /// The future of [`HttpClient`](super::HttpClient). Dropping it gives up the exchange.
    pub struct ClientFuture<C> {
        exchange: ResponseFuture,
        #[pin]
        sleep: Option<Sleep>,
        progress: Arc<Progress>,
        begun: Instant,
        // What it takes to send again; none for a streamed body.
        spare: Option<Request<RequestBody>>,
        count: u32,
        // The end of a pause before it is sent again; the exchange has ended.
        resume: Option<Instant>,
        client: Client<StatusFirst<C>, Tracked>,
        settings: Arc<Settings>,
    }
}

impl<C: Connect> ClientFuture<C> {
    pub(super) fn new(
        client: Client<StatusFirst<C>, Tracked>,
        settings: Arc<Settings>,
        request: Request<RequestBody>,
    ) -> Self {
        let progress = Progress::new();
        let spare = duplicate(&request);
        let begun = progress.begun();
        let exchange = begin(&client, request, &progress);
        Self { exchange, sleep: None, progress, begun, spare, count: 0, resume: None, client, settings }
    }
}

fn begin<C: Connect>(
    client: &Client<StatusFirst<C>, Tracked>,
    request: Request<RequestBody>,
    progress: &Arc<Progress>,
) -> ResponseFuture {
    client.request(request.map(|body| Tracked::new(body, Arc::clone(progress))))
}

/// The same request once more. Its extensions stay behind: below this there is nobody to read them.
fn duplicate(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let mut copy = Request::new(request.body().duplicate()?);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

impl<C: Connect> Future for ClientFuture<C> {
    type Output = Result<Response<Incoming>, ClientError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            if let Some(at) = *this.resume {
                if at > Instant::now() {
                    ready!(look_at(this.sleep.as_mut(), at, cx));
                }
                *this.resume = None;
                if let Some(request) = this.spare.as_ref().and_then(duplicate) {
                    *this.progress = Progress::new();
                    *this.exchange = begin(this.client, request, this.progress);
                }
            }
            let exchange = &mut *this.exchange;
            let (failed, is_told) = match this.progress.scope(|| Pin::new(exchange).poll(cx)) {
                Poll::Ready(Ok(response)) => {
                    tell_success(this.settings, this.progress, &response);
                    return Poll::Ready(Ok(response));
                }
                Poll::Ready(Err(error)) => {
                    let unsaid = |_: &&str| !again::tells_refusal(&error);
                    let refusal = this.progress.refusal().filter(unsaid).map(str::to_owned);
                    let verdict = match refusal {
                        // The next connection would be refused like this one.
                        Some(_) => Verdict::Unknown,
                        None => again::judge(&error),
                    };
                    // By the connector.
                    let is_told = error.is_connect() && refusal.is_none();
                    let phase = match verdict {
                        _ if refusal.is_some() => Phase::Tls,
                        // It left, but nobody has looked at it.
                        Verdict::Unprocessed | Verdict::Unsent => this.progress.phase().min(Phase::Connect),
                        _ => this.progress.phase(),
                    };
                    let error = match refusal {
                        // As the library for HTTP/2 passes it on: in words.
                        Some(words) => ClientError::new(phase, std::io::Error::other(words)),
                        None => ClientError::new(phase, error),
                    };
                    let again = this.spare.as_ref().and_then(|request| {
                        let reused = !this.progress.is_fresh();
                        this.settings.resend.allows(verdict, request.method(), phase, reused, *this.count)
                    });
                    // A pause that the attempt does not outlast is not worth it: whoever waits above may go on.
                    let resume =
                        again.and_then(|pause| resume_at(&this.settings.timeouts, *this.begun, pause));
                    if resume.is_some() {
                        if let Some(observer) = &this.settings.observer {
                            observer.event(&Event::Again { error: &error });
                        }
                        *this.count += 1;
                        *this.resume = resume;
                        continue;
                    }
                    (error, is_told)
                }
                Poll::Pending => {
                    let Some(at) = next_look(&this.settings.timeouts, *this.begun, this.progress) else {
                        return Poll::Pending;
                    };
                    ready!(look_at(this.sleep.as_mut(), at, cx));
                    match passed(&this.settings.timeouts, *this.begun, this.progress, Instant::now()) {
                        Some(error) => (ClientError::new(error.phase(), error), false),
                        // Something has happened in the meantime.
                        None => continue,
                    }
                }
            };
            if !is_told {
                let took = this.progress.last().elapsed();
                observe::failed(this.settings.observer.as_ref(), failed.phase(), &failed, took);
            }
            return Poll::Ready(Err(failed));
        }
    }
}

/// Ready at that time.
fn look_at(mut sleep: Pin<&mut Option<Sleep>>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
    match sleep.as_mut().as_pin_mut() {
        Some(mut sleep) if sleep.deadline() != at => sleep.as_mut().reset(at),
        Some(_) => {}
        None => sleep.set(Some(tokio::time::sleep_until(at))),
    }
    sleep.as_pin_mut().map_or(Poll::Ready(()), |sleep| sleep.poll(cx))
}

/// The end of a pause that begins now, unless the attempt is over by then.
fn resume_at(timeouts: &Timeouts, begun: Instant, pause: Duration) -> Option<Instant> {
    let at = Instant::now().checked_add(pause)?;
    attempt_end(timeouts, begun).is_none_or(|end| at < end).then_some(at)
}

/// None if there is no limit, or it is too far away to be one.
fn attempt_end(timeouts: &Timeouts, begun: Instant) -> Option<Instant> {
    begun.checked_add(timeouts.attempt?)
}

/// The limit of the phase in which the request is, and when that ends.
fn of_phase(timeouts: &Timeouts, progress: &Progress) -> Option<(Duration, Instant)> {
    let limit = match progress.phase() {
        Phase::Write => timeouts.write?,
        Phase::Reply => timeouts.first_byte?,
        _ => return None,
    };
    Some((limit, progress.last().checked_add(limit)?))
}

/// When to look at the time again, at the latest.
fn next_look(timeouts: &Timeouts, begun: Instant, progress: &Progress) -> Option<Instant> {
    let phase = match progress.phase() {
        Phase::Write | Phase::Reply => of_phase(timeouts, progress).map(|(_, end)| end),
        // The connection does not wake the one who waits here when it begins to write: look now and then.
        _ => timeouts
            .write
            .into_iter()
            .chain(timeouts.first_byte)
            .min()
            .and_then(|limit| tick(progress.begun(), limit)),
    };
    attempt_end(timeouts, begun).into_iter().chain(phase).min()
}

/// The next multiple of `every` since `begun` that is to come.
fn tick(begun: Instant, every: Duration) -> Option<Instant> {
    let every = every.max(Duration::from_millis(1));
    let past = begun.elapsed().as_nanos() / every.as_nanos();
    begun.checked_add(every.saturating_mul(u32::try_from(past).unwrap_or(u32::MAX).saturating_add(1)))
}

/// The limit that has been passed.
fn passed(timeouts: &Timeouts, begun: Instant, progress: &Progress, now: Instant) -> Option<TimedOut> {
    if let (Some(limit), Some(end)) = (timeouts.attempt, attempt_end(timeouts, begun))
        && now >= end
    {
        return Some(TimedOut::attempt(progress.phase(), limit));
    }
    let (limit, end) = of_phase(timeouts, progress)?;
    (now >= end).then(|| TimedOut::new(progress.phase(), limit))
}

fn tell_success(settings: &Settings, progress: &Progress, response: &Response<Incoming>) {
    let Some(observer) = &settings.observer else { return };
    if !progress.is_fresh() {
        observer.event(&Event::Reused);
    }
    let (bytes, first) = progress.body();
    let last = progress.last();
    // A server may answer before it has read all (decision 17).
    if progress.phase() == Phase::Reply {
        observer.event(&Event::Written { bytes, took: last.saturating_duration_since(first) });
    }
    let (status, version) = (response.status(), response.version());
    observer.event(&Event::Replied { status, version, took: last.elapsed() });
}

impl<C> fmt::Debug for ClientFuture<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFuture")
            .field("phase", &self.progress.phase())
            .field("again", &self.count)
            .finish_non_exhaustive()
    }
}
