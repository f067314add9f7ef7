//! `envoi send --batch`: streams JSON lines to an endpoint that takes batches.
//!
//! [`input`] reads ahead within bounds, the transport of the library collects and delivers, [`tally`] counts. Memory is
//! bounded whatever comes: the reader waits for the queue, the queue for the receiver.

mod input;
mod tally;

use std::path::PathBuf;
use std::time::Duration;

use envoi::batch::{BatchTransport, BreakerState, Event};
use envoi::{Encoding, Way};
use tokio::time::Instant;

use crate::error::{self, CliError, Exit};
use crate::interrupt::Interrupt;
use crate::outcome::Class;
use crate::output::{Output, WARN, paint};
use crate::text;
use crate::transport::{self, CLIENT};
use input::{Content, Input, Line};
use tally::{Losses, Tally};

/// The longest line, and the largest batch.
const MOST_BYTES: usize = 1 << 20;

/// After Ctrl-C, how long batches that are on their way may still take.
const GRACE: Duration = Duration::from_secs(2);

/// How long the end of the input may be waited for. Attempts have bounds of their own.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How many problems are told one by one.
const MOST_PROBLEMS: u64 = 20;

/// What `send` was asked for.
pub(crate) struct Job<'a> {
    pub(crate) url: &'a str,
    pub(crate) bearer_env: Option<&'a str>,
    pub(crate) encoding: Encoding,
    pub(crate) level: Option<u32>,
    pub(crate) concurrency: usize,
    pub(crate) timeout: Duration,
    pub(crate) retries: Option<u32>,
    pub(crate) json: bool,
    pub(crate) verbose: u8,
    pub(crate) way: Way,
    pub(crate) paths: &'a [PathBuf],
}

impl Job<'_> {
    fn transport(&self, losses: &Losses) -> Result<BatchTransport, CliError> {
        let heard = losses.clone();
        let mut builder = envoi::batch(self.url)
            .way(self.way.clone())
            .attempt_timeout(self.timeout)
            .user_agent(CLIENT)
            .encoding(self.encoding)
            .concurrency(self.concurrency)
            .batch_bytes(MOST_BYTES)
            // What waits when the circuit opens is lost, and the rest of the input need not wait in memory.
            .queue_events(20 * self.concurrency)
            .on_error(move |lost| heard.note(lost));
        if let Some(level) = self.level {
            builder = builder.compression_level(level);
        }
        if let Some(retries) = self.retries {
            builder = builder.attempts(retries.saturating_add(1));
        }
        if let Some(name) = self.bearer_env {
            let token = std::env::var(name)
                .map_err(|_| CliError::usage(format_args!("the environment has no token in {name}")))?;
            builder = builder.bearer(token.trim());
        }
        builder
            .build_on(&tokio::runtime::Handle::current())
            .map_err(|error| CliError::usage(error::chain(&error)))
    }
}

pub(crate) async fn run(job: &Job<'_>, output: &mut Output) -> Result<Exit, CliError> {
    transport::trace(job.verbose);
    let losses = Losses::default();
    let transport = job.transport(&losses)?;
    let input = Input::check(job.paths)?;
    let mut interrupt = Interrupt::listen()?;
    output.start_bytes(input.size);
    let mut lines = input.read(MOST_BYTES)?;

    let mut stream = Stream { job, transport, losses, tally: Tally::default(), told: 0, taken: 0 };
    let end = tokio::select! {
        end = stream.feed(&mut lines, output) => end,
        () = interrupt.reached(1) => End::Stopped(None),
    };
    // The reader ends.
    drop(lines);
    if matches!(end, End::Input) {
        tokio::select! {
            _ = stream.transport.flush(FOREVER) => {}
            () = interrupt.reached(1) => {}
        }
    }
    tokio::select! {
        _ = stream.transport.shutdown(GRACE) => {}
        () = interrupt.reached(2) => drop(stream.transport.shutdown(Duration::ZERO).await),
    }
    output.end_progress();
    stream.finish(&end, output);
    Ok(Exit::when(matches!(end, End::Input) && stream.tally.all_delivered()))
}

/// Why nothing more is read.
enum End {
    /// That was all.
    Input,
    /// At this line, for this reason; or the user did not want any more.
    Stopped(Option<String>),
}

struct Stream<'a> {
    job: &'a Job<'a>,
    transport: BatchTransport,
    losses: Losses,
    tally: Tally,
    /// Problems that were told one by one.
    told: u64,
    /// Events that the transport has taken on.
    taken: u64,
}

impl Stream<'_> {
    /// Hands over line by line. Cancel safe: a line is counted as taken on at the moment that it is.
    async fn feed(&mut self, lines: &mut tokio::sync::mpsc::Receiver<Vec<Line>>, output: &mut Output) -> End {
        while let Some(chunk) = lines.recv().await {
            for line in chunk {
                output.advance_by(line.size);
                if let Err(why) = self.take(line, output).await {
                    return End::Stopped(Some(why));
                }
            }
        }
        End::Input
    }

    /// Hands one line over. The error says why no more are to follow.
    async fn take(&mut self, line: Line, output: &mut Output) -> Result<(), String> {
        let place = format!("{}:{}", line.file, line.number);
        let event = match line.content {
            Content::Text(text) if text.trim_ascii().is_empty() => return Ok(()),
            Content::Text(text) => match Event::from_json(text) {
                Ok(event) => event,
                Err(error) => {
                    self.bad_line(
                        &place,
                        Class::Malformed,
                        "not one JSON value",
                        &error::chain(&error),
                        output,
                    );
                    return Ok(());
                }
            },
            Content::TooLong => {
                let cause = format!("longer than {} bytes", text::grouped(MOST_BYTES as u64));
                self.bad_line(&place, Class::Malformed, &cause, &cause, output);
                return Ok(());
            }
            Content::Unreadable(cause) => {
                self.bad_line(&place, Class::Unreadable, &cause, &cause, output);
                return Ok(());
            }
        };
        self.tell_losses(output).await;
        match self.transport.send_with_room(event).await {
            Ok(()) => self.taken += 1,
            Err(fault) if fault.kind() == envoi::Kind::Encode => {
                let cause = error::chain(&fault);
                self.bad_line(&place, Class::Malformed, "too large for a batch", &cause, output);
            }
            Err(fault) => {
                self.tell_losses(output).await;
                return Err(format!("{place}: {fault}"));
            }
        }
        Ok(())
    }

    fn bad_line(&mut self, place: &str, class: Class, reason: &str, cause: &str, output: &mut Output) {
        self.tally.add(class, reason, 1);
        if self.job.json {
            let (file, line) = place.rsplit_once(':').unwrap_or((place, ""));
            output.json(&serde_json::json!({
                "type": "line",
                "file": file,
                "line": line.parse::<u64>().ok(),
                "outcome": class.as_str(),
                "message": cause,
            }));
        } else if self.job.verbose > 0 || self.told < MOST_PROBLEMS {
            self.told += 1;
            let (place, cause) = (text::clean(place), text::clean(cause));
            output.note(format_args!("{place}: {}: {cause}", paint(class.style(), class.as_str())));
        }
    }

    /// Tells what was lost since the last time; while the circuit is open nothing more is handed over, since it would be
    /// lost as well.
    async fn tell_losses(&mut self, output: &mut Output) {
        let losses = self.losses.take();
        if losses.is_empty() {
            return;
        }
        self.enter(losses, output);
        while let BreakerState::Open { until } = self.transport.stats().breaker
            && until > Instant::now().into_std()
        {
            tokio::time::sleep_until(until.into()).await;
        }
    }

    fn enter(&mut self, losses: Vec<tally::Loss>, output: &mut Output) {
        for loss in losses {
            self.tally.add_loss(&loss);
            if self.job.json {
                output.json(&loss.json());
            } else if self.job.verbose > 0 || self.told < MOST_PROBLEMS {
                self.told += 1;
                output.note(loss.line());
            }
        }
    }

    fn finish(&mut self, end: &End, output: &mut Output) {
        let losses = self.losses.take();
        self.enter(losses, output);
        let account =
            self.transport.ledger().get(&envoi::batch::Category::EVENT).cloned().unwrap_or_default();
        self.tally.add(Class::Delivered, "", account.delivered);
        // What was discarded because of a refusal before is told by nobody.
        let rest = self.taken.saturating_sub(self.tally.taken());
        self.tally.add(Class::Unsent, "stopped before their turn", rest);
        if let End::Stopped(why) = end {
            let why = why.as_deref().map(text::clean).unwrap_or("stopped".into());
            let note = paint(WARN, "note");
            output.note(format_args!("{note}: {why}; what follows was not read"));
        }
        if self.job.json {
            output.json(&self.tally.json());
        } else {
            output.line(self.tally.table());
        }
    }
}
