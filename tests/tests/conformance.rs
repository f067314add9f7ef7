//! `docs/conformance.md` is derived: a test that names a requirement in the comment above it proves it.
//!
//! `ENVOI_BLESS=1 cargo test -p envoi-tests --test conformance` writes the document anew.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod house;
mod requirements;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use house::files::{File, files, root};
use house::functions::{Function, functions};
use requirements::{LATER, REQUIREMENTS};

const DOCUMENT: &str = "docs/conformance.md";

const HEAD: &str = "\
# Conformance

What the transport must do, and the tests that prove it. `AU` to `BD` are requirements (**M** must, **S** should, **O** \
may), gathered from the public specification of Sentry's SDK protocol and from the guarantees of the batch transport; \
`D` are our own decisions where those leave a point open or contradict each other.

This file is derived from the comments above the tests: a comment that names an id claims it. Do not edit it; run \
`ENVOI_BLESS=1 cargo test -p envoi-tests --test conformance`. A test in that file fails if the two differ, if an id has \
neither a test nor an issue, or if a comment names an id that does not exist.
";

/// Which tests name which id: `path::function`, in the order of the files.
fn claims() -> BTreeMap<String, Vec<String>> {
    let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let is_source = |file: &&File| {
        file.is_rust()
            && ["crates/", "tests/", "examples/"].iter().any(|folder| file.path.starts_with(folder))
    };
    // This test's own samples claim nothing.
    for file in files().iter().filter(is_source).filter(|file| file.path != "tests/tests/conformance.rs") {
        for test in functions(file).into_iter().filter(Function::is_test) {
            for id in ids(&test.comment) {
                claims.entry(id).or_default().push(format!("{}::{}", file.path, test.name));
            }
        }
    }
    claims
}

/// The ids that a comment names: `RL-3`, `D-9`, `decision 9`, `decisions 1, 2 and 9`, `decisions 4 to 6`.
fn ids(comment: &str) -> BTreeSet<String> {
    let words: Vec<&str> = comment
        .split(|c: char| !c.is_ascii_alphanumeric() && !"-–:".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let mut found = BTreeSet::new();
    let mut rest = words.as_slice();
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let word = word.trim_end_matches(':');
        if let Some((family, number)) = word.split_once('-')
            && requirements::FAMILIES.contains(&family)
            && number.chars().all(|c| c.is_ascii_digit())
            && !number.is_empty()
        {
            found.insert(word.to_owned());
        } else if ["decision", "decisions"].contains(&word.to_lowercase().as_str()) {
            rest = decisions(after, &mut found);
        }
    }
    found
}

/// Reads the numbers that follow the word "decisions", up to a colon, and returns the words after them.
fn decisions<'a>(mut rest: &'a [&'a str], found: &mut BTreeSet<String>) -> &'a [&'a str] {
    let (mut previous, mut range) = (None, false);
    while let Some((word, after)) = rest.split_first() {
        let number = word.trim_end_matches(':');
        let (from, to) = number.split_once(['-', '–']).unwrap_or((number, number));
        match (from.parse::<u32>(), to.parse::<u32>()) {
            (Ok(from), Ok(to)) => {
                let from = previous.filter(|_| range).unwrap_or(from);
                found.extend((from..=to).map(|number| format!("D-{number}")));
                previous = Some(to);
            }
            _ if !["and", "to"].contains(word) => break,
            _ => {}
        }
        range = *word == "to";
        rest = after;
        if word.ends_with(':') {
            break;
        }
    }
    rest
}

fn issue_of(id: &str) -> Option<u32> {
    LATER.iter().find(|(ids, _)| ids.split_whitespace().any(|later| later == id)).map(|(_, issue)| *issue)
}

fn document(claims: &BTreeMap<String, Vec<String>>) -> String {
    let tests_of = |id: &str| {
        let tests = claims.get(id).map(Vec::as_slice).unwrap_or_default();
        tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ")
    };
    let mut text = String::from(HEAD);
    text.push_str("\n## Proved\n\n| id | level | test | note |\n|---|---|---|---|\n");
    for (id, level, note) in REQUIREMENTS {
        let tests = tests_of(id);
        if issue_of(id).is_none() && !tests.is_empty() {
            let _ = writeln!(text, "| {id} | {level} | {tests} | {note} |");
        }
    }
    text.push_str(
        "\n## Not yet\n\nThese belong to later issues. Tests that prove a part of them already are named.\n",
    );
    text.push_str("\n| id | level | issue | test | note |\n|---|---|---|---|---|\n");
    for (id, level, note) in REQUIREMENTS {
        if let Some(issue) = issue_of(id) {
            let _ = writeln!(text, "| {id} | {level} | {issue} | {} | {note} |", tests_of(id));
        }
    }
    text
}

#[test]
fn every_requirement_has_a_test_or_an_issue() {
    let claims = claims();
    let missing: Vec<_> = REQUIREMENTS
        .iter()
        .filter(|(id, ..)| !claims.contains_key(*id) && issue_of(id).is_none())
        .map(|(id, _, note)| format!("{id}: {note}"))
        .collect();
    assert!(missing.is_empty(), "no test names these:\n{}", missing.join("\n"));
}

#[test]
fn no_test_names_an_unknown_requirement() {
    let known: BTreeSet<_> = REQUIREMENTS.iter().map(|(id, ..)| (*id).to_owned()).collect();
    for (id, tests) in claims() {
        assert!(known.contains(&id), "there is no {id}, named by {}", tests.join(", "));
    }
}

#[test]
fn the_list_of_requirements_is_sound() {
    let ids: BTreeSet<_> = REQUIREMENTS.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids.len(), REQUIREMENTS.len(), "an id is there twice");
    for (id, level, note) in REQUIREMENTS {
        let family = id.split('-').next().unwrap_or_default();
        assert!(requirements::FAMILIES.contains(&family), "{id} is of no family");
        assert_eq!(*level == "–", family == "D", "{id}: decisions have no level, requirements have one");
        assert!(!note.is_empty() && !note.contains('|'), "{id}: {note}");
    }
    for (later, _) in LATER {
        for id in later.split_whitespace() {
            assert!(ids.contains(id), "there is no {id}");
        }
    }
}

#[test]
fn the_document_is_what_the_tests_say() {
    let derived = document(&claims());
    let path = root().join(DOCUMENT);
    if std::env::var_os("ENVOI_BLESS").is_some() {
        std::fs::write(&path, &derived).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let stale = derived.lines().find(|line| !written.lines().any(|written| written == *line));
    assert!(
        derived == written,
        "{DOCUMENT} is stale, write it anew with ENVOI_BLESS=1; first line that differs: {}",
        stale.unwrap_or("(one that should not be there)")
    );
}

#[test]
fn ids_are_found_however_they_are_named() {
    let found = |comment| ids(comment).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(found("RL-3, RL-4: quotas. (CR-6)"), "CR-6 RL-3 RL-4");
    assert_eq!(found("decision 7: the end"), "D-7");
    assert_eq!(found("Decisions 15, 16 and 17 hold 3 times"), "D-15 D-16 D-17");
    assert_eq!(found("decisions 4 to 6, EN-1"), "D-4 D-5 D-6 EN-1");
    assert_eq!(found("D-20 and decisions 8–10 (D-12)"), "D-10 D-12 D-20 D-8 D-9");
    assert_eq!(found("XRL-3, RL-x, UTF-8, RL-3b, our decision: 3 of 4"), "D-3");
    assert_eq!(found("SHA-256 of 2 decisions, none here"), "");
    assert_eq!(found("OC-9, decision 20: 10,000 schedules"), "D-20 OC-9");
}
