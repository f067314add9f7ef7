use std::error::Error;
use std::sync::{Arc, Once};
use std::time::Duration;

use envoi::core::Phase;
use envoi::way::{Event, SharedObserver};
use http::Uri;

use super::Choice;
use crate::error::chain;
use crate::output::{BAD, DIM, paint};
use crate::text;

/// A phase in words. The text is clean.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Which, in one word.
    pub(crate) name: &'static str,
    /// What came of it.
    pub(crate) text: String,
    /// How long it took, if that is known.
    pub(crate) took: Option<Duration>,
    /// Whether it failed.
    pub(crate) is_failure: bool,
}

impl Told {
    fn new(name: &'static str, text: impl Into<String>, took: Option<Duration>) -> Self {
        Self { name, text: text::clean(&text.into()).into_owned(), took, is_failure: false }
    }

    /// Which proxy is used for a target, and why.
    pub(crate) fn of_choice(choice: &Choice, target: &Uri) -> Self {
        Self::new("proxy", choice.words(target), None)
    }

    fn failure(name: &'static str, error: &(dyn Error + 'static), took: Option<Duration>) -> Self {
        Self { is_failure: true, ..Self::new(name, text::redact(&chain(error)), took) }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let name = format!("{:8}", self.name);
        let name = if self.is_failure { paint(BAD, name) } else { paint(DIM, name) };
        match self.took {
            Some(took) => {
                format!("{name} {} {}", self.text, paint(DIM, format_args!("({})", milliseconds(took))))
            }
            None => format!("{name} {}", self.text),
        }
    }
}

fn milliseconds(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}

/// What an observer hears, in words.
pub(crate) fn describe(event: &Event<'_>) -> Told {
    match event {
        Event::Resolved { host, addresses, took } => {
            let addresses: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            Told::new("name", format!("{host} is {}", addresses.join(", ")), Some(*took))
        }
        Event::Connected { peer, local, took } => {
            let show = |address: &Option<std::net::SocketAddr>| {
                address.map_or_else(|| "somewhere".to_owned(), |address| address.to_string())
            };
            Told::new("tcp", format!("connected to {} from {}", show(peer), show(local)), Some(*took))
        }
        Event::Tunnelled { proxy, detail, took } => {
            Told::new("proxy", format!("{proxy} opened the way: {detail}"), Some(*took))
        }
        Event::Secured { host, handshake, took } => {
            let alpn = handshake.alpn.as_deref().unwrap_or("no ALPN");
            let resumed = if handshake.resumed { ", resumed" } else { "" };
            let chain = text::count(handshake.chain.len() as u64, "certificate");
            let (version, cipher) = (&handshake.version, &handshake.cipher);
            Told::new("tls", format!("{host}: {version}, {cipher}, {alpn}, {chain}{resumed}"), Some(*took))
        }
        Event::Reused => Told::new("reused", "a connection that was there", None),
        Event::Written { bytes, took } => {
            Told::new("request", format!("{} written", text::count(*bytes, "byte")), Some(*took))
        }
        Event::Replied { status, version, took } => {
            Told::new("reply", format!("{status} over {version:?}"), Some(*took))
        }
        Event::Again { error } => Told::new("again", text::redact(&chain(*error)), None),
        Event::Failed { phase, error, took } => {
            let name = match phase {
                Phase::Resolve => "name",
                Phase::Connect => "tcp",
                Phase::Proxy => "proxy",
                Phase::Tls => "tls",
                Phase::Write => "request",
                _ => "reply",
            };
            Told::failure(name, *error, Some(*took))
        }
        other => Told::new("other", format!("{other:?}"), None),
    }
}

/// An observer that tells every phase on standard error, and `first` before the first of them.
pub(crate) fn teller(first: Told) -> SharedObserver {
    let begun = Once::new();
    Arc::new(move |event: &Event<'_>| {
        begun.call_once(|| anstream::eprintln!("{}", first.line()));
        anstream::eprintln!("{}", describe(event).line());
    })
}
