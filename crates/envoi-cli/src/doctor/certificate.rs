//! The certificates of a server, as far as a reader wants to know them.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use envoi::envelope::rfc3339;
use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::reply::rough;
use super::sheet::{Step, Verdict};

/// Before so much of its life is left, a certificate should have been renewed.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// How many names of one are shown.
const MOST_NAMES: usize = 5;

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    subject: String,
    issuer: String,
    names: Vec<String>,
    from: SystemTime,
    until: SystemTime,
}

impl Certificate {
    /// Reads DER. What is none is nothing: whether it can be believed was for the handshake to say.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, found) = X509Certificate::from_der(der).ok()?;
        let alternatives = found.subject_alternative_name().ok().flatten();
        let names = alternatives.iter().flat_map(|names| &names.value.general_names).filter_map(name);
        Some(Self {
            subject: found.subject().to_string(),
            issuer: found.issuer().to_string(),
            names: names.collect(),
            from: time(found.validity().not_before.timestamp()),
            until: time(found.validity().not_after.timestamp()),
        })
    }

    /// In one line.
    fn line(&self) -> String {
        let mut names: Vec<&str> = self.names.iter().map(String::as_str).take(MOST_NAMES).collect();
        if self.names.len() > MOST_NAMES {
            names.push("…");
        }
        let subject = match (self.subject.is_empty(), names.is_empty()) {
            (true, _) => names.join(", "),
            (false, true) => self.subject.clone(),
            (false, false) => format!("{} for {}", self.subject, names.join(", ")),
        };
        format!(
            "{subject}; issued by {}; valid from {} until {}",
            self.issuer,
            day(self.from),
            day(self.until)
        )
    }

    fn json(&self) -> Value {
        json!({
            "subject": self.subject,
            "issuer": self.issuer,
            "names": self.names,
            "not_before": rfc3339(self.from),
            "not_after": rfc3339(self.until),
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()?;
            Some(address.to_string())
        }
        _ => None,
    }
}

/// What is before 1970 or beyond all calendars is moved to the nearest that can be shown.
fn time(seconds: i64) -> SystemTime {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn day(time: SystemTime) -> String {
    rfc3339(time).chars().take_while(|letter| *letter != 'T').collect()
}

/// Adds the chain to the step about TLS, and a warning if the server's own ends soon.
pub(crate) fn shown(mut step: Step, chain: &[Vec<u8>], wall: SystemTime) -> Step {
    let found: Vec<Certificate> = chain.iter().filter_map(|der| Certificate::read(der)).collect();
    for certificate in &found {
        step = step.note(certificate.line());
    }
    if let Some(left) = found.first().and_then(|own| own.until.duration_since(wall).ok())
        && left < SOON
    {
        step.verdict = Verdict::Warning;
        step = step.advice(Some(format!(
            "the server's certificate ends in {}: renew it on the server",
            rough(left)
        )));
    }
    step.detail("certificates", found.iter().map(Certificate::json).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::sheet::Part;
    use envoi_testkit::tls::{Authority, Validity};
    use proptest::prelude::*;

    /// The DER in a PEM text.
    fn der(pem: &str) -> Vec<u8> {
        let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        block.contents
    }

    fn step(chain: &[Vec<u8>], wall: SystemTime) -> Step {
        shown(Step::new(Part::Tls, Verdict::Ok, "agreed"), chain, wall)
    }

    /// TR-5: whose it is, who vouches for it, and how long.
    #[test]
    fn a_certificate_is_told() {
        let authority = Authority::new("company CA");
        let server = der(authority.issue(&["sentry.test", "10.0.0.1", "::1"], Validity::Current).pem());
        let found = Certificate::read(&server).unwrap();
        assert_eq!(found.names, ["sentry.test", "10.0.0.1", "::1"]);
        assert!(found.issuer.contains("company CA"), "{found:?}");
        assert!(found.line().ends_with("valid from 2020-01-01 until 2120-01-01"), "{}", found.line());
        assert_eq!(found.json()["not_after"], "2120-01-01T00:00:00.000Z");
    }

    /// TR-5: one that ends soon is a warning before it is an outage.
    #[test]
    fn an_end_that_is_near_is_a_warning() {
        let authority = Authority::new("CA");
        let server = der(authority.for_localhost().pem());
        let until = Certificate::read(&server).unwrap().until;
        let day = Duration::from_secs(24 * 60 * 60);
        for (left, verdict) in [(13 * day, Verdict::Warning), (15 * day, Verdict::Ok)] {
            let step = step(std::slice::from_ref(&server), until - left);
            assert_eq!(step.verdict, verdict, "{step:?}");
            let advised = step.lines().iter().any(|line| line.contains("ends in 13 days"));
            assert_eq!(advised, verdict == Verdict::Warning);
        }
    }

    proptest! {
        /// EN-3: a server may show what it likes.
        #[test]
        fn any_bytes_are_survived(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), noise: Vec<u8>) {
            let mut damaged = der(Authority::new("CA").for_localhost().pem());
            for (place, byte) in flips {
                let place = place.index(damaged.len());
                damaged[place] = byte;
            }
            let step = step(&[damaged, noise], SystemTime::UNIX_EPOCH);
            prop_assert!(step.lines().iter().all(|line| !line.contains('\n')));
        }
    }
}
