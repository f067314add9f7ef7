use std::error::Error;
use std::fmt;

use envoi_core::{Explanation, Fault, Kind};
use http::StatusCode;

/// Why a batch was lost for good (BD-7).
///
/// It displays as one line: how many items, why, and the server's words if there were any.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The server refused the credentials, 401 or 403. Correct the key; until then nothing will be delivered.
    Auth {
        /// Items lost.
        items: u64,
        /// The fault.
        fault: Fault,
    },
    /// Still rate limited after all attempts.
    RateLimited {
        /// Items lost.
        items: u64,
        /// The fault.
        fault: Fault,
    },
    /// Not sent, because a circuit breaker is open.
    BreakerOpen {
        /// Items lost.
        items: u64,
        /// The fault.
        fault: Fault,
    },
    /// The server answered with a status that another attempt would not change.
    NonRetryableStatus {
        /// The status.
        status: StatusCode,
        /// Items lost.
        items: u64,
        /// The fault.
        fault: Fault,
    },
    /// Never sent: a queue was full, or was closed before their turn came.
    Overflow {
        /// Items lost.
        items: u64,
    },
    /// Anything else: the network, a timeout, a server that failed, after all attempts; or something local.
    Other {
        /// Items lost.
        items: u64,
        /// The fault; its kind and its source say more.
        fault: Fault,
    },
}

impl DeliveryError {
    /// The error for `items` that were given up because of `fault`.
    #[must_use]
    pub fn new(fault: Fault, items: u64) -> Self {
        match (fault.kind(), fault.status()) {
            (Kind::Unauthorized, _) => Self::Auth { items, fault },
            (Kind::RateLimited, _) => Self::RateLimited { items, fault },
            (Kind::CircuitOpen, _) => Self::BreakerOpen { items, fault },
            // A request timeout was tried again, in vain.
            (Kind::Rejected, Some(status)) if status != StatusCode::REQUEST_TIMEOUT => {
                Self::NonRetryableStatus { status, items, fault }
            }
            _ => Self::Other { items, fault },
        }
    }

    /// How many items were lost.
    #[must_use]
    pub const fn items(&self) -> u64 {
        match self {
            Self::Auth { items, .. }
            | Self::RateLimited { items, .. }
            | Self::BreakerOpen { items, .. }
            | Self::NonRetryableStatus { items, .. }
            | Self::Overflow { items }
            | Self::Other { items, .. } => *items,
        }
    }

    /// The fault, unless the items never left a queue.
    #[must_use]
    pub const fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Auth { fault, .. }
            | Self::RateLimited { fault, .. }
            | Self::BreakerOpen { fault, .. }
            | Self::NonRetryableStatus { fault, .. }
            | Self::Other { fault, .. } => Some(fault),
            Self::Overflow { .. } => None,
        }
    }

    /// The fault by value.
    #[must_use]
    pub fn into_fault(self) -> Option<Fault> {
        match self {
            Self::Auth { fault, .. }
            | Self::RateLimited { fault, .. }
            | Self::BreakerOpen { fault, .. }
            | Self::NonRetryableStatus { fault, .. }
            | Self::Other { fault, .. } => Some(fault),
            Self::Overflow { .. } => None,
        }
    }

    /// The status of the server's reply, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.fault().and_then(Fault::status)
    }

    /// What the server said, if it did (TR-7).
    #[must_use]
    pub fn explanation(&self) -> Option<&Explanation> {
        self.fault().and_then(Fault::explanation)
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self.items();
        write!(f, "{items} {} lost: ", if items == 1 { "item" } else { "items" })?;
        match self.fault() {
            Some(fault) => fault.fmt(f),
            None => f.write_str("the queue was full, or was closed before their turn came"),
        }
    }
}

/// The source is that of the fault, whose words are in the message already.
impl Error for DeliveryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault().and_then(Error::source)
    }
}

#[cfg(test)]
mod tests {
    use envoi_core::Reply;

    use super::*;

    fn name(fault: Fault) -> &'static str {
        match DeliveryError::new(fault, 1) {
            DeliveryError::Auth { .. } => "auth",
            DeliveryError::RateLimited { .. } => "rate limited",
            DeliveryError::BreakerOpen { .. } => "breaker open",
            DeliveryError::NonRetryableStatus { .. } => "status",
            DeliveryError::Overflow { .. } => "overflow",
            DeliveryError::Other { .. } => "other",
        }
    }

    /// BD-7: the typed error of each fault.
    #[test]
    fn table_of_errors() {
        let replied =
            |kind, code| Fault::new(kind).with_reply(Reply::new(StatusCode::from_u16(code).unwrap()));
        assert_eq!(name(replied(Kind::Unauthorized, 401)), "auth");
        assert_eq!(name(replied(Kind::Unauthorized, 403)), "auth");
        assert_eq!(name(replied(Kind::RateLimited, 429)), "rate limited");
        assert_eq!(name(Fault::new(Kind::CircuitOpen)), "breaker open");
        assert_eq!(name(replied(Kind::Rejected, 400)), "status");
        assert_eq!(name(replied(Kind::Rejected, 413)), "status");
        assert_eq!(name(replied(Kind::Rejected, 301)), "status");
        assert_eq!(name(replied(Kind::Rejected, 408)), "other");
        assert_eq!(name(replied(Kind::Server, 503)), "other");
        assert_eq!(name(replied(Kind::Proxy, 407)), "other");
        for kind in [Kind::Connect, Kind::Timeout, Kind::Tls, Kind::Encode, Kind::Halted, Kind::Rejected] {
            assert_eq!(name(Fault::new(kind)), "other");
        }
    }

    /// BD-7, TR-7: the message says how much, why, and what the server said; the source is the cause.
    #[test]
    fn the_message_says_it_all() {
        let explanation = Explanation { detail: Some("no such project".into()), ..Explanation::default() };
        let fault = Fault::caused_by(Kind::Rejected, "deep down")
            .with_reply(Reply::new(StatusCode::NOT_FOUND))
            .with_explanation(explanation.clone());
        let error = DeliveryError::new(fault, 20);
        assert_eq!(
            error.to_string(),
            "20 items lost: the server refused the payload (404 Not Found): no such project"
        );
        assert_eq!(error.explanation(), Some(&explanation));
        assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
        assert_eq!(error.source().unwrap().to_string(), "deep down");
        assert_eq!(error.into_fault().unwrap().kind(), Kind::Rejected);
        let overflow = DeliveryError::Overflow { items: 1 };
        assert_eq!(
            overflow.to_string(),
            "1 item lost: the queue was full, or was closed before their turn came"
        );
        assert!(overflow.source().is_none() && overflow.into_fault().is_none());
    }
}
