use std::fmt;
use std::sync::Arc;

/// One line per category: variant, name on the wire, role, meaning. Everything else is derived from this table, so
/// that a new category is one line.
macro_rules! categories {
    ($( $(#[$doc:meta])* $variant:ident $name:literal $role:ident, )*) => {
        /// What limits and losses are counted under: the data categories of Sentry, an open set.
        ///
        /// Names are case-sensitive (decision 4), and unknown ones are kept as they are. A category is not an item
        /// type: one item may be counted under several.
        ///
        /// ```
        /// use envoi_envelope::DataCategory;
        /// assert_eq!(DataCategory::LogItem.as_str(), "log_item");
        /// assert_eq!(DataCategory::from("log_item"), DataCategory::LogItem);
        /// assert_eq!(DataCategory::from("user_report_v2"), DataCategory::Feedback); // an alias
        /// assert_eq!(DataCategory::from("teapot").as_str(), "teapot"); // unknown names are kept
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DataCategory {
            $( $(#[$doc])* $variant, )*
            /// A category of a newer protocol. Make it with `DataCategory::from(name)`, so that a name that is
            /// known gives its own variant.
            Other(Arc<str>),
        }

        /// The categories without data, to number them.
        #[repr(usize)]
        enum Position { $( $variant, )* }

        impl DataCategory {
            /// The categories that have a variant of their own, in declaration order.
            pub const KNOWN: [Self; [$( $name ),*].len()] = [$( Self::$variant ),*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $name, )*
                    Self::Other(name) => name,
                }
            }

            fn role(&self) -> Role {
                match self {
                    $( Self::$variant => Role::$role, )*
                    Self::Other(_) => Role::Server,
                }
            }

            /// The position in [`Self::KNOWN`], also for a known name that hides in `Other`.
            pub(crate) fn index(&self) -> Option<usize> {
                match self {
                    $( Self::$variant => Some(Position::$variant as usize), )*
                    Self::Other(name) => match Self::known(name)? {
                        Self::Other(_) => None,
                        known => known.index(),
                    },
                }
            }

            /// The category with this name, if it has a variant. Does not allocate.
            pub(crate) fn known(name: &str) -> Option<Self> {
                match name {
                    $( $name => Some(Self::$variant), )*
                    "user_report_v2" => Some(Self::Feedback),
                    _ => None,
                }
            }
        }
    };
}

/// Who has to do with a category.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A client sends such data, and a limit of this name holds it.
    Limited,
    /// A client may count under it, but no limit of this name holds anything (decision 10, RL-9).
    Counted,
    /// Only servers use it.
    Server,
}

categories! {
    /// Error events, in number.
    Error "error" Limited,
    /// Transactions, in number.
    Transaction "transaction" Limited,
    /// Spans, in number, those inside transactions included.
    Span "span" Limited,
    /// Attachments, in bytes.
    Attachment "attachment" Limited,
    /// Attachments, in number.
    AttachmentItem "attachment_item" Limited,
    /// Session updates, in number.
    Session "session" Limited,
    /// Profiles of transactions, in number.
    Profile "profile" Limited,
    /// Profiles of backend platforms, in number.
    ProfileBackend "profile_backend" Limited,
    /// Profiles of platforms with a user interface, in number.
    ProfileUi "profile_ui" Limited,
    /// Chunks of continuous profiles of backend platforms, in number.
    ProfileChunk "profile_chunk" Limited,
    /// Chunks of continuous profiles of platforms with a user interface, in number.
    ProfileChunkUi "profile_chunk_ui" Limited,
    /// Continuous profiling of backend platforms, in milliseconds.
    ProfileDuration "profile_duration" Limited,
    /// Continuous profiling of platforms with a user interface, in milliseconds.
    ProfileDurationUi "profile_duration_ui" Limited,
    /// Session replays, in number of items.
    Replay "replay" Limited,
    /// Check-ins of monitors, in number.
    Monitor "monitor" Limited,
    /// User feedback, in number. `user_report_v2` is another name for it.
    Feedback "feedback" Limited,
    /// Security reports of browsers, in number.
    Security "security" Limited,
    /// Metric buckets, in number.
    MetricBucket "metric_bucket" Limited,
    /// Log entries, in number.
    LogItem "log_item" Limited,
    /// Log entries, in bytes.
    LogByte "log_byte" Limited,
    /// Trace metrics, in number.
    TraceMetric "trace_metric" Limited,
    /// Trace metrics, in bytes.
    TraceMetricByte "trace_metric_byte" Limited,
    /// Events of a type without a category of its own. A limit on it holds nothing (decision 10).
    Default "default" Counted,
    /// What the protocol itself sends, such as client reports. Only the limit on everything holds it (RL-9), and
    /// it is never reported as lost (CR-6).
    Internal "internal" Counted,
    /// Transactions after processing. Servers only.
    TransactionProcessed "transaction_processed" Server,
    /// Transactions after indexing. Servers only.
    TransactionIndexed "transaction_indexed" Server,
    /// Profiles after indexing. Servers only.
    ProfileIndexed "profile_indexed" Server,
    /// Monitors that are paid for. Servers only.
    MonitorSeat "monitor_seat" Server,
    /// Spans after indexing. Servers only.
    SpanIndexed "span_indexed" Server,
    /// Metric seconds. Servers only.
    MetricSecond "metric_second" Server,
    /// Video replays. Servers only: a client counts the item as [`DataCategory::Replay`].
    ReplayVideo "replay_video" Server,
    /// Uptime checks. Servers only.
    Uptime "uptime" Server,
    /// Automated fixes. Servers only.
    SeerAutofix "seer_autofix" Server,
    /// Automated scans. Servers only.
    SeerScanner "seer_scanner" Server,
    /// Size analyses. Servers only.
    SizeAnalysis "size_analysis" Server,
    /// Installable builds. Servers only.
    InstallableBuild "installable_build" Server,
}

impl DataCategory {
    /// Whether a client has data of this category. Those of servers only, and names that we do not know, are unknown
    /// to clients (decision 4).
    #[must_use]
    pub fn is_known_to_clients(&self) -> bool {
        self.role() != Role::Server
    }

    /// Whether a rate limit of this name holds anything back. Limits of other names are ignored (RL-4, RL-9,
    /// decisions 4 and 10).
    ///
    /// ```
    /// use envoi_envelope::DataCategory;
    /// assert!(DataCategory::Error.is_limitable());
    /// assert!(!DataCategory::Internal.is_limitable()); // only the limit on everything holds it
    /// assert!(!DataCategory::SpanIndexed.is_limitable()); // a client has no such data
    /// ```
    #[must_use]
    pub fn is_limitable(&self) -> bool {
        self.role() == Role::Limited
    }
}

impl From<String> for DataCategory {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl From<&str> for DataCategory {
    fn from(name: &str) -> Self {
        Self::known(name).unwrap_or_else(|| Self::Other(Arc::from(name)))
    }
}

impl fmt::Display for DataCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decision 4: names are read as they are written, and only so.
    #[test]
    fn every_known_name_reads_back_and_others_are_kept() {
        for (position, category) in DataCategory::KNOWN.into_iter().enumerate() {
            assert_eq!(DataCategory::from(category.as_str()), category);
            assert_eq!(category.index(), Some(position));
            assert_eq!(category.to_string(), category.as_str());
            let upper = category.as_str().to_uppercase();
            assert_eq!(DataCategory::from(&*upper), DataCategory::Other(upper.into()));
        }
        assert_eq!(DataCategory::from(""), DataCategory::Other("".into()));
        assert_eq!(DataCategory::from("user_report_v2"), DataCategory::Feedback);
        assert_eq!(DataCategory::Other("user_report_v2".into()).index(), DataCategory::Feedback.index());
        assert_eq!(DataCategory::Other("teapot".into()).index(), None);
    }

    /// Decision 4, decision 10, RL-9: what a limit can hold.
    #[test]
    fn categories_of_servers_are_unknown_to_clients() {
        for server in ["span_indexed", "transaction_processed", "replay_video", "uptime", "teapot"] {
            assert!(!DataCategory::from(server).is_known_to_clients(), "{server}");
            assert!(!DataCategory::from(server).is_limitable(), "{server}");
        }
        for counted in [DataCategory::Default, DataCategory::Internal] {
            assert!(counted.is_known_to_clients() && !counted.is_limitable(), "{counted}");
        }
        for limited in ["error", "log_byte", "attachment_item", "security", "profile_duration_ui"] {
            assert!(DataCategory::from(limited).is_limitable(), "{limited}");
        }
    }
}
