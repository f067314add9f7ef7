use super::SentryBuilder;
use crate::way::{Source, Way, way_setters};

/// The way to the server.
impl<D, H, C> SentryBuilder<D, H, C> {
    /// All settings of the way to the server at once: what was said of it before is forgotten.
    pub fn way(mut self, way: Way) -> Self {
        self.settings.way = way;
        self
    }

    fn map_way(mut self, change: impl FnOnce(Way) -> Way) -> Self {
        self.settings.way = change(self.settings.way);
        self
    }

    way_setters!("envoi::sentry(\"https://public@sentry.internal/42\")?", "30 s (TR-9)");

    /// Replaces the connector: the place for Unix sockets and mocks. It has TLS, proxies and time bounds of its own or
    /// none: those of the [way](Self::way) that concern the connection do not reach it.
    pub fn connector<E>(self, connector: E) -> SentryBuilder<D, H, E> {
        let Self { dsn, settings, books, delivery, exchange, .. } = self;
        SentryBuilder { dsn, settings, books, delivery, exchange, connector: Source::Given(connector) }
    }
}
