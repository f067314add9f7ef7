//! nginx in front of the ingest server, with a door for each case, and what it wrote down.

use std::fs;
use std::net::SocketAddr;

use envoi_testkit::tls::{Authority, Certificate, Validity};
use tokio::time::timeout;

use super::software::{PATIENCE, Program, folder, free_port, ticks};

/// A way into nginx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Http,
    /// TLS, HTTP/1.1 only.
    Http1,
    /// TLS, HTTP/2 and HTTP/1.1.
    Http2,
    /// As `Http2`, for clients with a certificate of the authority.
    Mutual,
    Expired,
    WrongHost,
    UnknownIssuer,
    /// As `Http1` and `Http2`, and every connection ends after three requests.
    Goodbye1,
    Goodbye2,
}

impl Door {
    const ALL: [Self; 9] = [
        Self::Http,
        Self::Http1,
        Self::Http2,
        Self::Mutual,
        Self::Expired,
        Self::WrongHost,
        Self::UnknownIssuer,
        Self::Goodbye1,
        Self::Goodbye2,
    ];

    pub(crate) fn scheme(self) -> &'static str {
        if self == Self::Http { "http" } else { "https" }
    }

    /// As nginx names it.
    pub(crate) fn protocol(self) -> &'static str {
        match self {
            Self::Http | Self::Http1 | Self::Goodbye1 => "HTTP/1.1",
            _ => "HTTP/2.0",
        }
    }
}

/// A line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Who sent the request: a proxy, or we.
    pub(crate) peer: String,
    pub(crate) protocol: String,
    pub(crate) status: u16,
    pub(crate) connection: u64,
    pub(crate) path: String,
    pub(crate) via: String,
    pub(crate) client: String,
}

pub(crate) struct Nginx {
    program: Program,
    ports: Vec<u16>,
    pub(crate) authority: Authority,
}

impl Nginx {
    pub(crate) async fn start(ingest: &str) -> Self {
        let authority = Authority::new("way out");
        let ports: Vec<u16> = Door::ALL.iter().map(|_| free_port()).collect();
        let folder = folder();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let mut servers = String::new();
        for (door, port) in Door::ALL.iter().zip(&ports) {
            let name = format!("{door:?}");
            let certificate = match door {
                Door::Http => None,
                Door::Expired => Some(authority.issue(&["localhost", "127.0.0.1"], Validity::Past)),
                Door::WrongHost => Some(authority.issue(&["elsewhere.test"], Validity::Current)),
                Door::UnknownIssuer => Some(Authority::new("stranger").for_localhost()),
                _ => Some(authority.for_localhost()),
            };
            let tls = certificate.map_or_else(String::new, |certificate: Certificate| {
                write(&format!("{name}.pem"), certificate.pem());
                write(&format!("{name}.key"), certificate.key_pem());
                format!("ssl_certificate {name}.pem; ssl_certificate_key {name}.key;")
            });
            let protocol = match door {
                Door::Http => "",
                Door::Http1 | Door::Goodbye1 => "ssl",
                _ => "ssl http2",
            };
            let more = match door {
                Door::Mutual => "ssl_verify_client on; ssl_client_certificate authority.pem;",
                Door::Goodbye1 | Door::Goodbye2 => "keepalive_requests 3;",
                _ => "",
            };
            servers.push_str(&format!(
                "server {{ listen 127.0.0.1:{port} {protocol}; {tls} {more}
                   location ~ ^/[^/]+(?<rest>/api/.*)$ {{ proxy_pass http://ingest$rest; }} }}\n"
            ));
        }
        write("authority.pem", authority.pem());
        let ingest: SocketAddr = ingest.parse().unwrap();
        write(
            "nginx.conf",
            &format!(
                "daemon off; worker_processes 1; pid pid; error_log error.log info;
                 events {{ worker_connections 256; }}
                 http {{
                   log_format way '$remote_addr|$server_protocol|$status|$connection|$request_uri|$http_via|$ssl_client_s_dn';
                   access_log access.log way;
                   client_max_body_size 300m; client_body_buffer_size 16m;
                   client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                   uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                   proxy_http_version 1.1; proxy_set_header Connection '';
                   upstream ingest {{ server {ingest}; keepalive 8; }}
                   {servers}
                 }}"
            ),
        );
        let prefix = format!("{}/", folder.path().display());
        let arguments = ["-p", &prefix, "-e", "error.log", "-c", "nginx.conf"].map(str::to_owned);
        let program = Program::start("nginx", arguments, folder, &ports).await;
        Self { program, ports, authority }
    }

    /// The address of a door for the requests of one case: its name is in the path.
    pub(crate) fn url(&self, door: Door, host: &str, case: &str) -> String {
        let position = Door::ALL.iter().position(|other| *other == door).unwrap();
        format!("{}://{host}:{}/{case}/api/1/envelope/", door.scheme(), self.ports[position])
    }

    /// What it wrote down of a case, once there are as many lines as there should be.
    pub(crate) async fn entries(&self, case: &str, expected: usize) -> Vec<Entry> {
        let mut ticks = ticks();
        let looking = async {
            while self.entries_now(case).len() < expected {
                ticks.tick().await;
            }
        };
        // What is wrong is for the caller to say.
        let _ = timeout(PATIENCE, looking).await;
        self.entries_now(case)
    }

    pub(crate) fn entries_now(&self, case: &str) -> Vec<Entry> {
        let prefix = format!("/{case}/");
        let lines = self.program.lines("access.log").into_iter();
        let entries = lines.filter_map(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            let [peer, protocol, status, connection, path, via, client] = fields[..] else { return None };
            Some(Entry {
                peer: peer.to_owned(),
                protocol: protocol.to_owned(),
                status: status.parse().ok()?,
                connection: connection.parse().ok()?,
                path: path.to_owned(),
                via: via.to_owned(),
                client: client.to_owned(),
            })
        });
        entries.filter(|entry| entry.path.starts_with(&prefix)).collect()
    }

    /// From now on the clients of this authority may come in by the door that asks for a certificate.
    pub(crate) fn let_in(&self, authority: &Authority) {
        fs::write(self.program.path().join("authority.pem"), authority.pem()).unwrap();
        self.reload();
    }

    /// Reads its configuration again: new workers, and the old ones go when they have nothing left to do.
    pub(crate) fn reload(&self) {
        self.program.signal("HUP");
    }

    /// How often that was done.
    pub(crate) fn reloads(&self) -> usize {
        self.program.lines("error.log").iter().filter(|line| line.contains("reconfiguring")).count()
    }
}
