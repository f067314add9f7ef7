use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use envoi_core::DiscardReason;
use serde_json::{Map, Value};

use crate::DataCategory;

/// The most bytes that the payload of a report may have (CR-8).
pub const MAX_REPORT_BYTES: usize = 4 * 1024;

/// The most that one entry may say. Servers read 32 bits and refuse the whole report otherwise.
pub(super) const MAX_QUANTITY: u64 = u32::MAX as u64;

/// Foreign reports above this are not read; a server refuses them long before.
const MAX_FOREIGN_BYTES: usize = 16 * MAX_REPORT_BYTES;

/// The payload of a `client_report` item.
///
/// We only ever emit `timestamp` and `discarded_events`. The other lists are the business of relays: they are kept
/// when a report is read, so that it can be forwarded (CR-8).
///
/// ```
/// use envoi_envelope::reports::ClientReport;
/// let json = r#"{"timestamp":1.5,"discarded_events":[{"reason":"ratelimit_backoff","category":"error","quantity":4}]}"#;
/// let report = ClientReport::parse(json.as_bytes())?;
/// assert_eq!(report.discarded_events[0].quantity, 4);
/// # Ok::<(), envoi_envelope::reports::ReportError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ClientReport {
    /// When the report was made.
    pub timestamp: Option<ReportTime>,
    /// What the client lost.
    pub discarded_events: Vec<Discarded>,
    /// What a relay held back under rate limits. Never emitted by us.
    pub rate_limited_events: Vec<Discarded>,
    /// What a relay filtered. Never emitted by us.
    pub filtered_events: Vec<Discarded>,
    /// What a relay sampled out. Never emitted by us.
    pub filtered_sampling_events: Vec<Discarded>,
}

/// One entry of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// Why.
    pub reason: DiscardReason,
    /// What.
    pub category: DataCategory,
    /// How much, in the unit of the category.
    pub quantity: u64,
}

/// When a report was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportTime {
    /// A number of seconds since 1970, read and written to the millisecond.
    At(SystemTime),
    /// A text, such as an RFC 3339 date, kept as it is.
    Text(String),
}

impl ClientReport {
    /// The lists and their names, in the order in which they are written.
    fn lists(&self) -> [(&'static str, &[Discarded]); 4] {
        [
            ("discarded_events", &self.discarded_events),
            ("rate_limited_events", &self.rate_limited_events),
            ("filtered_events", &self.filtered_events),
            ("filtered_sampling_events", &self.filtered_sampling_events),
        ]
    }

    /// Distributes entries over reports of at most [`MAX_REPORT_BYTES`] each (CR-8). No entry of ours is too long
    /// for one, because names are bounded.
    pub(super) fn pack(time: &ReportTime, rows: Vec<Discarded>) -> Vec<Self> {
        let empty = Self { timestamp: Some(time.clone()), ..Self::default() };
        let frame = empty.to_json().len();
        let mut reports: Vec<Self> = Vec::new();
        let mut size = usize::MAX;
        for row in rows {
            let length = row.to_json().len() + 1; // and a comma
            if size.saturating_add(length) > MAX_REPORT_BYTES {
                reports.push(empty.clone());
                size = frame;
            }
            size += length;
            if let Some(report) = reports.last_mut() {
                report.discarded_events.push(row);
            }
        }
        reports
    }

    /// The payload as JSON. Lists of relays are written only if there is something in them.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::from("{");
        match &self.timestamp {
            Some(ReportTime::At(time)) => {
                let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                // Writing to a string does not fail.
                let _ = write!(json, "\"timestamp\":{}.{:03},", since.as_secs(), since.subsec_millis());
            }
            Some(ReportTime::Text(text)) => {
                let _ = write!(json, "\"timestamp\":{},", quote(text));
            }
            None => {}
        }
        let lists = self.lists();
        let written =
            lists.iter().enumerate().filter(|(position, (_, rows))| *position == 0 || !rows.is_empty());
        for (position, (name, rows)) in written {
            let rows: Vec<_> = rows.iter().map(Discarded::to_json).collect();
            let comma = if position == 0 { "" } else { "," };
            let _ = write!(json, "{comma}\"{name}\":[{}]", rows.join(","));
        }
        json.push('}');
        json
    }

    /// Reads the payload of a report, ours or foreign. An entry that is not one is skipped, its neighbours count; so
    /// is every field that we do not know.
    ///
    /// # Errors
    /// When the payload is not a JSON object, or longer than 64 KiB.
    pub fn parse(payload: &[u8]) -> Result<Self, ReportError> {
        if payload.len() > MAX_FOREIGN_BYTES {
            return Err(ReportError(Cause::TooLong(payload.len())));
        }
        let object: Map<String, Value> =
            serde_json::from_slice(payload).map_err(|error| ReportError(Cause::Json(error)))?;
        let list = |name| match object.get(name) {
            Some(Value::Array(rows)) => rows.iter().filter_map(Discarded::read).collect(),
            _ => Vec::new(),
        };
        Ok(Self {
            timestamp: object.get("timestamp").and_then(ReportTime::read),
            discarded_events: list("discarded_events"),
            rate_limited_events: list("rate_limited_events"),
            filtered_events: list("filtered_events"),
            filtered_sampling_events: list("filtered_sampling_events"),
        })
    }
}

/// Visits the losses that the payload of a `client_report` item carries: its `discarded_events`, at most `u32::MAX`
/// each, which is what a server would have read. An unreadable payload carries none.
///
/// This is what puts the counts of a destroyed report back (CR-6). What relays add is not a loss of this client.
pub fn parse_discarded(payload: &[u8], mut visit: impl FnMut(DiscardReason, &DataCategory, u64)) {
    if let Ok(report) = ClientReport::parse(payload) {
        for row in report.discarded_events {
            visit(row.reason, &row.category, row.quantity.min(MAX_QUANTITY));
        }
    }
}

impl Discarded {
    fn to_json(&self) -> String {
        let Self { reason, category, quantity } = self;
        let (reason, category) = (quote(reason.as_str()), quote(category.as_str()));
        format!(r#"{{"reason":{reason},"category":{category},"quantity":{quantity}}}"#)
    }

    fn read(row: &Value) -> Option<Self> {
        Some(Self {
            reason: row.get("reason")?.as_str()?.into(),
            category: row.get("category")?.as_str()?.into(),
            quantity: row.get("quantity")?.as_u64()?,
        })
    }
}

impl ReportTime {
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            value => {
                let since = Duration::try_from_secs_f64(value.as_f64()?).ok()?;
                // The nearest millisecond: a float may be a hair below the number that was written.
                let millis = u64::try_from((since.as_nanos() + 500_000) / 1_000_000).ok()?;
                SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).map(Self::At)
            }
        }
    }
}

fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// A client report that cannot be read.
#[derive(Debug)]
pub struct ReportError(Cause);

#[derive(Debug)]
enum Cause {
    TooLong(usize),
    Json(serde_json::Error),
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unreadable client report: ")?;
        match &self.0 {
            Cause::TooLong(length) => {
                write!(f, "{length} bytes, of which at most {MAX_FOREIGN_BYTES} are read; split it")
            }
            Cause::Json(error) => error.fmt(f),
        }
    }
}

impl Error for ReportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Cause::TooLong(_) => None,
            Cause::Json(error) => Some(error),
        }
    }
}
