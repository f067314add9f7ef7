//! Programs of other people: found, started, waited for, ended.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Interval, interval, timeout};

/// For what a program does on its own time: start, write a log.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where a program is, also outside of the `PATH` of somebody who is not root.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Whether all of them are there. If not, that is said; in CI it is a failure.
pub(crate) fn installed(names: &[&str]) -> bool {
    let missing: Vec<_> = names.iter().filter(|name| find(name).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{missing:?} are not installed: `./check test` installs them");
    // Not by `eprintln!`, which the test harness keeps to itself.
    let said = writeln!(
        io::stderr(),
        "\n!! SKIPPED: {missing:?} are not installed, so nothing was tested; `./check test` installs them"
    );
    said.unwrap();
    false
}

/// A port on loopback that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A folder that other users can work in: Squid and nginx give up root.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("way-out-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

/// Ticks for whoever looks again and again.
pub(crate) fn ticks() -> Interval {
    interval(Duration::from_millis(10))
}

/// A program that runs until this is dropped.
pub(crate) struct Program {
    name: String,
    child: Child,
    folder: TempDir,
}

impl Program {
    /// Starts a program and waits until it listens at these ports. Paths in the arguments are within `folder`.
    pub(crate) async fn start<A: AsRef<OsStr>>(
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        folder: TempDir,
        ports: &[u16],
    ) -> Self {
        let output = |file: &str| Stdio::from(fs::File::create(folder.path().join(file)).unwrap());
        let child = Command::new(find(name).unwrap())
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .unwrap();
        let mut program = Self { name: name.to_owned(), child, folder };
        for port in ports {
            program.wait_for_port(*port).await;
        }
        program
    }

    async fn wait_for_port(&mut self, port: u16) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let knocking = async {
            let mut ticks = ticks();
            while tokio::net::TcpStream::connect(address).await.is_err() {
                let ended = self.child.try_wait().unwrap();
                assert!(ended.is_none(), "{} ended with {ended:?}:\n{}", self.name, self.output());
                ticks.tick().await;
            }
        };
        if timeout(PATIENCE, knocking).await.is_err() {
            panic!("{} does not listen at {port}:\n{}", self.name, self.output());
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// All that it has said.
    pub(crate) fn output(&self) -> String {
        let files = fs::read_dir(self.path()).unwrap().flatten();
        let texts = files.filter_map(|file| {
            let text = fs::read_to_string(file.path()).ok()?;
            Some(format!("--- {}\n{text}", file.file_name().display()))
        });
        texts.collect()
    }

    /// The lines of a log so far.
    pub(crate) fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status();
        assert!(status.unwrap().success(), "{} is gone", self.name);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // In good order, so that its children go with it; by force if it does not listen.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        for _ in 0..300 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
