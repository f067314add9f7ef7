//! The proxies: how each is started, spoken to, and what its log says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use envoi_testkit::tls::Authority;
use tokio::time::timeout;

use super::nginx::Door;
use super::software::{PATIENCE, Program, folder, free_port, ticks};

/// How requests get out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Direct,
    Tinyproxy,
    TinyproxyWithPassword,
    Squid,
    SquidWithPassword,
    SquidOverTls,
    Socks5,
    Socks5hWithPassword,
    Socks4,
}

impl Way {
    pub(crate) const ALL: [Self; 9] = [
        Self::Direct,
        Self::Tinyproxy,
        Self::TinyproxyWithPassword,
        Self::Squid,
        Self::SquidWithPassword,
        Self::SquidOverTls,
        Self::Socks5,
        Self::Socks5hWithPassword,
        Self::Socks4,
    ];

    /// All that is needed for all of them.
    pub(crate) const PROGRAMS: [&'static str; 4] = ["tinyproxy", "squid", "microsocks", "danted"];

    /// The address from which it goes on: each has its own.
    pub(crate) const fn outside(self) -> &'static str {
        match self {
            Self::Direct => "127.0.0.1",
            Self::Tinyproxy => "127.0.0.2",
            Self::TinyproxyWithPassword => "127.0.0.3",
            Self::Squid => "127.0.0.4",
            Self::SquidWithPassword => "127.0.0.5",
            Self::SquidOverTls => "127.0.0.6",
            Self::Socks5 => "127.0.0.7",
            Self::Socks5hWithPassword => "127.0.0.8",
            Self::Socks4 => "127.0.0.9",
        }
    }

    const fn is_http(self) -> bool {
        !matches!(self, Self::Direct | Self::Socks5 | Self::Socks5hWithPassword | Self::Socks4)
    }

    /// Whether it is sent whole requests, and not asked for a tunnel.
    pub(crate) fn forwards(self, door: Door) -> bool {
        self.is_http() && door == Door::Http
    }
}

/// Squid asks this for every user.
const HELPER: &str = "#!/bin/sh
while read -r line; do
    case \"$line\" in 'user p@ss') echo OK ;; *) echo ERR ;; esac
done
";

/// A running proxy.
pub(crate) struct Proxy {
    way: Way,
    program: Program,
    port: u16,
}

impl Proxy {
    /// None for the direct way.
    pub(crate) async fn start(way: Way, authority: &Authority) -> Option<Self> {
        Self::start_at(free_port(), way, authority).await
    }

    pub(crate) async fn start_at(port: u16, way: Way, authority: &Authority) -> Option<Self> {
        let folder = folder();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let write = |name: &str, text: &str| fs::write(path(name), text).unwrap();
        let outside = way.outside();
        let (name, arguments) = match way {
            Way::Direct => return None,
            Way::Tinyproxy | Way::TinyproxyWithPassword => {
                let auth = if way == Way::TinyproxyWithPassword { "BasicAuth user secret" } else { "" };
                let log = path("log");
                write(
                    "conf",
                    &format!(
                        "Port {port}\nListen 127.0.0.1\nBind {outside}\nTimeout 60\nLogFile \"{log}\"\n\
                         LogLevel Connect\nMaxClients 50\nAllow 127.0.0.1\n{auth}\n"
                    ),
                );
                ("tinyproxy", vec!["-d".to_owned(), "-c".to_owned(), path("conf")])
            }
            Way::Squid | Way::SquidWithPassword | Way::SquidOverTls => {
                let listen = if way == Way::SquidOverTls {
                    let certificate = authority.for_localhost();
                    write("certificate", certificate.pem());
                    write("key", certificate.key_pem());
                    format!(
                        "https_port 127.0.0.1:{port} tls-cert={} tls-key={}",
                        path("certificate"),
                        path("key")
                    )
                } else {
                    format!("http_port 127.0.0.1:{port}")
                };
                let rules = if way == Way::SquidWithPassword {
                    write("helper", HELPER);
                    fs::set_permissions(path("helper"), fs::Permissions::from_mode(0o755)).unwrap();
                    format!(
                        "auth_param basic program {}\nauth_param basic children 1\n\
                         auth_param basic realm way out\nacl users proxy_auth REQUIRED\nhttp_access allow users\n\
                         http_access deny all\n",
                        path("helper")
                    )
                } else {
                    "acl denied dstdomain denied.localhost\nhttp_access deny denied\nhttp_access allow all\n"
                        .to_owned()
                };
                write(
                    "conf",
                    &format!(
                        "{listen}\ntcp_outgoing_address {outside}\n{rules}cache deny all\n\
                         access_log stdio:{}\ncache_log {}\ncoredump_dir {}\npid_filename none\n\
                         shutdown_lifetime 0 seconds\npinger_enable off\n",
                        path("log"),
                        path("cache.log"),
                        folder.path().display()
                    ),
                );
                // The name keeps its shared memory apart from that of others.
                let name = format!("way{port}");
                ("squid", vec!["-N".to_owned(), "-n".to_owned(), name, "-f".to_owned(), path("conf")])
            }
            Way::Socks5 | Way::Socks5hWithPassword => {
                let mut arguments = ["-i", "127.0.0.1", "-b", outside, "-p"].map(str::to_owned).to_vec();
                arguments.push(port.to_string());
                if way == Way::Socks5hWithPassword {
                    arguments.extend(["-u", "user", "-P", "p@ss"].map(str::to_owned));
                }
                ("microsocks", arguments)
            }
            Way::Socks4 => {
                write(
                    "conf",
                    &format!(
                        "logoutput: {}\ninternal: 127.0.0.1 port = {port}\nexternal: {outside}\n\
                         clientmethod: none\nsocksmethod: none\nclient pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n\
                         socks block {{ from: 0.0.0.0/0 to: 0.0.0.0/0 port = 1 log: connect }}\n\
                         socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: connect }}\n",
                        path("log")
                    ),
                );
                ("danted", vec!["-f".to_owned(), path("conf"), "-p".to_owned(), path("pid")])
            }
        };
        let program = Program::start(name, arguments, folder, &[port]).await;
        Some(Self { way, program, port })
    }

    /// With credentials that it takes.
    pub(crate) fn url(&self) -> String {
        match self.way {
            Way::TinyproxyWithPassword => self.url_with("user:secret@"),
            Way::SquidWithPassword | Way::Socks5hWithPassword => self.url_with("user:p%40ss@"),
            _ => self.url_with(""),
        }
    }

    pub(crate) fn url_with(&self, credentials: &str) -> String {
        let scheme = match self.way {
            Way::SquidOverTls => "https",
            Way::Socks5 => "socks5",
            Way::Socks5hWithPassword => "socks5h",
            Way::Socks4 => "socks4",
            _ => "http",
        };
        format!("{scheme}://{credentials}127.0.0.1:{}", self.port)
    }

    /// How many requests, or tunnels, are in its log by now.
    pub(crate) fn served(&self) -> usize {
        let (file, sign) = match self.way {
            Way::Tinyproxy | Way::TinyproxyWithPassword => ("log", "Established connection to host"),
            Way::Squid | Way::SquidWithPassword | Way::SquidOverTls => ("log", "HIER_DIRECT/"),
            Way::Socks5 | Way::Socks5hWithPassword => ("stderr", "connected to "),
            Way::Socks4 => ("log", "pass(2): tcp/connect ["),
            Way::Direct => unreachable!("nobody started it"),
        };
        self.program.lines(file).iter().filter(|line| line.contains(sign)).count()
    }

    /// The same, once there are as many as there should be: Squid writes a tunnel down when it ends.
    pub(crate) async fn served_at_last(&self, expected: usize) -> usize {
        let mut ticks = ticks();
        let looking = async {
            while self.served() < expected {
                ticks.tick().await;
            }
        };
        let _ = timeout(PATIENCE, looking).await;
        self.served()
    }

    /// How many requests it has turned away for their credentials, as far as its log tells.
    pub(crate) fn turned_away(&self) -> usize {
        self.program.lines("log").iter().filter(|line| line.contains("TCP_DENIED/407")).count()
    }

    pub(crate) fn output(&self) -> String {
        self.program.output()
    }
}
