use std::error::Error;
use std::io;

use envoi_core::{Advice, BoxError, Fault, Kind};
use tower::timeout::error::Elapsed;

use crate::body::BodyError;

/// The fault of an exchange that gave no reply, by what the chain of sources tells (CR-3, decision 17).
///
/// | found in the chain | kind |
/// |---|---|
/// | a [`Fault`] (from a layer of ours or yours) | the fault as it is |
/// | tower's `Elapsed` | `Timeout` |
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
    let (kind, advice) = search(error.as_ref());
    let fault = Fault::caused_by(kind, error);
    match advice {
        Some(advice) => fault.with_advice(advice),
        None => fault,
    }
}

/// Walks the sources from the outside in. A type that leaves no doubt ends the walk; otherwise the innermost cause
/// counts, except that a failed connect stays one, whatever the reason.
fn search(error: &(dyn Error + 'static)) -> (Kind, Option<Advice>) {
    let mut kind = Kind::Other;
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(fault) = current.downcast_ref::<Fault>() {
            return (fault.kind(), Some(fault.advice()));
        }
        if current.is::<Elapsed>() {
            return (Kind::Timeout, None);
        }
        if current.is::<BodyError>() {
            return (Kind::Encode, None);
        }
        if is_tls_unavailable(current) {
            return (Kind::Tls, Some(Advice::Drop));
        }
        if kind != Kind::Connect {
            kind = kind_of_io(current).or_else(|| kind_of_client(current)).unwrap_or(kind);
        }
        cause = match current.downcast_ref::<io::Error>() {
            // `source` would skip the error that it wraps.
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => current.source(),
        };
    }
    (kind, None)
}

fn kind_of_io(error: &(dyn Error + 'static)) -> Option<Kind> {
    error.downcast_ref::<io::Error>().map(|error| error.kind().into())
}

#[cfg(feature = "client")]
fn is_tls_unavailable(error: &(dyn Error + 'static)) -> bool {
    error.is::<crate::client::TlsUnavailable>()
}

#[cfg(not(feature = "client"))]
fn is_tls_unavailable(_: &(dyn Error + 'static)) -> bool {
    false
}

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
