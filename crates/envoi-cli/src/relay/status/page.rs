//! The page. It is whole without scripts; the script fetches it again and puts the new values in place.

use std::fmt::Write;

use super::escape::Escaped;
use super::history::EVERY;
use super::plot::plot;
use super::view::{AccountView, DestinationView, View};
use crate::text::{count, grouped};

/// `1.5 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS.get(unit).copied().unwrap_or_default())
}

/// `2 h 5 min`, the two largest units.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) if seconds.is_multiple_of(60) => format!("{minutes} min"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn wide(number: usize) -> u64 {
    number as u64
}

/// What matters most, in one sentence.
fn headline(view: &View) -> (&'static str, String) {
    let queued: usize = view.destinations.iter().map(DestinationView::queued).sum();
    let limited = view.destinations.iter().filter(|destination| !destination.limits.is_empty()).count();
    let failing = view
        .destinations
        .iter()
        .filter(|destination| destination.lanes.iter().any(|lane| lane.waiting > 0))
        .count();
    if view.stopping {
        ("warn", format!("stopping; {} left", count(wide(queued), "envelope")))
    } else if failing > 0 {
        (
            "bad",
            format!(
                "{} cannot be reached; {} wait here",
                count(wide(failing), "destination"),
                count(wide(queued), "envelope")
            ),
        )
    } else if limited > 0 {
        ("warn", format!("{} under a rate limit", count(wide(limited), "destination")))
    } else if queued > 0 {
        ("good", format!("forwarding; {} in the queue", count(wide(queued), "envelope")))
    } else {
        ("good", "up to date; nothing waits here".to_owned())
    }
}

/// The whole page.
pub(super) fn html(view: &View) -> String {
    let mut page = String::with_capacity(16 * 1024);
    page.push_str(concat!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
        "<meta name=\"color-scheme\" content=\"light dark\">\n",
        "<title>envoi relay</title>\n",
        "<link rel=\"icon\" href=\"data:,\">\n",
        "<link rel=\"stylesheet\" href=\"/status.css\">\n",
        "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n",
        "<script src=\"/status.js\" defer></script>\n",
        "</head>\n<body>\n",
    ));
    // Writing to a string does not fail.
    let _ = writeln!(
        page,
        "<header><h1>envoi relay</h1><p class=\"meta\">version {} · <a href=\"/status.json\">JSON</a> · \
         <a href=\"/metrics\">metrics</a></p></header>\n<p id=\"lost\" class=\"state bad\" role=\"alert\" hidden>The relay \
         does not answer. What is shown below is old.</p>\n<main>",
        Escaped(view.version)
    );
    summary(&mut page, view);
    throughput(&mut page, view);
    for destination in &view.destinations {
        destination_section(&mut page, destination);
    }
    if view.destinations.is_empty() {
        page.push_str(
            "<section><h2>Destinations</h2><p>None yet: the first envelope opens one.</p></section>\n",
        );
    }
    answers(&mut page, view);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn summary(page: &mut String, view: &View) {
    let (class, words) = headline(view);
    let _ = writeln!(page, "<p class=\"state {class}\">{}</p>", Escaped(&words));
    let memory = format!("{} of {}", size(wide(view.memory_bytes)), size(wide(view.memory_limit_bytes)));
    let facts = [
        ("forwards", view.upstream.clone()),
        ("listens on", view.listen.clone()),
        ("answers", view.acknowledges.to_owned()),
        ("runs for", span(view.uptime_seconds)),
        ("accepted", format!("{}, {}", count(view.accepted, "envelope"), size(view.accepted_bytes))),
        ("forwarded", count(view.forwarded, "envelope")),
        ("connections", format!("{} of {}", view.connections, view.connections_limit)),
        ("memory", memory),
        ("destinations", format!("{} of {}", view.destinations.len(), view.destinations_limit)),
    ];
    page.push_str("<dl class=\"facts\">\n");
    for (name, value) in facts {
        let _ = writeln!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", Escaped(&value));
    }
    page.push_str("</dl>\n");
    if view.not_durable > 0 {
        let _ = writeln!(
            page,
            "<p class=\"state bad\">{} not on disk when they were acknowledged: the disk had failed</p>",
            count(view.not_durable, "envelope")
        );
    }
}

fn throughput(page: &mut String, view: &View) {
    let now = view.rates.last().copied();
    let (accepted, forwarded) = now.map_or((0.0, 0.0), |rate| (rate.accepted, rate.forwarded));
    let peak = view.rates.iter().flat_map(|rate| [rate.accepted, rate.forwarded]).fold(0.0, f64::max);
    let _ = writeln!(
        page,
        "<section><h2>Throughput</h2>\n<div class=\"chart\">{}</div>\n<p class=\"legend\"><span class=\"key \
         accepted\"></span>accepted {accepted:.1}/s <span class=\"key forwarded\"></span>forwarded {forwarded:.1}/s \
         <span class=\"meta\">peak {peak:.1}/s, last 5 minutes</span></p></section>",
        plot(&view.rates, EVERY.as_secs())
    );
}

fn destination_section(page: &mut String, destination: &DestinationView) {
    let _ = writeln!(
        page,
        "<section class=\"destination\"><h2>{} <span class=\"meta\">key {}…, id {}</span></h2>",
        Escaped(&destination.name),
        Escaped(&destination.key),
        Escaped(&destination.id)
    );
    let _ = writeln!(
        page,
        "<p class=\"meta\">{} forwarded in {}, {} in flight</p>",
        count(destination.discharged, "envelope"),
        count(destination.attempts, "attempt"),
        destination.in_flight
    );
    page.push_str("<div class=\"columns\">\n");
    queue_table(page, destination);
    limits_list(page, destination);
    page.push_str("</div>\n");
    if let Some(disk) = &destination.disk {
        let _ = write!(
            page,
            "<p>Disk buffer: {}, {} in {}, {} evicted, {} corrupt",
            Escaped(&disk.state),
            count(wide(disk.entries), "envelope"),
            size(disk.bytes),
            grouped(disk.evicted),
            grouped(disk.corrupt)
        );
        match &disk.last_error {
            Some(error) => {
                let _ = writeln!(page, "; last error: <q>{}</q></p>", Escaped(error));
            }
            None => page.push_str("</p>\n"),
        }
    }
    troubles_list(page, destination);
    ledger_table(page, "Ledger", &destination.ledger);
    page.push_str("</section>\n");
}

fn queue_table(page: &mut String, destination: &DestinationView) {
    page.push_str(
        "<table><caption>Queue</caption><thead><tr><th scope=\"col\">lane</th><th scope=\"col\">envelopes</th>\
         <th scope=\"col\">bytes</th><th scope=\"col\">retrying</th><th scope=\"col\">oldest</th></tr></thead><tbody>\n",
    );
    for lane in &destination.lanes {
        let oldest = lane.oldest_seconds.map_or_else(|| "–".to_owned(), span);
        let class = if lane.envelopes > 0 { " class=\"busy\"" } else { "" };
        let _ = writeln!(
            page,
            "<tr{class}><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{oldest}</td></tr>",
            lane.lane,
            grouped(wide(lane.envelopes)),
            size(wide(lane.bytes)),
            grouped(wide(lane.waiting)),
        );
    }
    page.push_str("</tbody></table>\n");
}

fn limits_list(page: &mut String, destination: &DestinationView) {
    page.push_str("<div><h3>Rate limits</h3>\n");
    if destination.limits.is_empty() {
        page.push_str("<p>none in force</p></div>\n");
        return;
    }
    page.push_str("<ul class=\"limits\">\n");
    for limit in &destination.limits {
        let name = limit.category.as_deref().unwrap_or("everything");
        let _ = writeln!(page, "<li><b>{}</b> for {} more</li>", Escaped(name), span(limit.seconds));
    }
    page.push_str("</ul></div>\n");
}

fn troubles_list(page: &mut String, destination: &DestinationView) {
    page.push_str("<h3>Last refusals and failures</h3>\n");
    if destination.troubles.is_empty() {
        page.push_str("<p>none since the start</p>\n");
        return;
    }
    page.push_str("<ul class=\"troubles\">\n");
    for trouble in &destination.troubles {
        let status = trouble.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let times =
            if trouble.times > 1 { format!(", {} times", grouped(trouble.times)) } else { String::new() };
        let _ = writeln!(
            page,
            "<li><span class=\"status\">{status}</span> {} <span class=\"meta\">{} ago{times}</span></li>",
            Escaped(&trouble.message),
            span(trouble.ago_seconds)
        );
    }
    page.push_str("</ul>\n");
}

fn reasons<T: std::fmt::Display>(parts: &[(T, u64)]) -> String {
    let parts: Vec<String> =
        parts.iter().map(|(reason, quantity)| format!("{reason} × {}", grouped(*quantity))).collect();
    parts.join(", ")
}

fn ledger_table(page: &mut String, caption: &str, accounts: &[AccountView]) {
    if accounts.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "<div class=\"scroll\"><table class=\"ledger\"><caption>{caption}: posted = delivered + refused + lost + held</caption>\
         <thead><tr><th scope=\"col\">category</th><th scope=\"col\">posted</th><th scope=\"col\">delivered</th>\
         <th scope=\"col\">refused</th><th scope=\"col\">lost</th><th scope=\"col\">held</th></tr></thead><tbody>"
    );
    for account in accounts {
        let why = |parts: String| {
            if parts.is_empty() {
                String::new()
            } else {
                format!(" <span class=\"meta\">{}</span>", Escaped(&parts))
            }
        };
        let held = account.held.map_or_else(|| "does not balance".to_owned(), grouped);
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}{}</td><td>{}{}</td><td>{held}</td></tr>",
            Escaped(&account.category),
            grouped(account.posted),
            grouped(account.delivered),
            grouped(account.refused_total()),
            why(reasons(&account.refused)),
            grouped(account.lost_total()),
            why(reasons(&account.lost)),
        );
    }
    page.push_str("</tbody></table></div>\n");
}

fn answers(page: &mut String, view: &View) {
    page.push_str("<section><h2>Clients</h2>\n");
    let answers = reasons(&view.answers);
    let _ = writeln!(
        page,
        "<p>Answers by status: {}</p>",
        if answers.is_empty() { "none yet".to_owned() } else { answers }
    );
    if !view.refusals.is_empty() {
        let _ = writeln!(page, "<p>Not taken on: {}</p>", reasons(&view.refusals));
    }
    if view.destinations_closed > 0 {
        let _ = writeln!(
            page,
            "<p>{} closed for want of use</p>",
            count(view.destinations_closed, "destination")
        );
        ledger_table(page, "Their ledger", &view.closed);
    }
    page.push_str("</section>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_short() {
        assert_eq!(
            [0, 1023, 1024, 1536, 1 << 20, u64::MAX].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "16777215.9 TiB"]
        );
        assert_eq!(
            [0, 59, 600, 61, 3700, 90_000].map(span),
            ["0 s", "59 s", "10 min", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
        );
    }
}
