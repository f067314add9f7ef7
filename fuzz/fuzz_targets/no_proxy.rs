//! TR-3: no list and no proxy URL panics or shows a password; a host that is written into a list is on it, and what is
//! read is read alike again.
#![no_main]

use envoi_http::proxy::{NoProxy, ProxyConfig, ProxyServer};
use http::Uri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str)| {
    let (list, target, proxy) = input;
    let read = NoProxy::parse(list);
    assert!(read.unreadable().iter().all(|entry| list.contains(entry.as_str())));
    let again = NoProxy::parse(&list.to_uppercase().to_lowercase());
    if list.is_ascii() {
        assert_eq!(read.is_empty(), again.is_empty(), "case matters");
    }

    if let Ok(server) = ProxyServer::parse(proxy) {
        let shown = ProxyServer::parse(&server.to_string()).unwrap();
        assert_eq!(
            (shown.host(), shown.port(), shown.scheme()),
            (server.host(), server.port(), server.scheme())
        );
        assert!(!shown.has_credentials());
    }

    let Ok(target) = target.parse::<Uri>() else { return };
    let bypassed = read.matches(&target);
    if list.is_ascii() {
        assert_eq!(bypassed, again.matches(&target), "case matters");
    }
    let Ok(config) = ProxyConfig::new("proxy.test") else { unreachable!("that is a proxy") };
    assert_eq!(
        config.clone().no_proxy(list).choose(&target).is_none(),
        bypassed || config.choose(&target).is_none()
    );
    // With a star nothing is left, whatever stands around it.
    assert!(config.no_proxy(&format!("{list},*")).choose(&target).is_none());
    if let Some(host) = target.host().filter(|_| bypassed) {
        // One more entry never makes the list shorter.
        assert!(NoProxy::parse(&format!("{list} x.test {host}")).matches(&target));
    }
});
