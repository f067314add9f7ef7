//! A schedule: the stack and what happens to it, as plain data that a seed decides.

use std::time::Duration;

use fastrand::Rng;

use crate::sabotage::Sabotage;
use crate::weather::{WEATHERS, Weather, pick};

/// A layer above the breaker, as a user might put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserLayer {
    PanicInCall,
    PanicLater,
    PanicAfterAnswer,
    /// Fails or panics now and then when it is asked whether it is ready.
    Unready,
    /// Gives some up, and hands them back.
    Refuses,
    /// Gives some up, and drops them.
    LosesParcel,
    /// Cancels deliveries that take longer than so many milliseconds, and loses their parcels.
    Timeout(u64),
    /// tower's own, with boxed errors.
    ConcurrencyLimit,
    LoadShed,
    /// Copies to a sink that fails, hangs and panics.
    FanOut,
}

const USER_LAYERS: [UserLayer; 12] = [
    UserLayer::Unready,
    UserLayer::PanicInCall,
    UserLayer::PanicLater,
    UserLayer::PanicAfterAnswer,
    UserLayer::Refuses,
    UserLayer::LosesParcel,
    UserLayer::Timeout(50),
    UserLayer::Timeout(700),
    UserLayer::ConcurrencyLimit,
    UserLayer::LoadShed,
    UserLayer::FanOut,
    UserLayer::FanOut,
];

/// What the handler does with what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    Listens,
    Panics,
    /// Hands over another event.
    Posts,
}

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    /// The preset, or its layers put together by hand.
    pub(crate) preset: bool,
    /// Whether the store outlives the process.
    pub(crate) durable: bool,
    pub(crate) concurrency: usize,
    pub(crate) batch_events: usize,
    pub(crate) queue: usize,
    pub(crate) interval: Duration,
    pub(crate) attempts: u32,
    pub(crate) server_wait: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) failures: u32,
    pub(crate) cooldown: Duration,
    pub(crate) linger: Duration,
    pub(crate) user_layers: Vec<UserLayer>,
    pub(crate) handler: Handler,
    /// Whether the network may lose replies: then the client cannot know what has arrived.
    pub(crate) loses_replies: bool,
    pub(crate) stalls: bool,
}

impl Setup {
    fn random(seed: u64, rng: &mut Rng) -> Self {
        let millis = |rng: &mut Rng, from: &[u64]| Duration::from_millis(pick(rng, from));
        let mut user_layers = Vec::new();
        if rng.bool() {
            user_layers.push(pick(rng, &USER_LAYERS));
            if rng.u8(..4) == 0 {
                user_layers.push(pick(rng, &USER_LAYERS));
            }
        }
        let preset = rng.bool();
        Self {
            seed,
            preset,
            durable: !preset && rng.bool(),
            concurrency: pick(rng, &[1, 1, 2, 3, 8, 64]),
            batch_events: pick(rng, &[1, 2, 5, 20]),
            queue: pick(rng, &[3, 10, 40, 1000]),
            interval: millis(rng, &[0, 100, 5000, 5000]),
            attempts: pick(rng, &[1, 2, 3, 3, 3, 3]),
            server_wait: millis(rng, &[2000, 60_000, 60_000]),
            attempt_timeout: millis(rng, &[200, 10_000, 10_000]),
            failures: pick(rng, &[1, 2, 3, 5]),
            cooldown: millis(rng, &[500, 3000, 30_000]),
            linger: millis(rng, &[0, 100, 2000]),
            user_layers,
            handler: pick(rng, &[Handler::Listens, Handler::Listens, Handler::Panics, Handler::Posts]),
            loses_replies: rng.u8(..6) == 0,
            stalls: rng.u8(..4) == 0,
        }
    }

    pub(crate) fn has(&self, layer: UserLayer) -> bool {
        self.user_layers.contains(&layer)
    }

    /// Whether a batch that the server has may come again: the client does not know of it, or has forgotten it.
    pub(crate) const fn may_repeat(&self) -> bool {
        self.loses_replies || (self.durable && self.stalls)
    }

    /// Whether the client may lose an answer that it had.
    pub(crate) fn may_forget(&self) -> bool {
        let cancels = self.user_layers.iter().any(|layer| matches!(layer, UserLayer::Timeout(_)));
        self.may_repeat() || self.stalls || cancels || self.has(UserLayer::PanicAfterAnswer)
    }

    /// How long to wait after so many attempts, at least and at most (BD-1, BD-3).
    pub(crate) fn wait(&self, attempts: u32, asks: Option<Duration>) -> (Duration, Duration) {
        match asks {
            Some(asks) => (asks.min(self.server_wait), asks.min(self.server_wait)),
            None => {
                let base = Duration::from_millis(100) * 4_u32.pow(attempts.saturating_sub(1));
                (base, base + base / 2)
            }
        }
    }
}

/// How one waits for a flush or a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Right here.
    Here,
    /// In a task of its own.
    Aside,
    /// In a task that is cancelled after so many milliseconds.
    Abandon(u64),
}

impl Wait {
    fn random(rng: &mut Rng) -> Self {
        match rng.u8(..4) {
            0 => Self::Aside,
            1 => Self::Abandon(rng.u64(..200)),
            _ => Self::Here,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// So many events.
    Log(usize),
    /// So many milliseconds pass.
    Pass(u64),
    /// Other tasks get so many turns.
    Yield(usize),
    Weather(Weather),
    Flush(Duration, Wait),
    Shutdown(Duration, Wait),
    CloneHandle,
    DropHandle,
    DropDriver,
    /// The program ends, in good order with so much time or at once, and is started again.
    Restart(Option<Duration>),
}

impl Step {
    fn random(rng: &mut Rng) -> Self {
        let within =
            |rng: &mut Rng| Duration::from_millis(pick(rng, &[0, 1, 30, 400, 5000, 60_000, 600_000]));
        match rng.u8(..100) {
            0..26 => Self::Log(rng.usize(1..5)),
            26..38 => Self::Log(rng.usize(5..60)),
            38..50 => Self::Pass(rng.u64(..200)),
            50..62 => Self::Pass(rng.u64(..10_000)),
            62..66 => Self::Pass(rng.u64(..100_000)),
            66..70 => Self::Yield(rng.usize(..8)),
            70..82 => Self::Weather(pick(rng, &WEATHERS)),
            82 => Self::Weather(pick(rng, &[Weather::Revoked, Weather::Fine])),
            83..88 => Self::Flush(within(rng), Wait::random(rng)),
            88 => Self::Shutdown(within(rng), Wait::random(rng)),
            89..91 => Self::CloneHandle,
            91..93 => Self::DropHandle,
            93..99 => Self::Restart(rng.bool().then(|| within(rng))),
            // Rare: it ends everything.
            _ if rng.u8(..4) == 0 => Self::DropDriver,
            _ => Self::Yield(1),
        }
    }
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All is well again and there is all the time in the world: everything must get an outcome.
    Recovery,
    Shutdown(Duration),
    /// All handles are dropped.
    DropHandles,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) setup: Setup,
    pub(crate) steps: Vec<Step>,
    pub(crate) ending: Ending,
}

impl Plan {
    /// A mistake has to be in a stack that is put together by hand.
    pub(crate) fn random(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut setup = Setup::random(seed, &mut rng);
        if sabotage.is_some() {
            setup.preset = false;
        }
        let steps = (0..rng.usize(5..80)).map(|_| Step::random(&mut rng)).collect();
        let ending = match rng.u8(..4) {
            0 | 1 => Ending::Recovery,
            2 => Ending::Shutdown(Duration::from_millis(pick(&mut rng, &[0, 50, 3000, 60_000]))),
            _ => Ending::DropHandles,
        };
        Self { setup, steps, ending }
    }

    /// As it can be read.
    pub(crate) fn describe(&self) -> String {
        let steps: Vec<_> = self.steps.iter().map(|step| format!("  {step:?}\n")).collect();
        format!("{:?}\n{}  {:?}\n", self.setup, steps.concat(), self.ending)
    }
}
