use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use envoi::{Encoding, Way};
use serde::Deserialize;

use super::file::File;
use super::upstream::{HostRule, Upstream, UpstreamText};
use super::way::WayTable;
use crate::error::CliError;

/// When a client is told that its envelope is taken on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ack {
    /// As soon as it is in the queue.
    #[default]
    Queue,
    /// When the disk has it, safe from a power failure.
    Durable,
}

/// The command line, as far as it says anything. It goes before the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) config: Option<PathBuf>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) upstream: Option<UpstreamText>,
    pub(crate) upstream_hosts: Vec<HostRule>,
    pub(crate) spool: Option<PathBuf>,
    pub(crate) ack: Option<Ack>,
}

/// All that a relay goes by.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: Upstream,
    /// The public keys that clients may use; `None` is any.
    pub(crate) allowed_keys: Option<BTreeSet<String>>,
    pub(crate) ack: Ack,
    pub(crate) spool: Option<SpoolSettings>,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) forward: Forward,
    way_table: WayTable,
    /// How the upstream is reached; `None` is how the machine and its environment say.
    pub(crate) way: Option<Way>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpoolSettings {
    pub(crate) dir: PathBuf,
    /// Of one destination.
    pub(crate) max_bytes: u64,
    pub(crate) max_envelopes: usize,
    pub(crate) max_age: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    /// Bytes of the head of a request.
    pub(crate) header: usize,
    /// Bytes of a body, before and after decoding.
    pub(crate) body: usize,
    /// Bytes of bodies and envelopes in memory, all together.
    pub(crate) memory: usize,
    /// DSNs that are served at once.
    pub(crate) destinations: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    pub(crate) header: Duration,
    pub(crate) body: Duration,
    pub(crate) idle: Duration,
    pub(crate) shutdown: Duration,
    pub(crate) destination_idle: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) encoding: Encoding,
    pub(crate) concurrency: usize,
    pub(crate) timeout: Duration,
    pub(crate) retry_first: Duration,
    pub(crate) retry_longest: Duration,
    /// Between envelopes that an earlier run has left (OC-7).
    pub(crate) replay_pause: Duration,
}

const MIB: u64 = 1 << 20;
/// A head must at least fit the path and the credentials.
const LEAST_HEADER: u64 = 8 * 1024;
const MOST_HEADER: u64 = MIB;
/// What a server takes of one envelope (EN-7).
const MOST_BODY: u64 = 200 * MIB;
const MOST_MEMORY: u64 = 1 << 40;

fn within(name: &str, value: u64, least: u64, most: u64) -> Result<usize, CliError> {
    match usize::try_from(value) {
        Ok(fits) if (least..=most).contains(&value) => Ok(fits),
        _ => Err(CliError::usage(format_args!("{name} is {value}; it must be from {least} to {most}"))),
    }
}

impl Settings {
    /// Reads the file, if there is one, puts the command line over it, and checks what must fit together.
    ///
    /// # Errors
    /// What is wrong, where, and what to do.
    pub(crate) fn load(given: &Given) -> Result<Self, CliError> {
        let file = given.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        Self::resolve(given, file)
    }

    fn resolve(given: &Given, file: File) -> Result<Self, CliError> {
        let hosts =
            if given.upstream_hosts.is_empty() { file.upstream_hosts } else { given.upstream_hosts.clone() };
        let upstream = match given.upstream.clone().or(file.upstream) {
            None => {
                return Err(CliError::usage(
                    "no upstream: pass --upstream, set ENVOI_UPSTREAM, or write `upstream` into the file",
                ));
            }
            Some(UpstreamText::PassThrough) if hosts.is_empty() => {
                return Err(CliError::usage(
                    "pass-through without a list of hosts would forward to whatever a client names: pass \
                     --upstream-host, or write `upstream_hosts` into the file",
                ));
            }
            Some(UpstreamText::PassThrough) => Upstream::PassThrough(hosts),
            Some(_) if !hosts.is_empty() => {
                return Err(CliError::usage("a list of hosts is only for the upstream `pass-through`"));
            }
            Some(UpstreamText::Project(dsn)) => Upstream::Project(dsn),
            Some(UpstreamText::Host(host)) => Upstream::Host(host),
        };
        let listen = given.listen.or(file.listen).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8970)));
        if upstream.is_at(listen) {
            return Err(CliError::usage(format_args!(
                "the upstream is {listen}, where the relay itself listens: pass the DSN that clients had before as \
                 --upstream"
            )));
        }
        let ack = given.ack.or(file.ack).unwrap_or_default();
        let limits = Limits {
            connections: within(
                "limits.connections",
                file.limits.connections.unwrap_or(1024).into(),
                1,
                65_535,
            )?,
            header: within(
                "limits.header",
                file.limits.header.map_or(16 * 1024, |size| size.0),
                LEAST_HEADER,
                MOST_HEADER,
            )?,
            body: within("limits.body", file.limits.body.map_or(50 * MIB, |size| size.0), 1024, MOST_BODY)?,
            memory: within(
                "limits.memory",
                file.limits.memory.map_or(256 * MIB, |size| size.0),
                MIB,
                MOST_MEMORY,
            )?,
            destinations: within(
                "limits.destinations",
                file.limits.destinations.unwrap_or(64).into(),
                1,
                4096,
            )?,
        };
        // A body comes, is decoded, and is both for a moment.
        if limits.memory < 2 * limits.body {
            return Err(CliError::usage(format_args!(
                "limits.memory is {} bytes, which is less than twice limits.body ({} bytes): raise the one or lower \
                 the other",
                limits.memory, limits.body
            )));
        }
        let spool = file.spool;
        let dir = given.spool.clone().or(spool.dir);
        if dir.is_none() && ack == Ack::Durable {
            return Err(CliError::usage(
                "a durable acknowledgement needs a disk: pass --spool DIR, or write `dir` into [spool]",
            ));
        }
        let spool = match dir {
            Some(dir) => Some(SpoolSettings {
                dir,
                max_bytes: spool.max_bytes.map_or(1 << 30, |size| size.0),
                max_envelopes: within(
                    "spool.max_envelopes",
                    spool.max_envelopes.unwrap_or(100_000).into(),
                    1,
                    u64::from(u32::MAX),
                )?,
                max_age: spool.max_age.map_or(Duration::from_secs(30 * 24 * 60 * 60), |span| span.0),
            }),
            None => None,
        };
        // An envelope that is accepted must fit into the store (with what frames it).
        if let Some(spool) = &spool
            && spool.max_bytes < limits.body as u64 + MIB
        {
            return Err(CliError::usage(format_args!(
                "spool.max_bytes is {} bytes, which does not hold the largest body ({} bytes) and 1 MiB",
                spool.max_bytes, limits.body
            )));
        }
        let way_table =
            WayTable { ca: file.forward.ca, proxy: file.forward.proxy, no_proxy: file.forward.no_proxy };
        let way = way_table.resolve()?;
        let seconds = Duration::from_secs;
        let of = |span: Option<super::units::Span>, default| span.map_or(default, |span| span.0);
        Ok(Self {
            listen,
            upstream,
            allowed_keys: file.allowed_keys.map(|keys| keys.into_iter().collect()),
            ack,
            spool,
            limits,
            timeouts: Timeouts {
                header: of(file.timeouts.header, seconds(10)),
                body: of(file.timeouts.body, seconds(60)),
                idle: of(file.timeouts.idle, seconds(60)),
                shutdown: of(file.timeouts.shutdown, seconds(8)),
                destination_idle: of(file.timeouts.destination_idle, seconds(300)),
            },
            forward: Forward {
                encoding: file.forward.encoding.map_or(Encoding::Gzip, Into::into),
                concurrency: within(
                    "forward.concurrency",
                    file.forward.concurrency.unwrap_or(8).into(),
                    1,
                    1024,
                )?,
                timeout: of(file.forward.timeout, seconds(30)),
                retry_first: of(file.forward.retry_first, seconds(5)),
                retry_longest: of(file.forward.retry_longest, seconds(300)),
                replay_pause: of(file.forward.replay_pause, Duration::from_millis(100)),
            },
            way_table,
            way,
        })
    }

    /// Names what differs in `new` and only takes effect with a restart, and keeps it as it is.
    pub(crate) fn adopt(&self, mut new: Self) -> (Self, Vec<&'static str>) {
        let mut fixed = Vec::new();
        let mut keep = |name, differs: bool| {
            if differs {
                fixed.push(name);
            }
        };
        keep("listen", new.listen != self.listen);
        keep("[spool]", new.spool != self.spool);
        keep("limits.connections", new.limits.connections != self.limits.connections);
        keep("limits.header", new.limits.header != self.limits.header);
        keep("limits.memory", new.limits.memory != self.limits.memory);
        // Stores were opened for envelopes of this size.
        keep("limits.body", new.limits.body > self.limits.body);
        keep("[forward]", new.forward != self.forward || new.way_table != self.way_table);
        new.listen = self.listen;
        new.spool.clone_from(&self.spool);
        new.forward = self.forward;
        new.way_table.clone_from(&self.way_table);
        new.way.clone_from(&self.way);
        new.limits = Limits {
            body: new.limits.body.min(self.limits.body),
            destinations: new.limits.destinations,
            ..self.limits
        };
        (new, fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DSN: &str = "upstream = \"http://k@h/1\"\n";

    fn load(text: &str) -> Result<Settings, String> {
        let file = File::parse(text)?;
        Settings::resolve(&Given::default(), file).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_a_sidecar() {
        let settings = load(DSN).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8970");
        assert!(settings.listen.ip().is_loopback() && settings.spool.is_none());
        assert_eq!(settings.ack, Ack::Queue);
        assert_eq!((settings.limits.body, settings.limits.memory), (50 << 20, 256 << 20));
        assert!(!format!("{settings:?}").is_empty());
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_a_way_out() {
        for (text, part) in [
            ("", "no upstream"),
            ("upstream = \"pass-through\"", "upstream_hosts"),
            ("upstream = \"http://k@h/1\"\nupstream_hosts = [\"h\"]", "only for the upstream"),
            ("upstream = \"http://k@localhost:8970/1\"", "where the relay itself listens"),
            ("upstream = \"http://k@h/1\"\nack = \"durable\"", "--spool"),
            ("upstream = \"http://k@h/1\"\n[limits]\nbody = \"200 MiB\"", "twice limits.body"),
            ("upstream = \"http://k@h/1\"\n[limits]\nheader = \"1 KiB\"", "limits.header"),
            ("upstream = \"http://k@h/1\"\n[limits]\nconnections = 0", "limits.connections"),
            ("upstream = \"http://k@h/1\"\n[spool]\ndir = \"x\"\nmax_bytes = \"50 MiB\"", "largest body"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let file = File::parse(&format!("listen = \"127.0.0.1:1\"\n{DSN}")).unwrap();
        let given = Given {
            listen: Some("127.0.0.1:2".parse().unwrap()),
            upstream: Some("https://host".parse().unwrap()),
            ..Given::default()
        };
        let settings = Settings::resolve(&given, file).unwrap();
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.upstream.to_string(), "each to its project on https://host");
    }

    #[test]
    fn a_reload_takes_over_what_it_can_and_names_the_rest() {
        let old = load(DSN).unwrap();
        let new = load(
            "listen = \"127.0.0.1:9\"\nupstream = \"http://other@h/2\"\nallowed_keys = [\"a\"]\n\
             [limits]\nbody = \"60 MiB\"\ndestinations = 3\n[timeouts]\nbody = \"1s\"",
        )
        .unwrap();
        let (now, fixed) = old.adopt(new);
        assert_eq!(fixed, ["listen", "limits.body"]);
        assert_eq!((now.listen, now.limits.body), (old.listen, old.limits.body));
        assert_eq!((now.limits.destinations, now.timeouts.body), (3, Duration::from_secs(1)));
        assert_eq!(now.upstream.to_string(), "all to the project http://h/2");
        assert!(now.allowed_keys.is_some());
    }
}
