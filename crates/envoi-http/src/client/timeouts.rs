use std::time::Duration;

/// How long the phases of an attempt may take (TR-9).
///
/// Each limit that is passed is a [`TimedOut`](super::TimedOut) with its phase. What belongs to the connection
/// (`resolve`, `connect`, `tls`) is for the connectors to keep; the rest is kept by the client.
///
/// ```
/// use envoi_http::client::Timeouts;
/// use std::time::Duration;
/// let timeouts = Timeouts::new().connect(Duration::from_secs(2)).first_byte(None);
/// assert_eq!(timeouts.tls, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "settings do nothing until they are given to a builder"]
pub struct Timeouts {
    /// The name look-up: 5 s.
    pub resolve: Duration,
    /// The TCP connection, all addresses of the name together: 5 s.
    pub connect: Duration,
    /// The TLS handshake: 10 s.
    pub tls: Duration,
    /// A proxy's answer: 10 s.
    pub proxy: Duration,
    /// How long the server may take nothing more of the request while it is written: 15 s. A large request that makes
    /// progress is not cut by it.
    pub write: Option<Duration>,
    /// From the end of the request to the head of the reply: no limit but that of the attempt.
    pub first_byte: Option<Duration>,
    /// All of it, a second sending by the client itself included: 30 s.
    pub attempt: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::new()
    }
}

impl Timeouts {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            resolve: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            tls: Duration::from_secs(10),
            proxy: Duration::from_secs(10),
            write: Some(Duration::from_secs(15)),
            first_byte: None,
            attempt: Some(Duration::from_secs(30)),
        }
    }

    /// Replaces the limit for the name look-up.
    pub const fn resolve(mut self, limit: Duration) -> Self {
        self.resolve = limit;
        self
    }

    /// Replaces the limit for the TCP connection.
    pub const fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// Replaces the limit for the TLS handshake.
    pub const fn tls(mut self, limit: Duration) -> Self {
        self.tls = limit;
        self
    }

    /// Replaces the limit for a proxy's answer.
    pub const fn proxy(mut self, limit: Duration) -> Self {
        self.proxy = limit;
        self
    }

    /// Replaces the limit for a standstill of the writing; `None` is none.
    pub const fn write(mut self, limit: Option<Duration>) -> Self {
        self.write = limit;
        self
    }

    /// Replaces the limit for the wait for the reply; `None` is none.
    pub const fn first_byte(mut self, limit: Option<Duration>) -> Self {
        self.first_byte = limit;
        self
    }

    /// Replaces the limit for the whole attempt; `None` is none.
    pub const fn attempt(mut self, limit: Option<Duration>) -> Self {
        self.attempt = limit;
        self
    }
}
