//! SIGKILL at any moment: this test program starts itself as the process that is killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use envoi_core::{Itemized, Lane, Next, Parcel, Payload, Settle, Store};
use envoi_spool::{Durability, Spool, SpoolConfig};
use envoi_testkit::Goods;
use envoi_testkit::store::Host;

use crate::support::{config, dir, drain, held, now};

const DIR: &str = "ENVOI_TEST_KILL_DIR";
const NAME: &str = "ENVOI_TEST_KILL_NAME";

fn roomy() -> SpoolConfig {
    config().max_count(1_000_000).max_bytes(1 << 30).durability(Durability::Os)
}

fn say(word: char, id: &str) {
    let mut out = std::io::stdout().lock();
    // One write, so that a line is there or not.
    out.write_all(format!("\n{word} {id}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// The process that is killed: posts at full speed, says what is safe, delivers some of it and says so too.
fn work(path: &Path, name: &str) -> ! {
    let (spool, _host) = Host::connected(Spool::<Goods>::open(path, roomy()).unwrap());
    let spool = Arc::new(spool);
    let consumer = Arc::clone(&spool);
    std::thread::spawn(move || {
        loop {
            match consumer.lease(Lane::Low, now(), None) {
                Next::Ready(lease) => {
                    say('D', &lease.parcel.payload().id().unwrap());
                    consumer.settle(lease.id, Settle::Delivered, now());
                }
                _ => std::thread::yield_now(),
            }
        }
    });
    for number in 0_u64.. {
        let id = format!("{name}-{number}");
        // A third is delivered, the rest stays.
        let lane = if number % 3 == 0 { Lane::Low } else { Lane::Critical };
        let goods = Goods::new("error").with_lane(lane).with_id(&id).and_item("padding", 1, 100);
        say('P', &id);
        let confirm = Box::new(move |_| say('C', &id));
        assert!(spool.append_durable(Parcel::new(goods), 1, now(), confirm).is_ok());
    }
    unreachable!("numbers do not end")
}

fn start(path: &Path, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::nothing_that_was_confirmed_is_lost", "--nocapture", "--test-threads=1"])
        .env(DIR, path)
        .env(NAME, name)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[derive(Default)]
struct Said {
    posted: BTreeSet<String>,
    confirmed: BTreeSet<String>,
    delivered: BTreeSet<String>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        if let Some((word, id)) = line.split_once(' ') {
            match word {
                "P" => drop(self.posted.insert(id.to_owned())),
                "C" => drop(self.confirmed.insert(id.to_owned())),
                "D" => drop(self.delivered.insert(id.to_owned())),
                _ => {}
            }
        }
    }
}

/// Kills processes that share a directory, again and again, and looks at what is there.
fn trial(rounds: usize, processes: usize) {
    let dir = dir();
    let mut rng = 0x9e37_79b9_u32;
    let mut said = Said::default();
    for round in 0..rounds {
        let mut children: Vec<(Child, _)> = (0..processes)
            .map(|number| {
                let mut child = start(dir.path(), &format!("{round}.{number}"));
                let out = BufReader::new(child.stdout.take().unwrap()).lines();
                (child, out)
            })
            .collect();
        for (_, out) in &mut children {
            // From the first word on.
            for line in out.by_ref().map_while(Result::ok) {
                said.hear(&line);
                if line.starts_with('P') {
                    break;
                }
            }
        }
        rng = rng.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_micros(u64::from(rng >> 18)));
        for (child, _) in &mut children {
            child.kill().unwrap();
        }
        for (mut child, out) in children {
            out.map_while(Result::ok).for_each(|line| said.hear(&line));
            child.wait().unwrap();
        }
    }
    let (spool, host) = Host::connected(Spool::<Goods>::open(dir.path(), roomy()).unwrap());
    assert_eq!((host.lost_total(), spool.stats().corrupt), (0, 0), "{:?}", spool.stats());
    let mut left: Vec<String> = Lane::ALL
        .into_iter()
        .flat_map(|lane| std::iter::from_fn(|| next(&spool, lane)).collect::<Vec<_>>())
        .collect();
    assert_eq!((held(&spool), drain(&spool, Lane::Low).len()), (0, 0));
    left.sort();
    let unique: BTreeSet<String> = left.iter().cloned().collect();
    assert_eq!(unique.len(), left.len(), "nothing is there twice");
    assert!(unique.is_subset(&said.posted), "nothing is invented");
    let safe: BTreeSet<_> = unique.union(&said.delivered).cloned().collect();
    let lost: Vec<_> = said.confirmed.difference(&safe).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), said.confirmed.len());
    assert!(said.confirmed.len() > rounds, "{} confirmed", said.confirmed.len());
    assert!(said.delivered.is_subset(&said.posted));
}

fn next(spool: &Spool<Goods>, lane: Lane) -> Option<String> {
    let lease = crate::support::lease(spool, lane)?;
    spool.settle(lease.id, Settle::Delivered, now());
    let mut items = 0;
    lease.parcel.payload().tally(&mut |_, _| items += 1);
    assert_eq!(items, 2, "a record comes back whole");
    Some(lease.parcel.payload().id()?.into_owned())
}

/// OC-9: 200 times SIGKILL at any moment: what was confirmed is there or was delivered, once, and nothing is invented.
#[test]
fn nothing_that_was_confirmed_is_lost() {
    if let (Ok(path), Ok(name)) = (std::env::var(DIR), std::env::var(NAME)) {
        work(Path::new(&path), &name);
    }
    trial(200, 1);
}

/// OC-9, OC-10: the same with three processes that share the directory.
#[test]
fn processes_that_share_a_directory_lose_nothing() {
    trial(15, 3);
}
