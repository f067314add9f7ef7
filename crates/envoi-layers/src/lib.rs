//! The delivery level of envoi: outbox, filter, client reports, batcher.
