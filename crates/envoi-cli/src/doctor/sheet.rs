//! The steps of an examination, and how they are shown.

use std::time::Duration;

use anstyle::Style;
use serde_json::{Map, Value, json};

use crate::error::Exit;
use crate::output::{BAD, DIM, GOOD, Output, WARN, paint};
use crate::text;

/// A part of the way, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Dsn,
    /// Which proxy, if any.
    Proxy,
    /// The look-up of the name of the first host.
    Name,
    Tcp,
    /// TLS to the proxy itself.
    ProxyTls,
    /// The proxy lets us through.
    Tunnel,
    Tls,
    Request,
    Reply,
    Clock,
}

impl Part {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Dsn => "dsn",
            Self::Proxy => "proxy",
            Self::Name => "name",
            Self::Tcp => "tcp",
            Self::ProxyTls => "proxy-tls",
            Self::Tunnel => "tunnel",
            Self::Tls => "tls",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Clock => "clock",
        }
    }
}

/// How a step came out, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Ok,
    Warning,
    Failed,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Ok => GOOD,
            Self::Warning => WARN,
            Self::Failed => BAD,
        }
    }
}

/// One step: what was found, how long it took, and what to do about it.
///
/// Foreign words may be in all of it: they are made safe to show where they come in, and credentials in URLs are blotted
/// out (AU-7).
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) part: Part,
    pub(crate) verdict: Verdict,
    text: String,
    took: Option<Duration>,
    notes: Vec<String>,
    advice: Option<String>,
    details: Map<String, Value>,
}

fn safe(words: impl AsRef<str>) -> String {
    text::redact(&text::clean(words.as_ref()))
}

impl Step {
    pub(crate) fn new(part: Part, verdict: Verdict, text: impl AsRef<str>) -> Self {
        Self {
            part,
            verdict,
            text: safe(text),
            took: None,
            notes: Vec::new(),
            advice: None,
            details: Map::new(),
        }
    }

    pub(crate) const fn took(mut self, took: Option<Duration>) -> Self {
        self.took = took;
        self
    }

    /// Adds a line for readers.
    pub(crate) fn note(mut self, words: impl AsRef<str>) -> Self {
        self.notes.push(safe(words));
        self
    }

    /// Adds a way out, in place of the one that was there.
    pub(crate) fn advice(mut self, words: Option<String>) -> Self {
        self.advice = words.map(safe);
        self
    }

    /// Adds something for machines. Names of the form itself are kept out by whoever calls.
    pub(crate) fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The lines for readers.
    pub(crate) fn lines(&self) -> Vec<String> {
        let took = self.took.map_or_else(String::new, |took| {
            format!(" {}", paint(DIM, format_args!("({:.1} ms)", milliseconds(took))))
        });
        let mut lines = vec![format!(
            "{}{}{took}",
            head(self.verdict.style(), self.verdict.as_str(), self.part),
            self.text
        )];
        lines.extend(self.notes.iter().map(|note| format!("{MARGIN}{}", paint(DIM, note))));
        lines.extend(self.advice.iter().map(|advice| format!("{MARGIN}→ {advice}")));
        lines
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("step".to_owned(), self.part.as_str().into());
        object.insert("verdict".to_owned(), self.verdict.as_str().into());
        object.insert("message".to_owned(), self.text.as_str().into());
        object.insert("took_ms".to_owned(), self.took.map(milliseconds).into());
        object.insert("advice".to_owned(), self.advice.as_deref().into());
        object.extend(self.details.clone());
        Value::Object(object)
    }
}

/// As wide as a head.
const MARGIN: &str = "                   ";

fn head(style: Style, verdict: &str, part: Part) -> String {
    format!("{} {:9} ", paint(style, format_args!("{verdict:8}")), part.as_str())
}

fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 10_000.0).round() / 10.0
}

/// All steps, in their order.
#[derive(Debug)]
pub(crate) struct Sheet<'a> {
    output: &'a mut Output,
    is_json: bool,
    steps: Vec<Step>,
}

impl<'a> Sheet<'a> {
    pub(crate) const fn new(output: &'a mut Output, is_json: bool) -> Self {
        Self { output, is_json, steps: Vec::new() }
    }

    /// Adds a step, and shows it at once to readers.
    pub(crate) fn add(&mut self, step: Step) {
        if !self.is_json {
            for line in step.lines() {
                self.output.line(line);
            }
        }
        self.steps.push(step);
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.steps.iter().any(|step| step.part == part)
    }

    /// Says what became of it all. Of `plan` that is told to be not checked which no step is about.
    pub(crate) fn finish(self, plan: &[Part]) -> Exit {
        let worst = self.steps.iter().map(|step| step.verdict).max().unwrap_or(Verdict::Ok);
        let left: Vec<Part> = plan.iter().copied().filter(|part| !self.has(*part)).collect();
        let broken = self.steps.iter().find(|step| step.verdict == Verdict::Failed);
        if self.is_json {
            let unchecked = left.iter().map(|part| json!({"step": part.as_str(), "verdict": "not checked"}));
            let steps: Vec<Value> = self.steps.iter().map(Step::json).chain(unchecked).collect();
            self.output.json(&json!({"verdict": worst.as_str(), "steps": steps}));
        } else {
            for part in left {
                self.output.line(format_args!("{}not checked", head(DIM, "-", part)));
            }
            let style = worst.style();
            self.output.line(match (worst, broken) {
                (_, Some(step)) => paint(style, format_args!("the way is broken at: {}", step.part.as_str())),
                (Verdict::Ok, _) => {
                    paint(style, "the way is open, and the server takes envelopes with this DSN")
                }
                _ => paint(style, "the way is open, see the warnings"),
            });
        }
        Exit::when(broken.is_none())
    }
}
