use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::DataCategory;

/// Limits by wall-clock time, to carry over a restart (RL-12): see [`RateLimits::save`](super::RateLimits::save) and
/// [`RateLimits::restore`](super::RateLimits::restore).
///
/// As JSON: `{"all":<end>,"categories":{"error":<end>}}`, ends in milliseconds since 1970, rounded up.
///
/// ```
/// use envoi_core::{Clock, SystemClock};
/// use envoi_envelope::{DataCategory, limits::{LimitsSnapshot, RateLimits}};
/// use std::time::Duration;
///
/// let (now, wall) = (SystemClock.now(), SystemClock.wall());
/// let limits = RateLimits::default();
/// limits.limit(Some(&DataCategory::Error), Duration::from_secs(60), now);
/// let json = limits.save(now, wall).to_json();
///
/// // Twenty seconds later, in the next process:
/// let limits = RateLimits::default();
/// limits.restore(&LimitsSnapshot::from_json(json.as_bytes())?, now, wall + Duration::from_secs(20));
/// assert!(limits.is_limited(&DataCategory::Error, now + Duration::from_secs(39)));
/// assert!(!limits.is_limited(&DataCategory::Error, now + Duration::from_secs(41)));
/// # Ok::<(), envoi_envelope::limits::SnapshotError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsSnapshot {
    ends: Vec<(Option<DataCategory>, SystemTime)>,
}

/// No honest snapshot is longer: there are fewer than a hundred categories.
const MAX_JSON: usize = 64 * 1024;

impl LimitsSnapshot {
    pub(super) fn new(ends: impl IntoIterator<Item = (Option<DataCategory>, SystemTime)>) -> Self {
        Self { ends: ends.into_iter().collect() }
    }

    /// What is limited until when; `None` is everything.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&DataCategory>, SystemTime)> {
        self.ends.iter().map(|(category, end)| (category.as_ref(), *end))
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut all = None;
        let mut categories = Map::new();
        for (category, end) in &self.ends {
            let Some(end) = millis(*end) else { continue };
            match category {
                None => all = Some(end),
                Some(category) => drop(categories.insert(category.as_str().to_owned(), end.into())),
            }
        }
        let mut object = Map::new();
        if let Some(all) = all {
            object.insert("all".to_owned(), all.into());
        }
        if !categories.is_empty() {
            object.insert("categories".to_owned(), categories.into());
        }
        Value::from(object).to_string()
    }

    /// From JSON. An end that is not a time is skipped; so is every member that we do not know.
    ///
    /// # Errors
    /// When it is not a JSON object, or longer than 64 KiB.
    pub fn from_json(json: &[u8]) -> Result<Self, SnapshotError> {
        if json.len() > MAX_JSON {
            return Err(SnapshotError(Cause::TooLong(json.len())));
        }
        let mut object: Map<String, Value> =
            serde_json::from_slice(json).map_err(|error| SnapshotError(Cause::Json(error)))?;
        let all = object.get("all").and_then(time).map(|end| (None, end));
        let categories = match object.remove("categories") {
            Some(Value::Object(categories)) => categories,
            _ => Map::new(),
        };
        let own = categories.iter().filter_map(|(name, end)| Some((Some(name.as_str().into()), time(end)?)));
        Ok(Self::new(all.into_iter().chain(own)))
    }
}

fn millis(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos().div_ceil(1_000_000)).ok()
}

fn time(value: &Value) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(value.as_u64()?))
}

/// Saved limits that cannot be read.
#[derive(Debug)]
pub struct SnapshotError(Cause);

#[derive(Debug)]
enum Cause {
    TooLong(usize),
    Json(serde_json::Error),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("saved rate limits are unreadable, start without them: ")?;
        match &self.0 {
            Cause::TooLong(length) => write!(f, "{length} bytes are more than the {MAX_JSON} that can be"),
            Cause::Json(error) => error.fmt(f),
        }
    }
}

impl Error for SnapshotError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Cause::TooLong(_) => None,
            Cause::Json(error) => Some(error),
        }
    }
}
