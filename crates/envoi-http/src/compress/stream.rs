use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use envoi_core::{BoxError, Segments};
use http_body::{Body, Frame};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::encoder::Encoder;
use super::pool::Pool;

/// How much input one job takes: about 5 ms of work, the price of one hand-over to a blocking thread forgotten.
pub(super) const SLAB: usize = 256 * 1024;

/// A body that is compressed while it is sent (CO-2).
///
/// One slab at a time goes to a blocking thread, and the next one is started when a slab is handed out. So there
/// are never more than two compressed slabs in memory, the one that is being written and the one that is being
/// made, plus what the encoder holds back inside (its window), however slow the connection is; and a slow
/// connection holds no thread. A piece of input is released as soon as it is compressed. Nothing is started before
/// the first poll. Dropping the body stops after the slab at work.
pub(super) struct CompressedStream {
    state: State,
}

enum State {
    Idle(Box<Work>),
    Working(JoinHandle<Slab>),
    Done,
}

type Slab = Result<(Box<Work>, Bytes), BoxError>;

struct Work {
    input: VecDeque<Bytes>,
    pool: Arc<Pool>,
    encoder: Option<Encoder>,
    finished: bool,
}

impl CompressedStream {
    pub(super) fn new(body: &Segments, pool: Arc<Pool>) -> Self {
        let input = body.chunks().cloned().collect();
        Self { state: State::Idle(Box::new(Work { input, pool, encoder: None, finished: false })) }
    }
}

impl Work {
    /// Compresses the next slab, or several until there is any output.
    fn step(mut self: Box<Self>) -> Slab {
        let mut encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            None => self.pool.take()?,
        };
        let mut out = Vec::with_capacity(SLAB / 4);
        loop {
            let mut room = SLAB;
            while room > 0 {
                let Some(chunk) = self.input.front_mut() else { break };
                let piece = chunk.split_to(chunk.len().min(room));
                encoder.write(&piece, &mut out)?;
                room -= piece.len();
                if chunk.is_empty() {
                    self.input.pop_front();
                }
            }
            if self.input.is_empty() {
                encoder.finish(&mut out)?;
                self.pool.put_back(encoder);
                self.finished = true;
                break;
            }
            if !out.is_empty() {
                self.encoder = Some(encoder);
                break;
            }
        }
        Ok((self, out.into()))
    }
}

impl Body for CompressedStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let slab = match &mut self.state {
                State::Done => return Poll::Ready(None),
                State::Working(job) => match ready!(Pin::new(job).poll(cx)) {
                    Ok(slab) => slab,
                    Err(lost) => Err(lost.into()),
                },
                State::Idle(_) => {
                    let State::Idle(work) = std::mem::replace(&mut self.state, State::Done) else {
                        unreachable!("just matched");
                    };
                    if let Ok(runtime) = Handle::try_current() {
                        self.state = State::Working(runtime.spawn_blocking(move || work.step()));
                        continue;
                    }
                    work.step()
                }
            };
            let (work, out) = match slab {
                Ok(slab) => slab,
                Err(error) => {
                    self.state = State::Done;
                    return Poll::Ready(Some(Err(error)));
                }
            };
            self.state = match Handle::try_current() {
                _ if work.finished => State::Done,
                Ok(runtime) => State::Working(runtime.spawn_blocking(move || work.step())),
                Err(_) => State::Idle(work),
            };
            return Poll::Ready(Some(Ok(Frame::data(out))));
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Done)
    }
}
