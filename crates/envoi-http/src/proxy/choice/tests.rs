use proptest::prelude::*;

use super::{NoProxy, ProxyConfig, ProxyScheme, ProxyServer};

/// `environment | target | proxy`: the environment as `NAME=value` separated by spaces, `_` in a value is a space, and
/// the proxy by its host, `-` for none.
const BY_ENVIRONMENT: &str = "
    # nothing, and one variable at a time
                                              | https://a.test/      | -
                                              | http://a.test/       | -
    https_proxy=http://one                    | https://a.test/      | one
    https_proxy=http://one                    | http://a.test/       | -
    HTTPS_PROXY=http://one                    | https://a.test/      | one
    http_proxy=http://one                     | http://a.test/       | one
    http_proxy=http://one                     | https://a.test/      | one
    HTTP_PROXY=http://one                     | http://a.test/       | one
    HTTP_PROXY=http://one                     | https://a.test/      | one
    all_proxy=http://one                      | http://a.test/       | one
    all_proxy=http://one                      | https://a.test/      | one
    ALL_PROXY=http://one                      | https://a.test/      | one
    ftp_proxy=http://one                      | http://a.test/       | -
    # order
    https_proxy=two http_proxy=one all_proxy=three   | https://a.test/ | two
    https_proxy=two http_proxy=one all_proxy=three   | http://a.test/  | one
    http_proxy=one all_proxy=three                   | https://a.test/ | one
    https_proxy=two all_proxy=three                  | http://a.test/  | three
    https_proxy=two all_proxy=three                  | https://a.test/ | two
    HTTPS_PROXY=two http_proxy=one                   | https://a.test/ | two
    ALL_PROXY=three http_proxy=one                   | https://a.test/ | one
    # lower case first, and an empty one hides nothing
    https_proxy=lower HTTPS_PROXY=upper       | https://a.test/      | lower
    http_proxy=lower HTTP_PROXY=upper         | http://a.test/       | lower
    all_proxy=lower ALL_PROXY=upper           | http://a.test/       | lower
    https_proxy= HTTPS_PROXY=upper            | https://a.test/      | upper
    HTTPS_PROXY= https_proxy=lower            | https://a.test/      | lower
    https_proxy= HTTPS_PROXY= http_proxy=one  | https://a.test/      | one
    http_proxy=___ all_proxy=three            | http://a.test/       | three
    https_proxy= http_proxy= all_proxy=       | https://a.test/      | -
    # CGI
    REQUEST_METHOD=GET HTTP_PROXY=evil        | http://a.test/       | -
    REQUEST_METHOD=GET HTTP_PROXY=evil        | https://a.test/      | -
    REQUEST_METHOD= HTTP_PROXY=evil           | http://a.test/       | -
    REQUEST_METHOD=GET http_proxy=one         | http://a.test/       | one
    REQUEST_METHOD=GET HTTP_PROXY=evil ALL_PROXY=three   | http://a.test/  | three
    REQUEST_METHOD=GET HTTPS_PROXY=two        | https://a.test/      | two
    # loopback stays here
    all_proxy=one                             | http://localhost/    | -
    all_proxy=one                             | https://LocalHost:1/ | -
    all_proxy=one                             | http://localhost./   | -
    all_proxy=one                             | http://x.localhost/  | -
    all_proxy=one                             | http://127.0.0.1/    | -
    all_proxy=one                             | https://127.9.8.7/   | -
    all_proxy=one                             | http://[::1]:9000/   | -
    all_proxy=one                             | http://[::ffff:127.0.0.1]/ | -
    all_proxy=one                             | http://notlocalhost/ | one
    all_proxy=one                             | http://localhost.test/ | one
    all_proxy=one                             | http://128.0.0.1/    | one
    # no_proxy from the environment
    all_proxy=one no_proxy=a.test             | http://a.test/       | -
    all_proxy=one NO_PROXY=a.test             | http://a.test/       | -
    all_proxy=one no_proxy=b.test             | http://a.test/       | one
    all_proxy=one no_proxy= NO_PROXY=a.test   | http://a.test/       | -
    all_proxy=one no_proxy=b.test NO_PROXY=a.test   | http://a.test/ | one
    https_proxy=one no_proxy=*                | https://a.test/      | -
    https_proxy=one no_proxy=a.test:443       | https://a.test/      | -
    https_proxy=one no_proxy=b.test,_a.test   | https://a.test/      | -
";

/// `list | targets inside | targets outside`.
const BY_LIST: &str = "
    *                     | http://a.test/ https://10.1.2.3/ http://[fd00::1]/          |
    b.test,*              | http://a.test/                                              |
    a.test                | http://a.test/ http://A.Test/ https://x.a.test/ http://y.x.a.test:99/ | http://nota.test/ http://a.test.org/ http://test/ http://a.tes/
    A.TEST                | http://a.test/                                              | http://b.test/
    .a.test               | http://a.test/ http://x.a.test/                             | http://xa.test/ http://test/
    *.a.test              | http://a.test/ http://x.a.test/ http://y.x.a.test/          | http://xa.test/
    a.test.               | http://a.test/ http://a.test./ http://x.a.test/             | http://b.test/
    .a.test.              | http://x.a.test./                                           | http://b.test/
    a.test                | http://a.test./                                             | http://a.test../
    localhost             | http://localhost/ http://localhost:8000/                    | http://127.0.0.1/
    test                  | http://a.test/ http://test/                                 | http://atest/
    my_host-1             | http://my_host-1/                                           | http://my_host-2/
    a.test:8443           | https://a.test:8443/ http://x.a.test:8443/                  | https://a.test/ https://a.test:84/
    a.test:443            | https://a.test/ http://a.test:443/                          | http://a.test/
    a.test:80             | http://a.test/                                              | https://a.test/
    .a.test:80            | http://x.a.test/                                            | https://x.a.test/
    *:8080                | http://a.test:8080/ http://10.1.2.3:8080/                   | http://a.test/
    a.test,b.test         | http://a.test/ http://b.test/                               | http://c.test/
    a.test b.test         | http://a.test/ http://b.test/                               | http://c.test/
    ,, a.test ,           | http://a.test/                                              | http://b.test/
                          |                                                             | http://a.test/ http://localhost/ http://10.1.2.3/
    ,                     |                                                             | http://a.test/
    10.1.2.3              | http://10.1.2.3/ https://10.1.2.3:99/ http://[::ffff:10.1.2.3]/ | http://10.1.2.30/ http://10.1.2/ http://110.1.2.3/
    10.1.2.3:9000         | http://10.1.2.3:9000/                                       | http://10.1.2.3/
    10.0.0.0/8            | http://10.255.0.1/ http://10.0.0.0/                         | http://11.0.0.1/ http://[fd00::1]/ http://10.test/
    10.1.2.3/8            | http://10.200.0.1/                                          | http://11.0.0.1/
    192.168.1.0/24        | http://192.168.1.255/                                       | http://192.168.2.0/
    172.16.0.0/12         | http://172.31.255.255/                                      | http://172.32.0.0/
    10.1.2.3/32           | http://10.1.2.3/                                            | http://10.1.2.4/
    0.0.0.0/0             | http://8.8.8.8/                                             | http://[fd00::1]/ http://a.test/
    fd00::1               | http://[fd00::1]/ http://[fd00:0::0001]:99/                 | http://[fd00::2]/
    [fd00::1]             | http://[fd00::1]/ http://[FD00::1]:99/                      | http://[fd00::2]/
    [fd00::1]:8080        | http://[fd00::1]:8080/                                      | http://[fd00::1]/
    fd00::/8              | http://[fd12:3::4]/                                         | http://[fe80::1]/ http://10.1.2.3/
    [fd00::/8]            | http://[fd12:3::4]/                                         | http://[fe80::1]/
    ::1                   | http://[::1]/                                               | http://[::2]/
    ::1:80                | http://[::1:80]/                                            | http://[::1]/
    ::ffff:10.1.2.3       | http://10.1.2.3/ http://[::ffff:a01:203]/                   | http://10.1.2.4/
    [::ffff:10.1.2.3]:80  | http://10.1.2.3/                                            | https://10.1.2.3/
    :::: ,a.test          | http://a.test/                                              | http://b.test/
";

/// What is no entry: it bypasses nothing, spoils nothing, and can be asked for.
const UNREADABLE: &[&str] = &[
    "http://a.test",
    "a.test/path",
    "10.0.0.0/33",
    "10.0.0.0/8:80",
    "fd00::/129",
    "[10.1.2.3]",
    "[fd00::1",
    "fd00::1]",
    "::ffff:10.1.2.3:80",
    "a.test:0",
    "a.test:",
    "a.test:99999",
    "a.test:http",
    ":80",
    "a..test",
    ".",
    "*.",
    "..",
    "a*.test",
    "127.*",
    "user@a.test",
    "fe80::1%eth0",
];

fn cells(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split('|').map(str::trim).collect())
}

fn variables(text: &str) -> impl Fn(&str) -> Option<String> {
    let set: Vec<(String, String)> = text
        .split_whitespace()
        .map(|pair| pair.split_once('=').expect("NAME=value"))
        .map(|(name, value)| (name.to_owned(), value.replace('_', " ")))
        .collect();
    move |name| set.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
}

/// TR-3, TR-4: which proxy for which target, by the book; loopback, CGI, empty variables and lists included.
#[test]
fn the_choice_follows_the_table() {
    let mut rows = 0;
    for row in cells(BY_ENVIRONMENT) {
        let [environment, target, expected] = row[..] else { panic!("three cells: {row:?}") };
        let config = ProxyConfig::from_vars(variables(environment)).unwrap();
        let target = target.parse().unwrap();
        let chosen = config.choose(&target).map_or("-", ProxyServer::host);
        assert_eq!(chosen, expected, "{row:?}");
        let for_it = ProxyConfig::from_vars_for(&target, variables(environment)).unwrap();
        let chosen = for_it.choose(&target).map_or("-", ProxyServer::host);
        assert_eq!(chosen, expected, "for this target alone: {row:?}");
        rows += 1;
    }
    for row in cells(BY_LIST) {
        let [list, inside, outside] = row[..] else { panic!("three cells: {row:?}") };
        let config = ProxyConfig::new("one").unwrap().no_proxy(list);
        for (targets, bypass) in [(inside, true), (outside, false)] {
            for target in targets.split_whitespace() {
                let direct = config.choose(&target.parse().unwrap()).is_none();
                assert_eq!(direct, bypass, "`{target}` with `{list}`");
                rows += 1;
            }
        }
    }
    assert!(rows >= 150, "{rows} rows were read");
}

/// TR-3: what is no entry of the list is left out, says so, and its neighbours count.
#[test]
fn unreadable_entries_of_no_proxy_are_left_out_and_told() {
    for entry in UNREADABLE {
        let list = NoProxy::parse(&format!("b.test,{entry},c.test"));
        assert_eq!(list.unreadable(), [*entry]);
        for (target, bypass) in
            [("http://a.test/", false), ("http://b.test/", true), ("http://c.test/", true)]
        {
            assert_eq!(list.matches(&target.parse().unwrap()), bypass, "{target} with {entry}");
        }
    }
    let config = ProxyConfig::new("one").unwrap().no_proxy("127.*");
    assert_eq!(config.unreadable_no_proxy(), ["127.*"]);
    assert!(NoProxy::parse("127.*").is_empty());
}

/// TR-3: an explicit proxy comes before the environment, gets loopback, and keeps the list if it is told to.
#[test]
fn an_explicit_proxy_gets_everything_that_it_is_not_told_to_leave() {
    let chosen = |config: &ProxyConfig, target: &str| {
        config.choose(&target.parse().unwrap()).map(|server| server.host().to_owned())
    };
    let explicit = ProxyConfig::new("http://one").unwrap();
    for target in ["http://localhost/", "https://127.0.0.1/", "https://a.test/", "http://a.test/"] {
        assert_eq!(chosen(&explicit, target).as_deref(), Some("one"), "{target}");
    }
    let spared = explicit.clone().proxy_loopback(false);
    assert_eq!(chosen(&spared, "http://localhost/"), None);
    let environment = || variables("no_proxy=a.test http_proxy=two");
    let listed = explicit.clone().or_no_proxy_from_vars(environment());
    assert_eq!(chosen(&listed, "http://a.test/"), None);
    assert_eq!(chosen(&listed, "http://b.test/").as_deref(), Some("one"));
    // Unless the option says otherwise.
    for (list, target) in [("", "http://a.test/"), ("b.test", "http://a.test/")] {
        let said = explicit.clone().no_proxy(list).or_no_proxy_from_vars(environment());
        assert_eq!(chosen(&said, target).as_deref(), Some("one"), "{list}");
    }
    let asked = ProxyConfig::from_vars(variables("http_proxy=two")).unwrap().proxy_loopback(true);
    assert_eq!(chosen(&asked, "http://localhost/").as_deref(), Some("two"));
    let direct = ProxyConfig::direct();
    assert_eq!(chosen(&direct, "http://a.test/"), None);
    assert!(direct.is_direct() && !asked.is_direct());
}

/// A target without a host has no way through a proxy, and does not panic.
#[test]
fn a_target_without_a_host_goes_nowhere() {
    let config = ProxyConfig::new("one").unwrap();
    assert!(config.choose(&"/path".parse().unwrap()).is_none());
}

/// TR-5: schemes, default ports, and percent-decoded credentials.
#[test]
fn proxy_urls_are_read() {
    let table = [
        ("proxy.test", "http://proxy.test:80", ""),
        ("Proxy.Test:3128", "http://proxy.test:3128", ""),
        ("http://proxy.test:3128/some/path?x#y", "http://proxy.test:3128", ""),
        ("HTTPS://proxy.test", "https://proxy.test:443", ""),
        ("  http://proxy.test:3128\n", "http://proxy.test:3128", ""),
        ("http://proxy.test:", "http://proxy.test:80", ""),
        ("http://10.0.0.1:3128", "http://10.0.0.1:3128", ""),
        ("http://[FD00::1]:3128", "http://[fd00::1]:3128", ""),
        ("http://[::1]", "http://[::1]:80", ""),
        ("http://user:pass@proxy.test", "http://proxy.test:80", "Basic dXNlcjpwYXNz"),
        ("user:pass@proxy.test:8080", "http://proxy.test:8080", "Basic dXNlcjpwYXNz"),
        ("http://user@proxy.test", "http://proxy.test:80", "Basic dXNlcjo="),
        ("http://@proxy.test", "http://proxy.test:80", ""),
        // `p@ss:w/rd`, the first as browsers forgive it.
        ("http://user:p@ss@proxy.test", "http://proxy.test:80", "Basic dXNlcjpwQHNz"),
        ("http://user:p%40ss%3Aw%2frd@proxy.test", "http://proxy.test:80", "Basic dXNlcjpwQHNzOncvcmQ="),
        ("http://us%C3%A9r:%E2%82%AC@proxy.test", "http://proxy.test:80", "Basic dXPDqXI64oKs"),
    ];
    for (text, shown, basic) in table {
        let server = ProxyServer::parse(text).unwrap();
        assert_eq!(server.to_string(), shown, "{text}");
        let header = server.credentials().map(super::server::Credentials::basic);
        assert_eq!(header.as_ref().map_or("", |value| value.to_str().unwrap()), basic, "{text}");
        assert!(header.is_none_or(|value| value.is_sensitive()));
    }
}

/// TR-5: SOCKS with and without credentials, and what they cannot carry.
#[cfg(feature = "socks")]
#[test]
fn socks_urls_are_read() {
    for (text, scheme) in [
        ("socks4://proxy.test", ProxyScheme::Socks4),
        ("socks4a://user@proxy.test", ProxyScheme::Socks4a),
        ("socks5://user:pass@proxy.test:1080", ProxyScheme::Socks5),
        ("SOCKS5H://proxy.test:", ProxyScheme::Socks5h),
    ] {
        let server = ProxyServer::parse(text).unwrap();
        assert_eq!((server.scheme(), server.port()), (scheme, 1080), "{text}");
    }
    let long = "x".repeat(256);
    for (text, words) in [
        ("socks4://user:pass@proxy.test".to_owned(), "SOCKS4 cannot carry"),
        (format!("socks5://{long}:pass@proxy.test"), "255 bytes"),
        (format!("socks5://user:{long}@proxy.test"), "255 bytes"),
        ("socks5://:pass@proxy.test".to_owned(), "empty user"),
    ] {
        let error = ProxyServer::parse(&text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// A scheme that is not built in names its feature.
#[cfg(not(feature = "socks"))]
#[test]
fn socks_urls_name_the_feature() {
    let error = ProxyServer::parse("socks5://proxy.test").unwrap_err().to_string();
    assert!(error.contains("`socks`"), "{error}");
    assert_eq!(ProxyServer::parse("https://proxy.test").unwrap().scheme(), ProxyScheme::Https);
}

/// TR-3, AU-7: a URL that cannot be used says what is wrong and what to do, and never the password.
#[test]
fn bad_proxy_urls_are_explained_without_secrets() {
    let table = [
        ("", "is empty"),
        (" ", "is empty"),
        ("http://proxy.test:port", "\"proxy.test:port\""),
        ("http://proxy.test:99999", "no usable host and port"),
        ("http://proxy.test:0", "no usable host and port"),
        ("http://:3128", "no usable host and port"),
        ("http://", "no usable host and port"),
        ("http://[::1", "no usable host and port"),
        ("http://[nonsense]:1", "no usable host and port"),
        ("http://a:b:c", "no usable host and port"),
        ("ftp://proxy.test", "the scheme `ftp`"),
        ("quic://proxy.test", "use one of http"),
        ("://proxy.test", "the scheme ``"),
        ("http://us er@proxy.test", "offset 9"),
        ("http://proxy.test\u{7}x", "offset 17"),
        ("http://user:hidden%zz@proxy.test", "percent-encode"),
        ("http://user:hidden%2@proxy.test", "percent-encode"),
        ("http://user:hid/den@proxy.test", "percent-encode"),
        ("http://user:hid#den@proxy.test", "percent-encode"),
        ("http://us%3Aer:hidden@proxy.test", "a colon in the user"),
        ("http://user:hidden@:80", "no usable host and port"),
        ("hidden!hidden://proxy.test", "the scheme `…`"),
    ];
    for (text, words) in table {
        let error = ProxyConfig::new(text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(words), "{text:?}: {shown}");
        assert!(!shown.contains("hid"), "{shown}");
        assert_eq!(error.variable(), None);
    }
}

/// TR-3: a variable that would be used and cannot be read is an error that names it; one that would not is none.
#[test]
fn a_bad_variable_is_named() {
    let error = ProxyConfig::from_vars(variables("HTTPS_PROXY=ftp://x")).unwrap_err();
    assert_eq!(error.variable(), Some("HTTPS_PROXY"));
    assert!(error.to_string().contains("the environment variable HTTPS_PROXY has the scheme"), "{error}");
    ProxyConfig::from_vars(variables("http_proxy=one https_proxy=two all_proxy=ftp://x")).unwrap();
    ProxyConfig::from_vars(variables("REQUEST_METHOD=GET HTTP_PROXY=ftp://x")).unwrap();
}

/// TR-3: for one target only those variables count that concern it.
#[test]
fn a_bad_variable_of_others_does_not_matter() {
    let read = |environment: &str, target: &str| {
        ProxyConfig::from_vars_for(&target.parse().unwrap(), variables(environment)).map(drop)
    };
    read("all_proxy=ftp://x", "http://localhost:9000/").unwrap();
    read("all_proxy=ftp://x no_proxy=.test", "https://a.test/").unwrap();
    read("http_proxy=ftp://x https_proxy=one", "https://a.test/").unwrap();
    read("https_proxy=ftp://x", "http://a.test/").unwrap();
    read("all_proxy=ftp://x", "https://a.test/").unwrap_err();
    read("https_proxy=ftp://x", "https://a.test/").unwrap_err();
}

/// AU-7: nothing shows a password.
#[test]
fn debug_has_no_credentials() {
    let config =
        ProxyConfig::from_vars(variables("http_proxy=http://user:hidden@one no_proxy=a.test")).unwrap();
    let shown = format!("{config:?} {config:#?}");
    assert!(shown.contains("http://***@one:80") && shown.contains("a.test"), "{shown}");
    assert!(!shown.contains("hidden") && !shown.contains("user"), "{shown}");
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,6}(\\.[a-z][a-z0-9-]{0,6}){0,3}",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
    ]
}

proptest! {
    /// TR-3: no list panics, and every entry is a rule or is named.
    #[test]
    fn any_list_is_read(list in "\\PC{0,64}", host in host()) {
        let read = NoProxy::parse(&list);
        let _ = read.matches(&format!("http://{host}/").parse().unwrap());
        for entry in read.unreadable() {
            prop_assert!(list.contains(entry.as_str()));
        }
    }

    /// TR-3: a host is on the list that it makes, in any spelling, with its port and with no other.
    #[test]
    fn a_host_is_on_its_own_list(host in host(), port in 1..u16::MAX, upper: bool, dot: bool) {
        let mut entry = if upper { host.to_uppercase() } else { host.clone() };
        if dot && !host.contains(':') && host.parse::<std::net::IpAddr>().is_err() {
            entry.push('.');
        }
        let target = format!("http://{host}:{port}/").parse().unwrap();
        prop_assert!(NoProxy::parse(&entry).matches(&target), "{entry}");
        let entry = format!(" , {entry}:{port},");
        prop_assert!(NoProxy::parse(&entry).matches(&target), "{entry}");
        let other = format!("http://{host}:{}/", port + 1).parse().unwrap();
        prop_assert!(!NoProxy::parse(&entry).matches(&other), "{entry}");
    }

    /// TR-3: a domain takes along what is below it, and never what merely ends alike.
    #[test]
    fn a_domain_ends_at_a_dot(domain in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", label in "[a-z0-9]{1,8}") {
        for entry in [domain.clone(), format!(".{domain}"), format!("*.{domain}")] {
            let list = NoProxy::parse(&entry);
            let below = format!("http://{label}.{domain}/").parse().unwrap();
            let alike = format!("http://{label}{domain}/").parse().unwrap();
            prop_assert!(list.matches(&below) && !list.matches(&alike), "{}", entry);
        }
    }

    /// No URL panics or shows its password, and what was read is read alike again.
    #[test]
    fn any_proxy_url_is_read(text in "(http|https|socks5)?(://)?\\PC{0,40}") {
        if let Ok(server) = ProxyServer::parse(&text) {
            let again = ProxyServer::parse(&server.to_string()).unwrap();
            prop_assert_eq!(again.to_string(), server.to_string());
            prop_assert_eq!((again.port(), again.host()), (server.port(), server.host()));
            server.uri(&http::uri::Scheme::HTTP);
        }
    }
}
