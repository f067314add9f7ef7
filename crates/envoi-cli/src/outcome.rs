//! What became of one envelope.

use envoi::Envelope;
use envoi::core::{Explanation, Failure, Fate, Fault, Kind, Receipt};
use envoi::http::accepted_id;
use serde_json::{Value, json};

use crate::error;
use crate::output::{self, paint};
use crate::text;

/// The classes of outcomes, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// The server took it.
    Delivered,
    /// The server refused it.
    Refused,
    /// A rate limit stopped it: the server's 429, or a limit known beforehand.
    Limited,
    /// It did not get through.
    Failed,
    /// It is no envelope.
    Malformed,
    /// It could not be read.
    Unreadable,
    /// It holds nothing to send.
    Empty,
    /// It stays in the disk buffer.
    Kept,
    /// The user stopped the command before its turn came.
    Unsent,
}

impl Class {
    pub(crate) const ALL: [Self; 9] = [
        Self::Delivered,
        Self::Refused,
        Self::Limited,
        Self::Failed,
        Self::Malformed,
        Self::Unreadable,
        Self::Empty,
        Self::Kept,
        Self::Unsent,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Failed => "failed",
            Self::Malformed => "malformed",
            Self::Unreadable => "unreadable",
            Self::Empty => "empty",
            Self::Kept => "kept",
            Self::Unsent => "unsent",
        }
    }

    /// Whether it says something about the one file, rather than about the server or the network.
    pub(crate) const fn is_about_the_file(self) -> bool {
        matches!(self, Self::Refused | Self::Malformed | Self::Unreadable | Self::Empty)
    }

    pub(crate) const fn style(self) -> anstyle::Style {
        match self {
            Self::Delivered => output::GOOD,
            Self::Limited | Self::Empty | Self::Kept | Self::Unsent => output::WARN,
            Self::Refused | Self::Failed | Self::Malformed | Self::Unreadable => output::BAD,
        }
    }
}

/// Why an envelope is malformed, as the parser says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Defect {
    /// The kind of error.
    pub(crate) kind: String,
    /// What was being read.
    pub(crate) stage: String,
    /// The number of the item, from 0.
    pub(crate) item: Option<u64>,
    /// The byte.
    pub(crate) offset: Option<u64>,
    /// In words.
    pub(crate) message: String,
}

impl Defect {
    /// The error object that `inspect` and `send` print for machines.
    pub(crate) fn json(&self) -> Value {
        json!({
            "kind": self.kind,
            "stage": self.stage,
            "item": self.item,
            "offset": self.offset,
            "message": self.message,
        })
    }
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// With the status, and the id that the server gave.
    Delivered { status: Option<http::StatusCode>, id: Option<String> },
    /// With what the server said.
    Refused { status: http::StatusCode, words: Explanation },
    /// By the server's 429, or with `None` by a limit that was known beforehand.
    Limited { status: Option<http::StatusCode>, words: Explanation },
    /// With a short name of the cause, and the cause in words.
    Failed { kind: String, cause: String },
    /// With where and why.
    Malformed(Defect),
    /// With the cause.
    Unreadable(String),
    /// Without items.
    Empty,
    /// With what keeps it from the server, so that it stays in the disk buffer.
    Kept(String),
    /// Not tried.
    Unsent,
}

impl Verdict {
    /// What an attempt came to.
    pub(crate) fn of(answer: &Result<Receipt, Failure<Envelope>>) -> Self {
        match answer {
            Ok(receipt) if receipt.fate() == Fate::Spent => {
                Self::Limited { status: None, words: Explanation::default() }
            }
            Ok(receipt) => {
                let reply = receipt.reply();
                Self::Delivered { status: reply.map(|reply| reply.status), id: reply.and_then(accepted_id) }
            }
            Err(failure) => Self::of_fault(failure.fault()),
        }
    }

    /// What a fault comes to.
    pub(crate) fn of_fault(fault: &Fault) -> Self {
        let words = fault.explanation().cloned().unwrap_or_default();
        match fault.status() {
            None if fault.kind() == Kind::Halted => Self::interrupted(),
            status if fault.kind() == Kind::RateLimited => Self::Limited { status, words },
            Some(status) => Self::Refused { status, words },
            None => Self::Failed {
                kind: format!("{:?}", fault.kind()).to_lowercase(),
                cause: error::chain(fault),
            },
        }
    }

    /// The user did not wait for the answer.
    pub(crate) fn interrupted() -> Self {
        let cause = "interrupted; it may have arrived".to_owned();
        Self::Failed { kind: "interrupted".to_owned(), cause }
    }
}

/// One envelope and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The file.
    pub(crate) file: String,
    /// The id of the event, if the envelope has one.
    pub(crate) event_id: Option<String>,
    /// How many items the verdict is about.
    pub(crate) items: u64,
    /// How many items were held back before by a known limit.
    pub(crate) held: u64,
    /// Its size.
    pub(crate) bytes: u64,
    /// How many attempts were made.
    pub(crate) attempts: u32,
    /// What happened.
    pub(crate) verdict: Verdict,
}

/// The most letters of foreign words in one line.
const MOST_WORDS: usize = 200;

impl Outcome {
    /// An outcome of something that never became an envelope.
    pub(crate) const fn without_envelope(file: String, bytes: u64, verdict: Verdict) -> Self {
        Self { file, event_id: None, items: 0, held: 0, bytes, attempts: 0, verdict }
    }

    pub(crate) const fn class(&self) -> Class {
        match &self.verdict {
            Verdict::Delivered { .. } => Class::Delivered,
            Verdict::Refused { .. } => Class::Refused,
            Verdict::Limited { .. } => Class::Limited,
            Verdict::Failed { .. } => Class::Failed,
            Verdict::Malformed(_) => Class::Malformed,
            Verdict::Unreadable(_) => Class::Unreadable,
            Verdict::Empty => Class::Empty,
            Verdict::Kept(_) => Class::Kept,
            Verdict::Unsent => Class::Unsent,
        }
    }

    /// Why, in words that many outcomes may share. Not yet clean.
    pub(crate) fn reason(&self) -> String {
        let reason = match &self.verdict {
            Verdict::Delivered { status, .. } => status.map(|status| status.to_string()).unwrap_or_default(),
            Verdict::Refused { status, words } | Verdict::Limited { status: Some(status), words } => {
                if words.is_empty() { status.to_string() } else { format!("{status}: {words}") }
            }
            Verdict::Limited { status: None, .. } => HELD.to_owned(),
            Verdict::Failed { cause, .. } | Verdict::Unreadable(cause) | Verdict::Kept(cause) => {
                cause.clone()
            }
            Verdict::Malformed(defect) => defect.kind.clone(),
            Verdict::Empty => "no items, so there was nothing to send".to_owned(),
            Verdict::Unsent => "stopped before its turn".to_owned(),
        };
        text::shorten(&reason, MOST_WORDS).into_owned()
    }

    /// The outcome in one clean line.
    pub(crate) fn line(&self) -> String {
        let class = self.class();
        let mut line = format!("{}: {}", text::clean(&self.file), paint(class.style(), class.as_str()));
        let reason = match &self.verdict {
            Verdict::Malformed(defect) => text::shorten(&defect.message, MOST_WORDS).into_owned(),
            _ => self.reason(),
        };
        if !reason.is_empty() {
            line.push_str(": ");
            line.push_str(&text::clean(&reason));
        }
        if self.held > 0 && class != Class::Limited {
            line.push_str(&format!(" ({} {HELD})", text::count(self.held, "item")));
        }
        line
    }

    /// The outcome for machines.
    pub(crate) fn json(&self) -> Value {
        let mut value = json!({
            "type": "envelope",
            "file": self.file,
            "event_id": self.event_id,
            "items": self.items,
            "held_items": self.held,
            "bytes": self.bytes,
            "attempts": self.attempts,
            "outcome": self.class().as_str(),
        });
        let more = match &self.verdict {
            Verdict::Delivered { status, id } => {
                json!({ "status": status.map(|status| status.as_u16()), "id": id })
            }
            Verdict::Refused { status, words } => explained(Some(*status), words),
            Verdict::Limited { status, words } => explained(*status, words),
            Verdict::Failed { kind, cause } => json!({ "kind": kind, "message": cause }),
            Verdict::Malformed(defect) => json!({ "error": defect.json() }),
            Verdict::Unreadable(cause) | Verdict::Kept(cause) => json!({ "message": cause }),
            Verdict::Empty | Verdict::Unsent => json!({}),
        };
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        value
    }
}

/// What is said about items that a known limit holds back.
pub(crate) const HELD: &str = "held back by a rate limit that the server announced";

fn explained(status: Option<http::StatusCode>, words: &Explanation) -> Value {
    json!({
        "status": status.map(|status| status.as_u16()),
        "server_error": words.error,
        "detail": words.detail,
        "causes": words.causes,
    })
}
