use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::connection;
use super::shared::Shared;

/// How long connections may take to end after a shutdown was asked for.
const GRACE: Duration = Duration::from_secs(2);

/// What the handle asks of the acceptor. Each is acknowledged when it is done.
#[derive(Debug)]
pub(super) enum Command {
    Pause(oneshot::Sender<()>),
    Resume(oneshot::Sender<()>),
    Down(oneshot::Sender<()>),
    Up(oneshot::Sender<io::Result<()>>),
    Shutdown(oneshot::Sender<()>),
}

/// Accepts connections until it is told to end, or until the handle is gone.
pub(super) async fn run(
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut listener = Some(listener);
    let mut paused = false;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(Command::Pause(done)) => {
                    paused = true;
                    let _ = done.send(());
                }
                Some(Command::Resume(done)) => {
                    paused = false;
                    let _ = done.send(());
                }
                Some(Command::Down(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    let _ = done.send(());
                }
                Some(Command::Up(done)) => {
                    let _ = done.send(up(&mut listener, address).await);
                }
                Some(Command::Shutdown(done)) => {
                    listener.take();
                    wind_up(&mut connections, &shared).await;
                    let _ = done.send(());
                    return;
                }
                // Nobody can reach the server any more: everything ends with the set of connections.
                None => {
                    shared.end_events();
                    return;
                }
            },
            (stream, peer) = accept(listener.as_ref()), if !paused => {
                connections.spawn(connection::serve(stream, peer, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> (TcpStream, SocketAddr) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Out of file descriptors, mostly: wait for others to end.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn up(listener: &mut Option<TcpListener>, address: SocketAddr) -> io::Result<()> {
    if listener.is_none() {
        *listener = Some(TcpListener::bind(address).await?);
    }
    Ok(())
}

async fn wind_up(connections: &mut JoinSet<()>, shared: &Shared) {
    shared.closing.cancel();
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        shared.dead.cancel();
        connections.shutdown().await;
    }
    shared.end_events();
}
