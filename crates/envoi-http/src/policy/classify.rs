use std::error::Error;
use std::io;

use envoi_core::{Advice, BoxError, Fault, Kind, Phase};
use tower::timeout::error::Elapsed;

use crate::body::BodyError;

/// The fault of an exchange that gave no reply, by what the chain of sources tells (CR-3, decision 17).
///
/// | found in the chain | kind |
/// |---|---|
/// | a [`Fault`] (from a layer of ours or yours) | the fault as it is |
/// | tower's `Elapsed` | `Timeout` |
/// | a `TimedOut` of the client | `Timeout`, with its phase |
/// | a failed TLS handshake, also one that the server refuses late | `Tls`, with words about what to do |
/// | a body that could not be produced | `Encode`, advice to drop |
/// | an `https` address without TLS (`TlsUnavailable`) | `Tls`, advice to drop |
/// | a failed connect of the hyper client | `Connect` |
/// | `io::Error` | `Timeout`, `Connect`, `Reset` or `Io`, by its own kind |
/// | another error of hyper | `Timeout` or `Io` |
/// | nothing of these | `Other`, advice to drop |
#[must_use]
pub fn classify(error: BoxError) -> Fault {
    let error = match error.downcast::<Fault>() {
        Ok(fault) => return *fault,
        Err(error) => error,
    };
    let Finding { kind, advice, phase, message } = search(error.as_ref());
    let mut fault = Fault::caused_by(kind, error);
    if let Some(advice) = advice {
        fault = fault.with_advice(advice);
    }
    if let Some(phase) = phase {
        fault = fault.with_phase(phase);
    }
    match message {
        Some(message) => fault.with_message(message),
        None => fault,
    }
}

/// What a chain of sources tells.
struct Finding {
    kind: Kind,
    advice: Option<Advice>,
    phase: Option<Phase>,
    message: Option<String>,
}

impl From<Kind> for Finding {
    fn from(kind: Kind) -> Self {
        Self { kind, advice: None, phase: None, message: None }
    }
}

/// Walks the sources from the outside in. A type that leaves no doubt ends the walk; otherwise the innermost cause
/// counts, except that a failed connect stays one, whatever the reason.
fn search(error: &(dyn Error + 'static)) -> Finding {
    let mut found = Finding::from(Kind::Other);
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(fault) = current.downcast_ref::<Fault>() {
            return Finding {
                kind: fault.kind(),
                advice: Some(fault.advice()),
                phase: fault.phase().or(found.phase),
                message: fault.message().map(str::to_owned),
            };
        }
        if current.is::<Elapsed>() {
            return Finding { kind: Kind::Timeout, ..found };
        }
        if current.is::<BodyError>() {
            return Finding::from(Kind::Encode);
        }
        if let Some(certain) = of_client(current).or_else(|| of_tls(current)) {
            return certain;
        }
        note_phase(current, &mut found);
        if found.kind != Kind::Connect {
            found.kind = kind_of_io(current).or_else(|| kind_of_client(current)).unwrap_or(found.kind);
        }
        cause = match current.downcast_ref::<io::Error>() {
            // `source` would skip the error that it wraps.
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => current.source(),
        };
    }
    found
}

#[cfg(feature = "tls")]
fn of_tls(error: &(dyn Error + 'static)) -> Option<Finding> {
    let message = crate::tls::handshake_failure(error)?;
    // Refused, early or late: the request was not looked at.
    Some(Finding { kind: Kind::Tls, advice: None, phase: Some(Phase::Tls), message: Some(message) })
}

#[cfg(not(feature = "tls"))]
fn of_tls(_: &(dyn Error + 'static)) -> Option<Finding> {
    None
}

fn kind_of_io(error: &(dyn Error + 'static)) -> Option<Kind> {
    error.downcast_ref::<io::Error>().map(|error| error.kind().into())
}

/// What the parts of our client say without a doubt.
#[cfg(feature = "client")]
fn of_client(error: &(dyn Error + 'static)) -> Option<Finding> {
    if let Some(error) = error.downcast_ref::<crate::client::TimedOut>() {
        let (phase, message) = (Some(error.phase()), Some(error.to_string()));
        return Some(Finding { kind: Kind::Timeout, advice: None, phase, message });
    }
    let error = error.downcast_ref::<crate::client::TlsUnavailable>()?;
    let message = Some(error.to_string());
    Some(Finding { kind: Kind::Tls, advice: Some(Advice::Drop), phase: Some(Phase::Connect), message })
}

#[cfg(not(feature = "client"))]
fn of_client(_: &(dyn Error + 'static)) -> Option<Finding> {
    None
}

/// The phase that the client says the attempt had come to; something further in may know better.
#[cfg(feature = "client")]
fn note_phase(error: &(dyn Error + 'static), found: &mut Finding) {
    if let Some(error) = error.downcast_ref::<crate::client::ClientError>() {
        found.phase = Some(error.phase());
    }
}

#[cfg(not(feature = "client"))]
fn note_phase(_: &(dyn Error + 'static), _: &mut Finding) {}

#[cfg(feature = "client")]
fn kind_of_client(error: &(dyn Error + 'static)) -> Option<Kind> {
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return Some(if error.is_connect() { Kind::Connect } else { Kind::Io });
    }
    let error = error.downcast_ref::<hyper::Error>()?;
    Some(if error.is_timeout() { Kind::Timeout } else { Kind::Io })
}

#[cfg(not(feature = "client"))]
fn kind_of_client(_: &(dyn Error + 'static)) -> Option<Kind> {
    None
}
