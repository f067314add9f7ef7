/// The settings of a [`Way`](super::Way), one by one, as methods of a builder that has `map_way`. `$start` makes such a
/// builder in an example, `$attempt` is how long an attempt may take.
macro_rules! way_setters {
    ($start:literal, $attempt:literal) => {
        /// How long the phases of one attempt may take, from the look-up of the name to the head of the reply (TR-9): the
        /// defaults of [`Timeouts`](crate::way::Timeouts) unless told otherwise.
        pub fn timeouts(self, timeouts: $crate::way::Timeouts) -> Self {
            self.map_way(|way| way.timeouts(timeouts))
        }

        /// How long a connection may take: 5 s for the look-up of the name, and 5 s for the rest, unless told otherwise
        /// (TR-9).
        pub fn connect_timeout(self, limit: ::std::time::Duration) -> Self {
            self.map_way(|way| way.map_timeouts(|timeouts| timeouts.resolve(limit).connect(limit)))
        }

        /// How long one attempt may take, from the connection to the end of the reply's head, and again for its body:
        #[doc = $attempt]
        /// unless told otherwise.
        pub fn attempt_timeout(self, limit: ::std::time::Duration) -> Self {
            self.map_way(|way| way.map_timeouts(|timeouts| timeouts.attempt(Some(limit))))
        }

        /// How TLS is spoken (TR-5): with the platform's roots, TLS 1.2 or later, HTTP/2 or HTTP/1.1, unless told otherwise.
        #[cfg(feature = "tls")]
        #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
        pub fn tls(self, config: $crate::way::TlsConfig) -> Self {
            self.map_way(|way| way.tls(config))
        }

        /// Believes certificates of these authorities, too (TR-5).
        ///
        /// ```no_run
        /// use envoi::way::CaBundle;
        #[doc = concat!("let transport = ", $start)]
        ///     .ca_certificate(CaBundle::from_file("company-ca.pem")?)
        ///     .build()?;
        /// # drop(transport);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[cfg(feature = "tls")]
        #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
        pub fn ca_certificate(self, bundle: $crate::way::CaBundle) -> Self {
            self.map_way(|way| way.map_tls(|tls| tls.ca(bundle)))
        }

        /// Shows this certificate to a server that asks for one (TR-5).
        #[cfg(feature = "tls")]
        #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
        pub fn identity(self, identity: $crate::way::Identity) -> Self {
            self.map_way(|way| way.map_tls(|tls| tls.identity(identity)))
        }

        /// Which proxies are used, instead of those of the environment (TR-3). The hosts that `no_proxy` of the environment
        /// names are spared, unless the config says which.
        ///
        /// ```
        /// use envoi::way::ProxyConfig;
        #[doc = concat!("let builder = ", $start)]
        ///     .proxy(ProxyConfig::new("http://user:secret@proxy.internal:3128")?);
        /// assert!(!format!("{builder:?}").contains("secret"));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[cfg(feature = "proxy")]
        #[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
        pub fn proxy(self, config: $crate::way::ProxyConfig) -> Self {
            self.map_way(|way| way.proxy(config))
        }

        /// Uses no proxy, whatever the environment says.
        #[cfg(feature = "proxy")]
        #[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
        pub fn no_env_proxy(self) -> Self {
            self.proxy($crate::way::ProxyConfig::direct())
        }

        /// Who is told of every phase of every attempt: name, connection, proxy, TLS, request, reply.
        ///
        /// ```
        /// use std::sync::Arc;
        /// use envoi::way::Event;
        #[doc = concat!("let builder = ", $start)]
        ///     .observer(Arc::new(|event: &Event<'_>| eprintln!("{event:?}")));
        /// # drop(builder);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn observer(self, observer: $crate::way::SharedObserver) -> Self {
            self.map_way(|way| way.observer(observer))
        }
    };
}

pub(crate) use way_setters;
