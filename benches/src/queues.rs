//! Transports with a queue, behind one face: ours and the one of the `sentry` crate.

use std::time::Duration;

use bytes::Bytes;
use envoi::{Capacity, Encoding, Envelope};
use sentry::transports::{ReqwestHttpTransport, ReqwestHttpTransportOptions};
use sentry::{ClientOptions, Transport as _, TransportOptions};

/// A transport that takes the same envelope again and again.
pub trait Queue: Send + Sync {
    /// An envelope in the shape that the transport takes.
    type Goods: Send;

    /// Makes one, so that this is not measured with the posting.
    fn goods(&self) -> Self::Goods;

    /// Hands one over.
    fn post(&self, goods: Self::Goods);

    /// Waits until all is sent, at most so long.
    fn flush(&self, within: Duration);
}

/// How a queue of ours differs from the defaults.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Requests in flight.
    pub concurrency: usize,
    /// The content encoding.
    pub encoding: Encoding,
    /// Room for so many envelopes; the default is 1000.
    pub capacity: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { concurrency: 8, encoding: Encoding::Gzip, capacity: None }
    }
}

/// [`envoi::Transport`] on a thread of its own.
#[derive(Debug)]
pub struct Ours {
    /// The transport.
    pub transport: envoi::Transport,
    envelope: Envelope,
}

impl Ours {
    /// Starts the transport.
    ///
    /// # Panics
    /// If there is no thread for it.
    #[must_use]
    pub fn start(dsn: &str, body: Bytes, options: Options) -> Self {
        let mut builder =
            envoi::sentry(dsn).unwrap().concurrency(options.concurrency).encoding(options.encoding);
        if let Some(items) = options.capacity {
            builder = builder.capacity(Capacity::new(items, usize::MAX));
        }
        Self { transport: builder.build().unwrap(), envelope: Envelope::parse(body).unwrap() }
    }
}

impl Queue for Ours {
    type Goods = Envelope;

    fn goods(&self) -> Envelope {
        self.envelope.clone()
    }

    fn post(&self, envelope: Envelope) {
        let _ = self.transport.send(envelope);
    }

    fn flush(&self, within: Duration) {
        self.transport.flush_blocking(within);
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.transport.close_blocking(Duration::from_millis(10));
    }
}

/// The default transport of the `sentry` crate. It is given bytes that are written already, which spares it the most
/// expensive part of its work.
pub struct Theirs {
    transport: ReqwestHttpTransport,
    body: Bytes,
}

impl Theirs {
    /// Starts the transport, with room for so many envelopes; the default is 30.
    ///
    /// # Panics
    /// If there is no thread for it.
    #[must_use]
    pub fn start(dsn: &str, body: Bytes, capacity: Option<usize>) -> Self {
        // The transport makes a TLS configuration, which needs to know whose cryptography to use.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut options = ClientOptions::default();
        options.dsn = Some(dsn.parse().unwrap());
        if let Some(capacity) = capacity {
            options = options.transport_channel_capacity(capacity);
        }
        let options = TransportOptions::try_from_client_options(&options).unwrap();
        Self { transport: ReqwestHttpTransportOptions::from(options).build(), body }
    }
}

impl Queue for Theirs {
    type Goods = sentry::Envelope;

    fn goods(&self) -> sentry::Envelope {
        sentry::Envelope::from_bytes_raw(self.body.to_vec()).unwrap()
    }

    fn post(&self, envelope: sentry::Envelope) {
        self.transport.send_envelope(envelope);
    }

    fn flush(&self, within: Duration) {
        self.transport.flush(within);
    }
}

impl std::fmt::Debug for Theirs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Theirs").finish_non_exhaustive()
    }
}
