use std::borrow::Cow;
use std::fmt;

/// What events are counted as in the books: an open set, so that a disk buffer may bring back names that this version does
/// not know.
///
/// ```
/// use envoi_batch::Category;
/// assert_eq!(Category::from("event".to_owned()), Category::EVENT);
/// assert_eq!(Category::from("audit").as_str(), "audit");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Category(Cow<'static, str>);

impl Category {
    /// An event: what every [`Batch`](crate::Batch) is made of.
    pub const EVENT: Self = Self(Cow::Borrowed("event"));

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Category {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl From<String> for Category {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
