//! The text format of Prometheus.

use std::fmt::{Display, Write};

use super::escape::Label;
use super::view::{AccountView, View};

/// Writes families: a family is one name, with its help and type before its samples.
#[derive(Default)]
struct Families(String);

impl Families {
    // Writing to a string does not fail.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (position, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if position == 0 { '{' } else { ',' }, Label(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

/// All figures of a relay.
pub(super) fn metrics(view: &View) -> String {
    let mut out = Families::default();
    out.family("envoi_relay_info", "gauge", "The version that runs.");
    out.sample("envoi_relay_info", &[("version", view.version)], 1);
    out.single("envoi_relay_uptime_seconds", "gauge", "Since the start.", view.uptime_seconds);
    out.single(
        "envoi_relay_envelopes_accepted_total",
        "counter",
        "Envelopes that were taken on.",
        view.accepted,
    );
    out.single("envoi_relay_bytes_accepted_total", "counter", "Their bytes, decoded.", view.accepted_bytes);
    out.single(
        "envoi_relay_not_durable_total",
        "counter",
        "Envelopes that were to be on disk before the answer, and were not because the disk had failed.",
        view.not_durable,
    );
    out.single("envoi_relay_connections", "gauge", "Open connections.", view.connections);
    out.single("envoi_relay_connections_limit", "gauge", "At most.", view.connections_limit);
    out.single("envoi_relay_memory_bytes", "gauge", "Bodies and envelopes in memory.", view.memory_bytes);
    out.single("envoi_relay_memory_limit_bytes", "gauge", "At most.", view.memory_limit_bytes);
    out.single("envoi_relay_destinations", "gauge", "DSNs that are open.", view.destinations.len());
    out.single("envoi_relay_stopping", "gauge", "1 while the relay stops.", u8::from(view.stopping));
    out.family("envoi_relay_answers_total", "counter", "Answers by status.");
    for (status, count) in &view.answers {
        out.sample("envoi_relay_answers_total", &[("status", &status.to_string())], count);
    }
    out.family("envoi_relay_refusals_total", "counter", "Requests that were not taken on, by reason.");
    for (reason, count) in &view.refusals {
        out.sample("envoi_relay_refusals_total", &[("reason", reason)], count);
    }
    queues(&mut out, view);
    ledgers(&mut out, view);
    out.0
}

type Value = fn(&super::view::LaneView) -> Option<String>;

fn queues(out: &mut Families, view: &View) {
    let lanes: [(&str, &str, Value); 4] = [
        ("envoi_queue_envelopes", "Envelopes in the queue.", |lane| Some(lane.envelopes.to_string())),
        ("envoi_queue_bytes", "Their bytes.", |lane| Some(lane.bytes.to_string())),
        ("envoi_queue_waiting", "Those that wait for another attempt.", |lane| {
            Some(lane.waiting.to_string())
        }),
        ("envoi_queue_oldest_seconds", "Age of the oldest.", |lane| {
            lane.oldest_seconds.map(|seconds| seconds.to_string())
        }),
    ];
    for (name, help, value) in lanes {
        out.family(name, "gauge", help);
        for destination in &view.destinations {
            for lane in &destination.lanes {
                if let Some(value) = value(lane) {
                    let labels =
                        [("destination", &*destination.name), ("id", &destination.id), ("lane", lane.lane)];
                    out.sample(name, &labels, value);
                }
            }
        }
    }
    out.family("envoi_in_flight", "gauge", "Requests to the upstream that run.");
    for destination in &view.destinations {
        let labels = [("destination", &*destination.name), ("id", &destination.id)];
        out.sample("envoi_in_flight", &labels, destination.in_flight);
    }
    out.family("envoi_attempts_total", "counter", "Requests to the upstream that were begun.");
    for destination in &view.destinations {
        let labels = [("destination", &*destination.name), ("id", &destination.id)];
        out.sample("envoi_attempts_total", &labels, destination.attempts);
    }
    out.family("envoi_limit_seconds", "gauge", "For how much longer a rate limit is in force.");
    for destination in &view.destinations {
        for limit in &destination.limits {
            let labels = [
                ("destination", &*destination.name),
                ("id", &destination.id),
                ("category", limit.category.as_deref().unwrap_or("all")),
            ];
            out.sample("envoi_limit_seconds", &labels, limit.seconds);
        }
    }
    out.family("envoi_disk_bytes", "gauge", "Bytes of disk buffers.");
    for destination in &view.destinations {
        if let Some(disk) = &destination.disk {
            let labels = [("destination", &*destination.name), ("id", &destination.id)];
            out.sample("envoi_disk_bytes", &labels, disk.bytes);
        }
    }
}

/// An account of one destination, with the labels that name it.
struct Entry<'a> {
    labels: [(&'a str, &'a str); 3],
    account: &'a AccountView,
}

fn ledgers(out: &mut Families, view: &View) {
    let entries: Vec<Entry<'_>> = view
        .destinations
        .iter()
        .flat_map(|destination| {
            destination.ledger.iter().map(|account| Entry {
                labels: [
                    ("destination", &destination.name),
                    ("id", &destination.id),
                    ("category", &account.category),
                ],
                account,
            })
        })
        .collect();
    out.family("envoi_items_posted_total", "counter", "Items taken on, by category.");
    for entry in &entries {
        out.sample("envoi_items_posted_total", &entry.labels, entry.account.posted);
    }
    out.family("envoi_items_delivered_total", "counter", "Items that the upstream has.");
    for entry in &entries {
        out.sample("envoi_items_delivered_total", &entry.labels, entry.account.delivered);
    }
    out.family("envoi_items_refused_total", "counter", "Items that the upstream refused, by status.");
    for Entry { labels: [destination, id, category], account } in &entries {
        for (status, quantity) in &account.refused {
            let labels = [*destination, *id, *category, ("status", &*status.to_string())];
            out.sample("envoi_items_refused_total", &labels, quantity);
        }
    }
    out.family("envoi_items_lost_total", "counter", "Items that were lost on the way, by reason.");
    for Entry { labels: [destination, id, category], account } in &entries {
        for (reason, quantity) in &account.lost {
            let labels = [*destination, *id, *category, ("reason", &**reason)];
            out.sample("envoi_items_lost_total", &labels, quantity);
        }
    }
    out.family("envoi_items_held", "gauge", "Items that are queued, stored or on their way.");
    for entry in &entries {
        if let Some(held) = entry.account.held {
            out.sample("envoi_items_held", &entry.labels, held);
        }
    }
}
