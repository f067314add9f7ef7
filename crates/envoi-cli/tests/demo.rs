//! `envoi demo`: the README's first command.

mod support;

use support::run;

#[tokio::test]
async fn the_demo_tells_its_story_and_its_books_balance() {
    let run = run(&["demo"]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    for part in ["35 envelopes", "slow", "429", "no more sessions", "held back", "total", "the books balance"]
    {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(!run.stdout.contains('\u{1b}'), "no colours in a pipe");

    // In every category: posted = delivered + refused + held back.
    let mut rows = 0;
    let table = run.stdout.lines().skip_while(|line| !line.starts_with("category")).skip(1);
    for line in table.take_while(|line| !line.is_empty()) {
        let numbers: Vec<u64> =
            line.split_whitespace().skip(1).take(4).map(|n| n.replace(',', "").parse().unwrap()).collect();
        assert_eq!(numbers[0], numbers[1..].iter().sum::<u64>(), "{line}");
        assert!(line.ends_with("the same"), "{line}");
        rows += 1;
    }
    assert!(rows > 10, "{}", run.stdout);
}
