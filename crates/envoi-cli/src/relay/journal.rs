//! What a relay says while it runs: lines for people, or JSON lines.

use std::fmt;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::config::{Settings, Upstream};
use crate::output::{BOLD, DIM, GOOD, Output, WARN, paint};
use crate::text;

#[derive(Clone, Copy, Debug)]
pub(super) struct Journal {
    json: bool,
}

impl Journal {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    fn say(&self, event: &Value, line: impl fmt::Display, output: &mut Output) {
        if self.json {
            output.json(event);
        } else {
            output.line(line);
        }
    }

    pub(super) fn listening(&self, address: SocketAddr, settings: &Settings, output: &mut Output) {
        let (key, project) = match &settings.upstream {
            Upstream::Project(dsn) => (dsn.public_key(), dsn.project_id()),
            _ => ("KEY", "PROJECT"),
        };
        let dsn = format!("http://{key}@{address}/{project}");
        let upstream = settings.upstream.to_string();
        self.say(
            &json!({
                "type": "listening",
                "address": address.to_string(),
                "dsn": dsn,
                "status_url": format!("http://{address}/"),
                "upstream": upstream,
            }),
            format_args!(
                "listening on {address}, forwarding {}\nuse the DSN {}, look at http://{address}/",
                text::clean(&upstream),
                paint(BOLD, &dsn)
            ),
            output,
        );
        if !address.ip().is_loopback() {
            self.warn(
                format_args!(
                    "{address} can be reached from other machines: whoever reaches it may send in your name and read \
                     the status page; put a firewall or a proxy with credentials before it, or listen on 127.0.0.1"
                ),
                output,
            );
        }
        if settings.spool.is_none() {
            self.note(
                "nothing is kept on disk: what is queued when the relay ends may be lost; see --spool",
                output,
            );
        }
    }

    pub(super) fn reloaded(&self, settings: &Settings, fixed: &[&str], output: &mut Output) {
        let upstream = settings.upstream.to_string();
        self.say(
            &json!({ "type": "reloaded", "upstream": upstream, "need_restart": fixed }),
            format_args!("{}, forwarding {}", paint(GOOD, "configuration read"), text::clean(&upstream)),
            output,
        );
        if !fixed.is_empty() {
            self.warn(
                format_args!("a change of {} takes effect with a restart only", fixed.join(", ")),
                output,
            );
        }
    }

    pub(super) fn destination(&self, what: &str, label: &str, why: Option<&str>, output: &mut Output) {
        let reason = why.map(|why| format!(": {}", text::clean(why))).unwrap_or_default();
        self.say(
            &json!({ "type": what, "destination": label, "message": why }),
            format_args!("{what} {}{reason}", text::clean(label)),
            output,
        );
    }

    pub(super) fn stopping(&self, output: &mut Output) {
        self.say(&json!({ "type": "stopping" }), paint(DIM, "stopping"), output);
    }

    /// Something that somebody has to look at.
    pub(super) fn warn(&self, message: impl fmt::Display, output: &mut Output) {
        let message = text::redact(&text::clean(&message.to_string()));
        if self.json {
            output.json(&json!({ "type": "warning", "message": message }));
        } else {
            output.note(format_args!("{}: {message}", paint(WARN, "warning")));
        }
    }

    /// Something that is good to know, for people.
    fn note(&self, message: &str, output: &Output) {
        if !self.json {
            output.note(format_args!("{}: {message}", paint(DIM, "note")));
        }
    }
}
