//! File descriptors: a connection takes one, and so do the disk buffers and the way to the upstream. Clients must not take
//! the last ones, or nothing can be written and forwarded any more.

use super::config::Settings;

/// Besides what scales: standard streams, the runtime, the listener, name look-ups.
const OTHERS: usize = 64;
/// Segments, locks and directories of a disk buffer that are open at once.
const PER_BUFFER: usize = 16;

/// How many are needed besides those of clients.
fn own(settings: &Settings) -> usize {
    let buffer = if settings.spool.is_some() { PER_BUFFER } else { 0 };
    OTHERS + settings.limits.destinations.saturating_mul(settings.forward.concurrency + buffer)
}

/// How many connections there may be with so many descriptors: all that were asked for, or what leaves enough for the
/// rest, but never less than half.
fn affordable(connections: usize, own: usize, most: usize) -> usize {
    connections.min(most.saturating_sub(own).max(most / 2)).max(1)
}

/// Raises the limit of this process as far as it goes, and the connections stay below it. Says if that is less than what
/// was asked for.
pub(super) fn fit(settings: &mut Settings) -> Option<String> {
    let asked = settings.limits.connections;
    let most = raise(asked.saturating_add(own(settings)))?;
    settings.limits.connections = affordable(asked, own(settings), most);
    (settings.limits.connections < asked).then(|| {
        format!(
            "this process may open {most} files, which is enough for {} connections, and not for {asked} \
             (limits.connections): raise its limit (ulimit -n, LimitNOFILE), or lower limits.connections or \
             limits.destinations",
            settings.limits.connections
        )
    })
}

/// The limit when it was raised; `None` if there is none.
#[cfg(unix)]
fn raise(wanted: usize) -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let wanted = wanted as u64;
    if now.current.is_some_and(|current| current < wanted) {
        let current = Some(now.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        // Where that is not allowed, what there is has to do.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum: now.maximum });
    }
    getrlimit(Resource::Nofile).current.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn raise(_: usize) -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_rest() {
        assert_eq!(affordable(1024, 1000, 4096), 1024);
        assert_eq!(affordable(1024, 1000, 1500), 750, "half, where the rest would need more");
        assert_eq!(affordable(1024, 100, 1024), 924);
        assert_eq!(affordable(10, 1_000_000, 64), 10);
        assert_eq!(affordable(1, 5, 0), 1);
    }
}
