//! A schedule: the stack and what happens to it, as plain data that a seed decides.

use std::time::Duration;

use envoi_core::Lane;
use fastrand::Rng;

use crate::freight::EnvelopePlan;
use crate::weather::{Manners, WEATHERS, Weather, pick};

/// A layer between the outbox and the filter, as a user might put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserLayer {
    /// Drops items now and then, as a `before_send` hook does, and records it.
    BeforeSend,
    PanicInCall,
    PanicLater,
    PanicAfterAnswer,
    PanicInReady,
    /// tower's own, with boxed errors.
    Buffer,
    LoadShed,
    ConcurrencyLimit,
    /// Cancels calls that take longer than 500 ms, and loses their parcels.
    Timeout,
    RateLimit,
    /// Says that nothing was left, although there was.
    ClaimsSpent,
    /// A second outbox with the same books.
    Outbox,
}

impl UserLayer {
    const fn panics(self) -> bool {
        matches!(self, Self::PanicInCall | Self::PanicLater | Self::PanicAfterAnswer | Self::PanicInReady)
    }
}

const USER_LAYERS: [UserLayer; 12] = [
    UserLayer::ClaimsSpent,
    UserLayer::BeforeSend,
    UserLayer::PanicInCall,
    UserLayer::PanicLater,
    UserLayer::PanicAfterAnswer,
    UserLayer::PanicInReady,
    UserLayer::Buffer,
    UserLayer::LoadShed,
    UserLayer::ConcurrencyLimit,
    UserLayer::Timeout,
    UserLayer::RateLimit,
    UserLayer::Outbox,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExchangeLayer {
    Timeout(Duration),
    ConcurrencyLimit(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) capacity: (usize, usize),
    /// Whether the store outlives the process.
    pub(crate) durable: bool,
    pub(crate) drops_newest: bool,
    pub(crate) concurrency: usize,
    pub(crate) weights: [u32; Lane::COUNT],
    pub(crate) max_attempts: u32,
    pub(crate) max_age: Duration,
    pub(crate) backoff: Duration,
    pub(crate) report_interval: Option<Duration>,
    pub(crate) linger: Duration,
    /// Whether the bridge to HTTP knows the halt token.
    pub(crate) halts: bool,
    /// Whether the outbox knows the limits, or only the filter.
    pub(crate) knows_limits: bool,
    pub(crate) reports: bool,
    /// Whether a 503 is tried again.
    pub(crate) retries_503: bool,
    pub(crate) user_layers: Vec<UserLayer>,
    pub(crate) exchange_layers: Vec<ExchangeLayer>,
    /// Whether the network may lose replies: then the client cannot know what has arrived.
    pub(crate) loses_replies: bool,
    pub(crate) stalls: bool,
    /// What the store holds at the beginning, from an earlier run.
    pub(crate) replayed: Vec<EnvelopePlan>,
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
        let mut exchange_layers = Vec::new();
        if rng.bool() {
            exchange_layers.push(ExchangeLayer::Timeout(millis(rng, &[50, 1000, 10_000])));
        }
        if rng.u8(..4) == 0 {
            exchange_layers.push(ExchangeLayer::ConcurrencyLimit(rng.usize(1..4)));
        }
        let halts = rng.u8(..4) > 0;
        let cancels = user_layers.contains(&UserLayer::Timeout);
        // After the answer of the server the client may lose it on its own as well.
        let loses_replies = rng.u8(..6) == 0 || user_layers.contains(&UserLayer::PanicAfterAnswer);
        let weights = if rng.u8(..4) == 0 {
            [(); Lane::COUNT].map(|()| rng.u32(..6))
        } else {
            Lane::ALL.map(Lane::default_weight)
        };
        let replayed = if rng.u8(..5) == 0 {
            (0..rng.usize(1..6)).map(|_| EnvelopePlan::without_reports(rng)).collect()
        } else {
            Vec::new()
        };
        Self {
            seed,
            capacity: (pick(rng, &[3, 10, 40, 1000]), pick(rng, &[2000, 20_000, 1 << 20])),
            durable: rng.u8(..4) == 0,
            drops_newest: rng.u8(..3) == 0,
            concurrency: pick(rng, &[1, 1, 2, 3, 8]),
            weights,
            max_attempts: pick(rng, &[1, 2, 3, 20]),
            max_age: millis(rng, &[2000, 60_000, 30 * 86_400_000]),
            backoff: millis(rng, &[10, 200, 5000]),
            report_interval: pick(rng, &[None, Some(500), Some(30_000)]).map(Duration::from_millis),
            linger: millis(rng, &[0, 100, 2000]),
            halts,
            knows_limits: rng.u8(..4) > 0,
            reports: rng.u8(..8) > 0,
            retries_503: rng.u8(..4) == 0,
            stalls: rng.u8(..3) == 0 && (loses_replies || (halts && !cancels)),
            user_layers,
            exchange_layers,
            loses_replies,
            replayed,
        }
    }

    pub(crate) fn has(&self, layer: UserLayer) -> bool {
        self.user_layers.contains(&layer)
    }

    pub(crate) fn manners(&self) -> Manners {
        Manners {
            loses_replies: self.loses_replies,
            stalls: self.stalls,
            is_heard_at_once: !self.stalls,
            keeps_order: !self.has(UserLayer::Outbox) && self.replayed.is_empty(),
            keeps_distance: self.user_layers.is_empty(),
        }
    }

    /// Whether a parcel may live on after its outcome, in a layer that keeps it.
    pub(crate) fn keeps_parcels(&self) -> bool {
        self.has(UserLayer::Buffer)
    }
}

/// How one waits for a flush or a close.
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

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Post(EnvelopePlan),
    /// So many like this, one after the other.
    Burst(usize, EnvelopePlan),
    /// Posts the parcel as a service; a failure hands it back.
    Call(EnvelopePlan),
    /// So many milliseconds pass.
    Pass(u64),
    /// Other tasks get so many turns.
    Yield(usize),
    Weather(Weather),
    Flush(Duration, Wait),
    Close(Duration, Wait),
    Online,
    CloneHandle,
    DropHandle,
    DropDriver,
    Listen,
    Deafen,
}

impl Step {
    fn random(rng: &mut Rng) -> Self {
        let within =
            |rng: &mut Rng| Duration::from_millis(pick(rng, &[0, 1, 30, 400, 5000, 60_000, 600_000]));
        match rng.u8(..100) {
            0..40 => Self::Post(EnvelopePlan::random(rng)),
            40..44 => Self::Burst(rng.usize(2..20), EnvelopePlan::random(rng)),
            44..52 => Self::Call(EnvelopePlan::random(rng)),
            52..64 => Self::Pass(rng.u64(..100)),
            64..70 => Self::Pass(rng.u64(..10_000)),
            70..72 => Self::Pass(rng.u64(..400_000)),
            72..76 => Self::Yield(rng.usize(..8)),
            76..86 => Self::Weather(pick(rng, &WEATHERS)),
            86..91 => Self::Flush(within(rng), Wait::random(rng)),
            91 => Self::Close(within(rng), Wait::random(rng)),
            92..94 => Self::Online,
            94..96 => Self::CloneHandle,
            96..98 => Self::DropHandle,
            98 => pick(rng, &[Self::Listen, Self::Listen, Self::Deafen]),
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
    Close(Duration),
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
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let setup = Setup::random(seed, &mut rng);
        let mut steps: Vec<_> = (0..rng.usize(5..45)).map(|_| Step::random(&mut rng)).collect();
        if setup.stalls && !setup.loses_replies {
            // Dropping the driver while a reply is being read loses it.
            steps.retain(|step| !matches!(step, Step::DropDriver));
        }
        let ending = match rng.u8(..4) {
            0 | 1 => Ending::Recovery,
            2 => Ending::Close(Duration::from_millis(pick(&mut rng, &[0, 50, 3000, 60_000]))),
            _ => Ending::DropHandles,
        };
        Self { setup, steps, ending }
    }

    /// Whether a call may hang with nobody to end it.
    pub(crate) fn may_hang(&self) -> bool {
        let setup = &self.setup;
        let has =
            |weather| self.steps.iter().any(|step| matches!(step, Step::Weather(now) if *now == weather));
        let is_timed = |layer: &ExchangeLayer| matches!(layer, ExchangeLayer::Timeout(_));
        // A timeout above a second outbox has nothing to do with exchanges.
        let timed = setup.exchange_layers.iter().any(is_timed)
            || (setup.has(UserLayer::Timeout) && !setup.has(UserLayer::Outbox));
        // The worker of tower's buffer does not survive a panic, and what is given to it on a place that was reserved
        // before is never answered.
        let panics = has(Weather::Panicking) || setup.user_layers.iter().any(|layer| layer.panics());
        ((has(Weather::Hanging) || has(Weather::Storm)) && !timed)
            || (setup.has(UserLayer::Buffer) && (panics || has(Weather::Storm)))
    }

    /// As it can be read.
    pub(crate) fn describe(&self) -> String {
        let steps: Vec<_> = self.steps.iter().map(|step| format!("  {step:?}\n")).collect();
        format!("{:?}\n{}  {:?}\n", self.setup, steps.concat(), self.ending)
    }
}
