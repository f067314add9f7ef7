//! What an answer of the server means for whoever asks why nothing arrives. Pure.

use std::time::{Duration, SystemTime};

use envoi::DataCategory;
use envoi::core::{Explanation, Reply};
use envoi::envelope::LimitOptions;
use envoi::envelope::limits::{Limit, limits_of_reply};
use envoi::http::explain;
use http::header::{DATE, LOCATION};
use http::{StatusCode, Version};
use serde_json::{Value, json};

use super::sheet::{Part, Step, Verdict};

/// Clocks that differ by less agree: a date has seconds, and an answer is some time on its way.
const TOLERANCE: Duration = Duration::from_secs(60);

/// The step about the answer.
pub(crate) fn judge(
    reply: &Reply,
    version: Option<Version>,
    took: Option<Duration>,
    wall: SystemTime,
) -> Step {
    let status = reply.status;
    let limits = limits_of_reply(status, &reply.headers, wall, &LimitOptions::new());
    let verdict = match (status.is_success(), limits.is_empty()) {
        (true, true) => Verdict::Ok,
        (true, false) => Verdict::Warning,
        (false, _) => Verdict::Failed,
    };
    let mut words = status.to_string();
    if let Some(version) = version {
        words.push_str(&format!(" over {version:?}"));
    }
    let said = explain(reply);
    if said != Explanation::default() {
        words.push_str(&format!(": {said}"));
    }
    let mut step = Step::new(Part::Reply, verdict, words).took(took).advice(advice(reply));
    if !limits.is_empty() {
        let held: Vec<String> = limits.iter().map(held).collect();
        step = step.note(format!("limited: {}", held.join(", ")));
        if status.is_success() {
            let words =
                "the server takes nothing of these for as long: wait, or raise the quota of the project";
            step = step.advice(Some(words.to_owned()));
        }
    }
    step.detail("status", status.as_u16()).detail("limits", limits.iter().map(limit_json).collect::<Vec<_>>())
}

fn held(limit: &Limit) -> String {
    let what = limit.category.as_ref().map_or("everything", DataCategory::as_str);
    format!("{what} for {}", rough(limit.duration))
}

fn limit_json(limit: &Limit) -> Value {
    let category = limit.category.as_ref().map(DataCategory::as_str);
    json!({"category": category, "seconds": limit.duration.as_secs_f64()})
}

/// What to do about a status that is no success.
fn advice(reply: &Reply) -> Option<String> {
    let words = match reply.status {
        status if status.is_success() => return None,
        status if status.is_redirection() => {
            let place =
                reply.header(LOCATION.as_str()).map(|place| format!(" ({place})")).unwrap_or_default();
            return Some(format!("redirects are not followed: write the final address into the DSN{place}"));
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "wrong or disabled key: compare the DSN with the one in the settings of the project (Client Keys)"
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            "wrong project, path or host: compare the DSN with the one in the settings of the project, and see that \
             a reverse proxy passes /api/{project}/envelope/ on"
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "a proxy in between wants credentials: name it with --proxy http://user:password@host:port"
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            "something in front of the server refuses even a small request: raise its limit for bodies \
             (client_max_body_size in nginx)"
        }
        StatusCode::TOO_MANY_REQUESTS => {
            "the project is over its quota, or the key over its rate limit: wait, or raise it in the settings of the \
             project"
        }
        StatusCode::BAD_REQUEST => {
            "the server does not understand the request: is it Sentry, 21.9 or later, and does it speak https here \
             while the DSN says http?"
        }
        status if status.is_server_error() => {
            "the server, or what stands in front of it, is in trouble: look into its logs, and try again later"
        }
        _ => "the server, or what stands in front of it, refuses the request: look into its logs",
    };
    Some(words.to_owned())
}

/// The step about the two clocks, by the server's date; `wall` is the time at which the answer was there.
pub(crate) fn clock(reply: &Reply, wall: SystemTime) -> Step {
    let date = reply.header(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    let Some(date) = date else {
        return Step::new(Part::Clock, Verdict::Ok, "the server tells no time to compare with");
    };
    let (side, skew, seconds) = match wall.duration_since(date) {
        Ok(ahead) => ("ahead of", ahead, ahead.as_secs_f64()),
        Err(behind) => ("behind", behind.duration(), -behind.duration().as_secs_f64()),
    };
    let step = if skew < TOLERANCE {
        Step::new(Part::Clock, Verdict::Ok, "agrees with that of the server")
    } else {
        let words = format!("the clock of this machine is {} {side} that of the server", rough(skew));
        let way_out =
            "set it (NTP): times of events would be wrong, and certificates may seem to have expired";
        Step::new(Part::Clock, Verdict::Warning, words).advice(Some(way_out.to_owned()))
    };
    step.detail("ahead_seconds", seconds)
}

/// A duration as people say it.
pub(crate) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (number, unit) = match seconds {
        _ if seconds < 120.0 => (seconds.ceil(), "s"),
        _ if seconds < 7_200.0 => ((seconds / 60.0).round(), "min"),
        _ if seconds < 172_800.0 => ((seconds / 3_600.0).round(), "h"),
        _ => ((seconds / 86_400.0).round(), "days"),
    };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn reply(status: u16, headers: &[(&'static str, &str)]) -> Reply {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Reply::new(StatusCode::from_u16(status).unwrap()).with_headers(map)
    }

    fn lines(step: &Step) -> String {
        anstream::adapter::strip_str(&step.lines().join("\n")).to_string()
    }

    /// TR-7, RL-1, RL-2: each status that users ask about has words and a way out, and a limit is told with what and how long.
    #[test]
    fn every_status_has_words() {
        for (status, headers, verdict, words) in [
            (200, &[] as &[(&str, &str)], Verdict::Ok, "200 OK"),
            (
                200,
                &[("x-sentry-rate-limits", "90:error;span:org, 7200:log_item:key")],
                Verdict::Warning,
                "limited: error for 90 s, span for 90 s, log_item for 2 h",
            ),
            (301, &[("location", "https://a:b@new/")], Verdict::Failed, "into the DSN (https://***@new/)"),
            (400, &[], Verdict::Failed, "does not understand"),
            (401, &[], Verdict::Failed, "wrong or disabled key"),
            (403, &[("x-sentry-error", "no \u{e9}")], Verdict::Failed, "wrong or disabled key"),
            (403, &[("x-sentry-error", "project disabled")], Verdict::Failed, "Forbidden: project disabled"),
            (404, &[], Verdict::Failed, "wrong project, path or host"),
            (407, &[], Verdict::Failed, "wants credentials"),
            (413, &[], Verdict::Failed, "client_max_body_size"),
            (418, &[], Verdict::Failed, "refuses the request"),
            (429, &[], Verdict::Failed, "limited: everything for 60 s"),
            (429, &[("retry-after", "600")], Verdict::Failed, "limited: everything for 10 min"),
            (502, &[], Verdict::Failed, "in trouble"),
        ] {
            let step = judge(&reply(status, headers), None, None, SystemTime::UNIX_EPOCH);
            let lines = lines(&step);
            assert_eq!(step.verdict, verdict, "{lines}");
            assert!(lines.contains(words), "{words}: {lines}");
            assert_eq!(lines.contains('→'), verdict != Verdict::Ok, "{lines}");
        }
    }

    /// TR-7: a clock that is wrong is told with the side and the amount.
    #[test]
    fn clocks_are_compared() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let there = httpdate::parse_http_date(date).unwrap();
        let minute = Duration::from_secs(60);
        for (here, verdict, words) in [
            (there, Verdict::Ok, "agrees"),
            (there + minute / 2, Verdict::Ok, "agrees"),
            (there + 2 * minute, Verdict::Warning, "2 min ahead of"),
            (there - 600 * minute, Verdict::Warning, "10 h behind"),
        ] {
            let step = clock(&reply(200, &[("date", date)]), here);
            assert_eq!(step.verdict, verdict, "{step:?}");
            assert!(lines(&step).contains(words), "{}", lines(&step));
        }
        for headers in [&[] as &[(&str, &str)], &[("date", "yesterday")]] {
            assert_eq!(clock(&reply(200, headers), there).verdict, Verdict::Ok);
        }
    }
}
