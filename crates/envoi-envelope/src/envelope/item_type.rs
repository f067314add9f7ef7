use std::fmt;
use std::sync::Arc;

macro_rules! item_types {
    ($( $(#[$doc:meta])* $variant:ident $name:literal, )*) => {
        /// What an item is: an open set, unknown types are kept and forwarded (EN-4).
        ///
        /// ```
        /// use envoi_envelope::ItemType;
        /// assert_eq!(ItemType::from("check_in"), ItemType::CheckIn);
        /// assert_eq!(ItemType::from("hologram").as_str(), "hologram");
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ItemType {
            $( $(#[$doc])* $variant, )*
            /// A type of a newer protocol. Make it with `ItemType::from(name)`, so that a name that is known gives
            /// its own variant.
            Other(Arc<str>),
        }

        impl ItemType {
            /// The types that have a variant of their own, in declaration order.
            pub const KNOWN: [Self; [$( $name ),*].len()] = [$( Self::$variant ),*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $name, )*
                    Self::Other(name) => name,
                }
            }
        }

        impl From<&str> for ItemType {
            fn from(name: &str) -> Self {
                match name {
                    $( $name => Self::$variant, )*
                    _ => Self::Other(Arc::from(name)),
                }
            }
        }
    };
}

item_types! {
    /// An error or a message.
    Event "event",
    /// A transaction with its spans.
    Transaction "transaction",
    /// An update of one session.
    Session "session",
    /// Aggregated sessions.
    Sessions "sessions",
    /// A file that belongs to an event or a transaction.
    Attachment "attachment",
    /// A container of logs.
    Log "log",
    /// A log in the format of OpenTelemetry.
    OtelLog "otel_log",
    /// A container of metrics.
    TraceMetric "trace_metric",
    /// A container of spans.
    Span "span",
    /// A span in the format of OpenTelemetry.
    OtelSpan "otel_span",
    /// Traces in the format of OpenTelemetry.
    OtelTracesData "otel_traces_data",
    /// The profile of a transaction.
    Profile "profile",
    /// A chunk of a continuous profile.
    ProfileChunk "profile_chunk",
    /// The data of a replay segment; goes together with a recording.
    ReplayEvent "replay_event",
    /// The recording of a replay segment.
    ReplayRecording "replay_recording",
    /// A replay segment with a video.
    ReplayVideo "replay_video",
    /// Feedback of a user.
    Feedback "feedback",
    /// Feedback of a user about an event, in the older form.
    UserReport "user_report",
    /// A check-in of a monitor.
    CheckIn "check_in",
    /// Metrics in the text format of statsd.
    Statsd "statsd",
    /// Buckets of metrics.
    MetricBuckets "metric_buckets",
    /// Counts of what a client lost.
    ClientReport "client_report",
    /// A security report, parsed.
    Security "security",
    /// A security report as the browser sent it.
    RawSecurity "raw_security",
    /// A crash report of the Unreal engine.
    UnrealReport "unreal_report",
    /// The data of a form.
    FormData "form_data",
    /// A network error log.
    Nel "nel",
    /// A payload of an integration.
    Integration "integration",
}

impl From<String> for ItemType {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl fmt::Display for ItemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
