//! What the simulated server does with a request, drawn from the weather of the moment.

use std::io::ErrorKind;
use std::time::Duration;

use envoi_envelope::DataCategory as Category;
use fastrand::Rng;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Every request succeeds at once.
    Fine,
    /// Every request succeeds, after a while.
    Slow,
    /// The network is down.
    Down,
    /// Now and then an error of the network.
    Flaky,
    /// The server refuses with all sorts of statuses.
    Refusing,
    /// Successes and refusals bring rate limits along.
    Limiting,
    /// Requests hang.
    Hanging,
    /// The exchange panics now and then.
    Panicking,
    /// All of it.
    Storm,
}

pub(crate) const WEATHERS: [Weather; 9] = [
    Weather::Fine,
    Weather::Slow,
    Weather::Down,
    Weather::Flaky,
    Weather::Refusing,
    Weather::Limiting,
    Weather::Hanging,
    Weather::Panicking,
    Weather::Storm,
];

pub(crate) fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())].clone()
}

/// When the answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    None,
    Some(Duration),
    Never,
}

/// How the body of a reply behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    Empty,
    Short,
    /// An error after the first piece.
    Broken,
    /// Nothing after the first piece, for ever.
    Stalled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Reply {
        status: u16,
        said: Said,
        body: BodyKind,
    },
    Error(ErrorKind),
    /// The server has taken it, and the client does not get to know.
    LostReply(ErrorKind),
    /// A panic in `call`.
    PanicInCall,
    /// A panic in the future.
    PanicLater,
}

/// What a reply says about limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// `None`: no such header.
    pub(crate) quotas: Option<Vec<Quota>>,
    pub(crate) retry_after: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    millis: u64,
    /// None is everything.
    categories: Vec<Category>,
    /// Names that no client knows, and which therefore change nothing, except that they are not "everything".
    unknown: bool,
    /// The way it is written.
    style: u8,
}

const LIMITABLE: [Category; 16] = [
    Category::Error,
    Category::Transaction,
    Category::Span,
    Category::Attachment,
    Category::AttachmentItem,
    Category::Session,
    Category::Profile,
    Category::ProfileChunk,
    Category::ProfileDurationUi,
    Category::Replay,
    Category::Monitor,
    Category::Feedback,
    Category::MetricBucket,
    Category::LogItem,
    Category::LogByte,
    Category::TraceMetricByte,
];

impl Quota {
    fn random(rng: &mut Rng) -> Self {
        let categories = match rng.u8(..6) {
            0 => Vec::new(),
            1 => vec![Category::Error],
            _ => (0..rng.usize(1..4)).map(|_| pick(rng, &LIMITABLE)).collect(),
        };
        let millis = if rng.bool() { rng.u64(..20) * 500 } else { rng.u64(..300) * 1000 };
        Self { millis, categories, unknown: rng.u8(..5) == 0, style: rng.u8(..6) }
    }

    fn write(&self) -> String {
        let names: Vec<&str> = self.categories.iter().map(Category::as_str).collect();
        let mut names = names.join(";");
        if self.unknown {
            names = if names.is_empty() { "teapot".to_owned() } else { format!("teapot;{names}") };
        }
        let seconds = if self.millis.is_multiple_of(1000) && self.style != 1 {
            (self.millis / 1000).to_string()
        } else {
            format!("{}.{:03}", self.millis / 1000, self.millis % 1000)
        };
        match self.style {
            0 => format!("{seconds}:{names}"),
            1 => format!(" {seconds} : {names} :organization:quota_exceeded"),
            2 => format!("{seconds}:{names}:key:reason:custom:future:field"),
            3 => format!("soon:error:key, {seconds}:{names}:project"),
            _ => format!("{seconds}:{names}:organization"),
        }
    }
}

impl Said {
    /// The limits that this means: the category, or everything, and for how long (decisions 1 to 6).
    pub(crate) fn limits(&self, status: u16) -> Vec<(Option<Category>, Duration)> {
        let Some(quotas) = &self.quotas else {
            let seconds = self.retry_after.unwrap_or(60);
            return if status == 429 { vec![(None, Duration::from_secs(seconds))] } else { Vec::new() };
        };
        let mut limits = Vec::new();
        for quota in quotas {
            let duration = Duration::from_millis(quota.millis);
            if quota.categories.is_empty() && !quota.unknown {
                limits.push((None, duration));
            }
            limits.extend(quota.categories.iter().map(|category| (Some(category.clone()), duration)));
        }
        limits
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = |text: String| HeaderValue::try_from(text).unwrap();
        if let Some(quotas) = &self.quotas {
            let name = HeaderName::from_static("x-sentry-rate-limits");
            // One line or several: it is one list.
            for line in quotas.chunks(2) {
                let line: Vec<_> = line.iter().map(Quota::write).collect();
                headers.append(&name, value(line.join(",")));
            }
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, value(seconds.to_string()));
        }
        headers
    }

    fn random(rng: &mut Rng) -> Self {
        let quotas = (rng.u8(..4) > 0).then(|| (0..rng.usize(1..4)).map(|_| Quota::random(rng)).collect());
        Self { quotas, retry_after: (rng.u8(..3) == 0).then(|| rng.u64(..200)) }
    }
}

/// What the server may do, by the stack that it stands under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// Whether replies may get lost.
    pub(crate) loses_replies: bool,
    /// Whether bodies may stall.
    pub(crate) stalls: bool,
    /// Whether the client learns of a limit before it sends anything else.
    pub(crate) is_heard_at_once: bool,
    /// Whether what leaves the queue first comes first.
    pub(crate) keeps_order: bool,
    /// Whether it takes no time from the queue to the server.
    pub(crate) keeps_distance: bool,
}

impl Weather {
    pub(crate) fn answer(self, manners: Manners, rng: &mut Rng) -> (Delay, Turn) {
        let weather = if self == Self::Storm { pick(rng, &WEATHERS[..WEATHERS.len() - 1]) } else { self };
        let turn = match weather {
            Self::Down => Turn::Error(network_error(rng)),
            Self::Flaky if rng.u8(..3) == 0 => Turn::Error(network_error(rng)),
            Self::Flaky if manners.loses_replies && rng.u8(..3) == 0 => Turn::LostReply(network_error(rng)),
            Self::Refusing if rng.u8(..4) > 0 => reply(pick(rng, &REFUSALS), Said::default(), manners, rng),
            Self::Limiting => {
                let status = pick(rng, &[200, 200, 429, 429, 500]);
                let said = if rng.u8(..3) > 0 { Said::random(rng) } else { Said::default() };
                reply(status, said, manners, rng)
            }
            Self::Panicking if rng.u8(..4) == 0 => Turn::PanicInCall,
            Self::Panicking if rng.u8(..4) == 0 => Turn::PanicLater,
            Self::Fine => reply(200, Said::default(), Manners { stalls: false, ..manners }, rng),
            _ => reply(200, Said::default(), manners, rng),
        };
        let delay = match weather {
            Self::Hanging if rng.bool() => Delay::Never,
            Self::Fine => Delay::None,
            Self::Slow | Self::Hanging => Delay::Some(Duration::from_millis(rng.u64(1..3000))),
            _ if rng.bool() => Delay::Some(Duration::from_millis(rng.u64(1..100))),
            _ => Delay::None,
        };
        (delay, turn)
    }
}

const REFUSALS: [u16; 10] = [400, 401, 403, 404, 413, 429, 500, 502, 503, 301];

fn reply(status: u16, said: Said, manners: Manners, rng: &mut Rng) -> Turn {
    let body = match rng.u8(..12) {
        0 => BodyKind::Broken,
        1 if manners.stalls => BodyKind::Stalled,
        2..6 => BodyKind::Short,
        _ => BodyKind::Empty,
    };
    Turn::Reply { status, said, body }
}

fn network_error(rng: &mut Rng) -> ErrorKind {
    const ERRORS: [ErrorKind; 6] = [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
        ErrorKind::TimedOut,
        ErrorKind::UnexpectedEof,
        // Not of the network: it is given up.
        ErrorKind::InvalidData,
    ];
    pick(rng, &ERRORS)
}
