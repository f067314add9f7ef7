use super::{BatchBuilder, Http};
use crate::way::{Source, Way, way_setters};

/// The way to the server.
impl<D, H, C> BatchBuilder<D, Http<H, C>> {
    /// All settings of the way to the server at once: what was said of it before is forgotten.
    pub fn way(mut self, way: Way) -> Self {
        self.settings.http.way = way;
        self
    }

    fn map_way(mut self, change: impl FnOnce(Way) -> Way) -> Self {
        self.settings.http.way = change(self.settings.http.way);
        self
    }

    way_setters!("envoi::batch(\"https://logs.internal/v1/events\")", "10 s (BD-6)");

    /// Replaces the connector: the place for Unix sockets and mocks. It has TLS, proxies and time bounds of its own or
    /// none: those of the [way](Self::way) that concern the connection do not reach it.
    pub fn connector<E>(self, connector: E) -> BatchBuilder<D, Http<H, E>> {
        let Self { settings, handler, delivery, receiver: Http { exchange, .. } } = self;
        let receiver = Http { exchange, connector: Source::Given(connector) };
        BatchBuilder { settings, handler, delivery, receiver }
    }
}
