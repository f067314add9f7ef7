use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use envoi::{Dsn, Envelope};
use tempfile::TempDir;

use super::{Destination, Destinations};
use crate::relay::config::{Given, Settings};

/// After this a test is stuck. Nothing is waited for that long.
const STUCK: Duration = Duration::from_secs(60);

fn settings(folder: &TempDir, text: &str) -> Arc<Settings> {
    let file = folder.path().join("relay.toml");
    std::fs::write(&file, format!("upstream = \"http://127.0.0.1:9\"\n{text}")).unwrap();
    let spool = Some(folder.path().join("spool"));
    Arc::new(Settings::load(&Given { config: Some(file), spool, ..Given::default() }).unwrap())
}

fn destinations(settings: &Settings) -> Arc<Destinations> {
    let spool = settings.spool.as_ref().map(|spool| spool.dir.as_path());
    Arc::new(Destinations::new(spool, tokio::runtime::Handle::current()).unwrap())
}

fn dsn(project: usize) -> Dsn {
    Dsn::parse(&format!("http://key@127.0.0.1:9/{project}")).unwrap()
}

/// Asks for a destination, and goes away before there is an answer.
async fn ask_and_go(destinations: &Arc<Destinations>, project: usize, settings: &Arc<Settings>) {
    let dsn = dsn(project);
    let mut asking = pin!(destinations.get(&dsn, settings));
    let answered = poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx).is_ready())).await;
    assert!(!answered, "this is to be cut short");
}

async fn get(destinations: &Arc<Destinations>, project: usize, settings: &Arc<Settings>) -> Arc<Destination> {
    let dsn = dsn(project);
    let got = destinations.get(&dsn, settings);
    tokio::time::timeout(STUCK, got).await.expect("it is stuck").unwrap()
}

fn slots(root: &Path) -> usize {
    let entries = |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let buffers = entries(root).filter(|path| path.is_dir());
    buffers.flat_map(|buffer| entries(&buffer)).filter(|path| path.is_dir()).count()
}

/// OC-10: a client that goes away while the destination for it is opened does not make the next one open the same disk
/// buffer a second time.
#[tokio::test]
async fn a_client_that_goes_away_does_not_open_a_buffer_twice() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder, "");
    let destinations = destinations(&settings);
    ask_and_go(&destinations, 1, &settings).await;
    let one = get(&destinations, 1, &settings).await;
    let other = get(&destinations, 1, &settings).await;
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!(slots(&folder.path().join("spool")), 1, "two owners of one buffer");
}

/// A client that goes away while another destination is closed for it does not take along the books of that.
#[tokio::test]
async fn a_client_that_goes_away_takes_no_books_along() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder, "[limits]\ndestinations = 1");
    let destinations = destinations(&settings);
    drop(get(&destinations, 1, &settings).await);
    ask_and_go(&destinations, 2, &settings).await;
    drop(get(&destinations, 3, &settings).await);
    let (_, _, closed) = destinations.closings();
    assert_eq!(closed, 2, "1 made room for 2, and 2 for 3");
    assert_eq!(destinations.all().len(), 1);
}

/// TR-2: what was asked for before the end, and would be opened after it, is refused: nobody would close it.
#[tokio::test]
async fn nothing_is_opened_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder, "");
    let destinations = destinations(&settings);
    let before = get(&destinations, 1, &settings).await;
    before.transport.send(Envelope::parse("{}\n{\"type\":\"event\"}\n{}").unwrap()).unwrap();
    let ended = destinations.close(Duration::from_millis(10)).await;
    assert_eq!(ended[0].kept, Some(1));
    assert!(destinations.get(&dsn(2), &settings).await.is_err());
    assert!(destinations.all().is_empty());
}
