//! `envoi demo`: the README's first command.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use support::{envoi, finish, run};

/// TR-2, TP-1, TP-2, TP-3, RL-8, OC-4, CR-5: the story has all its scenes, and tells of each what has to come of it.
#[tokio::test]
async fn the_demo_tells_its_story() {
    let run = run(&["demo"]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let mut rest = run.stdout.as_str();
    for part in [
        "1 real envelopes",
        "35 envelopes posted",
        "the server took 35 envelopes, 0 problems found",
        "2 a flood of logs",
        "the errors overtook",
        "logs pushed out of their lane (queue_overflow)",
        "3 a rate limit",
        "429",
        "8 more transactions: 8 held back at the door, 0 requests made",
        "1 error got through; a client report told the server: 8 transactions, 24 spans held back",
        "4 an outage",
        "the server is down",
        "20 errors posted, 20 held: could not connect",
        "the server is back: 20 delivered, 0 lost",
        "5 a kill in the middle of an outage",
        "12 errors posted and stored",
        "killed",
        "the next process found 12",
        "24 posted by both, 24 different ones at the server",
        "6 shutdown",
        "12 errors posted",
        "0 delivered",
        "12 lost and counted: 2 on their way (network_error), 10 in the queue (queue_overflow)",
        "category",
        "the books balance",
    ] {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("{part}: {}", run.stdout));
        rest = after;
    }
    assert!(!run.stdout.contains('\u{1b}'), "no colours in a pipe");
}

/// CR-1: the columns of the ledger add up, and the server counted the same.
#[tokio::test]
async fn the_books_of_the_demo_add_up() {
    let run = run(&["demo", "--fast"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let mut table = run.stdout.lines().skip_while(|line| !line.starts_with("category"));
    let columns: Vec<&str> = table.next().unwrap().split_whitespace().collect();
    let held = columns.iter().position(|column| *column == "held").unwrap();
    for column in ["posted", "delivered", "refused", "overflow", "limited", "network"] {
        assert!(columns.iter().position(|name| *name == column).unwrap() < held, "{columns:?}");
    }
    let (mut rows, mut sums) = (0, vec![0_u64; held]);
    for line in table.take_while(|line| !line.is_empty()) {
        let numbers: Vec<u64> =
            line.split_whitespace().skip(1).take(held).map(|n| n.replace(',', "").parse().unwrap()).collect();
        assert_eq!(numbers[0], numbers[1..].iter().sum::<u64>(), "{line}");
        assert!(line.contains("  the same"), "{line}");
        sums.iter_mut().zip(&numbers).for_each(|(sum, number)| *sum += number);
        rows += 1;
    }
    assert!(rows > 10, "{}", run.stdout);
    assert!(sums[..held - 1].iter().all(|sum| *sum > 0), "every way to end was taken: {sums:?}");
    assert_eq!(sums[held - 1], 0, "nothing is held at the end");
}

#[tokio::test]
async fn the_demo_has_colours_for_those_who_want_them() {
    let mut command = envoi(&["demo", "--fast"]);
    command.env("CLICOLOR_FORCE", "1");
    let run = finish(command).await;
    assert!(run.stdout.contains('\u{1b}'));
}
