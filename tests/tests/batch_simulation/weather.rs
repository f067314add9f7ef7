//! What the simulated server does with a request, drawn from the weather of the moment.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Every request succeeds at once.
    Fine,
    /// Every request succeeds, after a while.
    Slow,
    /// The network is down.
    Down,
    /// Now and then an error of the network, or one of a proxy.
    Flaky,
    /// The server refuses with all sorts of statuses.
    Refusing,
    /// The server fails.
    Failing,
    /// The server asks for pauses, in all sorts of words.
    Throttling,
    /// Requests hang.
    Hanging,
    /// The exchange panics now and then.
    Panicking,
    /// All of it.
    Storm,
    /// The key is no good any more.
    Revoked,
}

pub(crate) const WEATHERS: [Weather; 10] = [
    Weather::Fine,
    Weather::Slow,
    Weather::Down,
    Weather::Flaky,
    Weather::Refusing,
    Weather::Failing,
    Weather::Throttling,
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

/// A pause that a server asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asks {
    For(Duration),
    Until(SystemTime),
}

impl Asks {
    pub(crate) fn wait(self, wall: SystemTime) -> Duration {
        match self {
            Self::For(wait) => wait,
            Self::Until(date) => date.duration_since(wall).unwrap_or_default(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Turn {
    Reply {
        status: u16,
        headers: HeaderMap,
        /// What the headers ask for, before any cap.
        asks: Option<Asks>,
        body: BodyKind,
    },
    Error(ErrorKind),
    /// A proxy does not let us through: a 401 or 407 of its own.
    ProxyRefuses,
    /// The server has taken it, and the client does not get to know.
    LostReply(ErrorKind),
    /// A panic in `call`.
    PanicInCall,
    /// A panic in the future.
    PanicLater,
}

/// A pause, as servers ask for it: the headers, and what they mean (BD-3).
fn pause(rng: &mut Rng, wall: SystemTime) -> (HeaderMap, Option<Asks>) {
    let mut headers = HeaderMap::new();
    let seconds = pick(rng, &[0, 1, 2, 7, 59, 60, 61, 300]);
    let (text, meaning) = match rng.u8(..8) {
        0 | 1 => (seconds.to_string(), Some(Asks::For(Duration::from_secs(seconds)))),
        2 => {
            let millis = rng.u64(1..5000);
            (
                format!("{}.{:03}", millis / 1000, millis % 1000),
                Some(Asks::For(Duration::from_millis(millis))),
            )
        }
        3 => {
            // A date begins with its second.
            let date = wall + Duration::from_secs(seconds);
            let text = httpdate::fmt_http_date(date);
            let date = httpdate::parse_http_date(&text).unwrap();
            (text, Some(Asks::Until(date)))
        }
        4 => {
            // The clock of the server is wrong, and it says so.
            let theirs = wall - Duration::from_secs(1_000_000);
            headers.insert(DATE, HeaderValue::try_from(httpdate::fmt_http_date(theirs)).unwrap());
            let text = httpdate::fmt_http_date(theirs + Duration::from_secs(seconds));
            (text, Some(Asks::For(Duration::from_secs(seconds))))
        }
        5 => (
            pick(rng, &["99999999999999999999", "1e9"]).to_owned(),
            Some(Asks::For(Duration::from_secs(86_400))),
        ),
        6 => (pick(rng, &["-5", "-0.5", "soon", "10 seconds", "", "NaN", "inf", "0x10"]).to_owned(), None),
        _ => return (headers, None),
    };
    headers.insert(RETRY_AFTER, HeaderValue::try_from(text).unwrap());
    (headers, meaning)
}

/// What the server may do, by the stack that it stands under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// Whether replies may get lost.
    pub(crate) loses_replies: bool,
    /// Whether bodies may stall.
    pub(crate) stalls: bool,
}

impl Weather {
    pub(crate) fn answer(self, manners: Manners, wall: SystemTime, rng: &mut Rng) -> (Delay, Turn) {
        let weather = if self == Self::Storm { pick(rng, &WEATHERS[..WEATHERS.len() - 1]) } else { self };
        let turn = match weather {
            Self::Down => Turn::Error(network_error(rng)),
            Self::Flaky if rng.u8(..3) == 0 => Turn::Error(network_error(rng)),
            Self::Flaky if rng.u8(..6) == 0 => Turn::ProxyRefuses,
            Self::Flaky if manners.loses_replies && rng.u8(..3) == 0 => Turn::LostReply(network_error(rng)),
            Self::Refusing if rng.u8(..4) > 0 => {
                let status = pick(rng, &[400, 404, 407, 408, 409, 413, 422, 301]);
                reply(status, manners, rng)
            }
            Self::Failing if rng.u8(..5) > 0 => reply(pick(rng, &[500, 502, 503, 504, 408]), manners, rng),
            Self::Throttling if rng.u8(..4) > 0 => {
                let status = pick(rng, &[429, 429, 429, 503, 408]);
                let (headers, asks) = pause(rng, wall);
                Turn::Reply { status, headers, asks, body: BodyKind::Short }
            }
            Self::Revoked => {
                let (status, headers) = (pick(rng, &[401, 403]), HeaderMap::new());
                Turn::Reply { status, headers, asks: None, body: BodyKind::Short }
            }
            Self::Panicking if rng.u8(..4) == 0 => Turn::PanicInCall,
            Self::Panicking if rng.u8(..4) == 0 => Turn::PanicLater,
            Self::Fine => reply(200, Manners { stalls: false, ..manners }, rng),
            _ => reply(pick(rng, &[200, 202, 204]), manners, rng),
        };
        let delay = match weather {
            Self::Hanging if rng.bool() => Delay::Never,
            Self::Fine => Delay::None,
            Self::Slow | Self::Hanging => Delay::Some(Duration::from_millis(rng.u64(1..12_000))),
            _ if rng.bool() => Delay::Some(Duration::from_millis(rng.u64(1..100))),
            _ => Delay::None,
        };
        (delay, turn)
    }
}

fn reply(status: u16, manners: Manners, rng: &mut Rng) -> Turn {
    let body = match rng.u8(..12) {
        0 => BodyKind::Broken,
        1 if manners.stalls => BodyKind::Stalled,
        2..6 => BodyKind::Short,
        _ => BodyKind::Empty,
    };
    Turn::Reply { status, headers: HeaderMap::new(), asks: None, body }
}

fn network_error(rng: &mut Rng) -> ErrorKind {
    const ERRORS: [ErrorKind; 5] = [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
        ErrorKind::TimedOut,
        ErrorKind::UnexpectedEof,
    ];
    pick(rng, &ERRORS)
}
