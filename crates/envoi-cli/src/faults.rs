//! Faults on demand: the `--fail` words of `envoi ingest`, and which of them apply to which request.

use std::str::FromStr;
use std::time::Duration;

use envoi_testkit::ingest::Step;
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::text;

/// What `--help` says about the words.
pub(crate) const HELP: &str = "\
Faults, from the first request on; repeat --fail to combine them:
  429              answer every request with this status
  503*3            only the first three times
  every:5=500      only every fifth request
  delay=200ms      answer later
  rate=60:error:organization
                   announce a rate limit (X-Sentry-Rate-Limits)
  retry-after=30   add Retry-After, in seconds or as a date
  reset            cut the connection before an answer
  half             cut it in the middle of the status line
  garbage          answer with something that is not HTTP
  stall            take the request and never answer
`delay`, `rate` and `retry-after` add to the answer; of the others the first that applies decides.
Every word may be limited: `every:N=WORD`, `WORD*TIMES`, or both.";

/// What a word asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    /// This is the answer.
    Answer(Answer),
    /// It comes later.
    Delay(Duration),
    /// With this `X-Sentry-Rate-Limits`.
    Rate(HeaderValue),
    /// With this `Retry-After`.
    RetryAfter(HeaderValue),
}

/// An answer instead of the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This status.
    Status(StatusCode),
    /// No answer but a cut connection.
    Reset,
    /// Half an answer.
    Half,
    /// An answer that is none.
    Garbage,
    /// No answer at all.
    Stall,
}

/// An action and when it applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    action: Action,
    every: u64,
    times: Option<u64>,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(spec: &str) -> Result<Self, String> {
        let (every, rest) = match spec.strip_prefix("every:") {
            None => (1, spec),
            Some(rest) => {
                let (every, rest) =
                    rest.split_once('=').ok_or("write `every:N=WORD`, as in `every:5=500`")?;
                (positive(every)?, rest)
            }
        };
        let (word, times) = match rest.rsplit_once('*') {
            None => (rest, None),
            Some((word, times)) => (word, Some(positive(times)?)),
        };
        Ok(Self { action: action(word)?, every, times })
    }
}

fn positive(number: &str) -> Result<u64, String> {
    match number.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{number}` is not a number of times")),
    }
}

fn action(word: &str) -> Result<Action, String> {
    let value =
        |text: &str| HeaderValue::from_str(text).map_err(|_| format!("`{text}` is not a header value"));
    match word.split_once('=') {
        Some(("delay", time)) => text::duration(time).map(Action::Delay),
        Some(("rate", quota)) if !quota.is_empty() => value(quota).map(Action::Rate),
        Some(("retry-after", time)) if !time.is_empty() => value(time).map(Action::RetryAfter),
        None if word == "reset" => Ok(Action::Answer(Answer::Reset)),
        None if word == "half" => Ok(Action::Answer(Answer::Half)),
        None if word == "garbage" => Ok(Action::Answer(Answer::Garbage)),
        None if word == "stall" => Ok(Action::Answer(Answer::Stall)),
        None if word.len() == 3 && word.starts_with(['2', '3', '4', '5']) => {
            let status = word.parse().map_err(|_| format!("`{word}` is not a status"))?;
            Ok(Action::Answer(Answer::Status(status)))
        }
        _ => Err(format!(
            "`{word}` is no fault; a fault is a status such as `429`, or one of the words in --help"
        )),
    }
}

/// What is done to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The answer; `None` is the usual one.
    pub(crate) answer: Option<Answer>,
    /// How long it takes.
    pub(crate) delay: Duration,
    /// `X-Sentry-Rate-Limits`.
    pub(crate) rate: Option<HeaderValue>,
    /// `Retry-After`.
    pub(crate) retry_after: Option<HeaderValue>,
}

impl From<Plan> for Step {
    fn from(plan: Plan) -> Self {
        let mut step = match plan.answer {
            None => Self::judge(),
            Some(Answer::Status(status)) if status.is_success() => Self::reply(status),
            Some(Answer::Status(status)) => Self::reply(status).body(r#"{"detail":"asked for by --fail"}"#),
            Some(Answer::Half) => Self::reply(StatusCode::OK).cut_in_head(),
            Some(Answer::Garbage) => Self::garbage("this is not HTTP\r\n\r\n"),
            Some(Answer::Stall) => Self::stall(),
            Some(Answer::Reset) => Self::reset(),
        };
        if let Some(quota) = plan.rate {
            step = step.header(HeaderName::from_static("x-sentry-rate-limits"), quota);
        }
        if let Some(time) = plan.retry_after {
            step = step.header(RETRY_AFTER, time);
        }
        step.after(plan.delay)
    }
}

/// The rules of a run, and how far it is.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    rules: Vec<(Rule, u64)>,
    requests: u64,
}

impl Faults {
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, 0)).collect(), requests: 0 }
    }

    /// What is done to the next request.
    pub(crate) fn next(&mut self) -> Plan {
        self.requests += 1;
        let mut plan = Plan::default();
        for (rule, used) in &mut self.rules {
            let due =
                self.requests.is_multiple_of(rule.every) && rule.times.is_none_or(|times| *used < times);
            if !due || (matches!(rule.action, Action::Answer(_)) && plan.answer.is_some()) {
                continue;
            }
            *used += 1;
            match &rule.action {
                Action::Delay(time) => plan.delay += *time,
                Action::Rate(quota) => plan.rate = Some(quota.clone()),
                Action::RetryAfter(time) => plan.retry_after = Some(time.clone()),
                Action::Answer(answer) => plan.answer = Some(*answer),
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(specs: &[&str], requests: usize) -> Vec<String> {
        let mut faults = Faults::new(specs.iter().map(|spec| spec.parse().unwrap()).collect());
        (0..requests)
            .map(|_| match faults.next().answer {
                Some(Answer::Status(status)) => status.as_str().to_owned(),
                Some(other) => format!("{other:?}"),
                None => "-".to_owned(),
            })
            .collect()
    }

    #[test]
    fn words_apply_always_some_times_or_every_so_often() {
        assert_eq!(answers(&["429"], 2), ["429", "429"]);
        assert_eq!(answers(&["503*2"], 3), ["503", "503", "-"]);
        assert_eq!(answers(&["every:2=500*1"], 4), ["-", "500", "-", "-"]);
        // The first that applies decides, and only that one is used up.
        assert_eq!(answers(&["every:2=reset", "503*2"], 4), ["503", "Reset", "503", "Reset"]);
    }

    #[test]
    fn additions_go_along_with_any_answer() {
        let rules = ["rate=60:error:organization*1", "delay=200ms", "delay=1s", "429", "retry-after=7"];
        let mut faults = Faults::new(rules.map(|rule| rule.parse().unwrap()).into());
        let plan = faults.next();
        assert_eq!(plan.answer, Some(Answer::Status(StatusCode::TOO_MANY_REQUESTS)));
        assert_eq!(plan.delay, Duration::from_millis(1200));
        assert_eq!(plan.rate.unwrap(), "60:error:organization");
        assert_eq!(plan.retry_after.unwrap(), "7");
        assert_eq!(faults.next().rate, None);
    }

    #[test]
    fn nonsense_is_refused_with_a_hint() {
        for bad in
            ["", "42", "999", "099", "429*0", "429*x", "every:0=500", "every:5", "delay", "delay=x", "rate="]
        {
            assert!(bad.parse::<Rule>().is_err(), "{bad}");
        }
        assert!("boom".parse::<Rule>().unwrap_err().contains("--help"));
    }
}
