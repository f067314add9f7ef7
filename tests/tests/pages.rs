//! What the pages of the project show is true: code is compiled and run, examples are listed.

#[path = "house/files.rs"]
#[allow(clippy::expect_used, reason = "helpers of tests")]
mod files;

use std::collections::BTreeSet;

use files::{File, files};

/// Pages whose code may be compiled without being run, because it needs an account somewhere: those for whom it is the
/// first thing that they see.
fn may_be_compiled_only(path: &str) -> bool {
    path.ends_with("README.md") || path == "docs/migrating.md"
}

/// The path that `link` leads to from the folder of `path`.
fn follow(path: &str, link: &str) -> String {
    let mut steps: Vec<_> = path.split('/').collect();
    steps.pop();
    for step in link.split('/') {
        match step {
            ".." => drop(steps.pop()),
            "." | "" => {}
            step => steps.push(step),
        }
    }
    steps.join("/")
}

/// The info strings of the blocks of Rust on a page.
fn blocks(page: &File) -> Vec<&str> {
    let fences = page.text.lines().filter_map(|line| line.trim_start().strip_prefix("```"));
    // Every second fence is the end of a block.
    fences.step_by(2).filter(|info| info.split(',').any(|word| word == "rust" || word == "no_run")).collect()
}

#[test]
fn every_block_of_rust_on_a_page_is_a_doctest() {
    let files = files();
    let included: BTreeSet<String> = files
        .iter()
        .filter(|file| file.is_rust())
        .flat_map(|file| {
            let links =
                file.text.split("#[doc = include_str!(\"").chain(file.text.split("#![doc = include_str!(\""));
            links.skip(1).filter_map(|rest| rest.split('"').next()).map(|link| follow(&file.path, link))
        })
        .collect();
    let (mut faults, mut found) = (Vec::new(), 0);
    for page in files.iter().filter(|file| file.path.ends_with(".md") && !file.path.contains("/fixtures/")) {
        let blocks = blocks(page);
        found += blocks.len();
        if !blocks.is_empty() && !included.contains(&page.path) {
            faults.push(format!("{}: add it to the pages in tests/src/lib.rs, or to its crate", page.path));
        }
        for info in blocks {
            let is_run = info == "rust" || (info == "rust,no_run" && may_be_compiled_only(&page.path));
            if !is_run {
                faults.push(format!("{}: a block is `{info}`, so it is not run", page.path));
            }
        }
    }
    assert!(found > 8, "the blocks were not found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What needs a feature to compile may be left out without it; nothing else may.
#[test]
fn no_example_in_the_documentation_is_ignored() {
    let ignored = ["```", "ignore"].concat();
    for file in files().iter().filter(|file| file.path.starts_with("crates/") && file.is_rust()) {
        for (number, line) in file.text.lines().enumerate() {
            let is_ignored = line.replace("rust,", "").contains(&ignored) && !line.contains("cfg_attr(not(");
            assert!(!is_ignored, "{}:{}: an example that nobody compiles", file.path, number + 1);
        }
    }
}

#[test]
fn every_example_is_in_the_index() {
    let files = files();
    let index = files.iter().find(|file| file.path == "examples/README.md");
    let index = index.map(|file| file.text.as_str()).unwrap_or_default();
    let names = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("examples/examples/")?.strip_suffix(".rs"))
        .collect::<Vec<_>>();
    assert!(names.contains(&"quickstart"), "the examples were not found");
    for name in names {
        let entry = format!("[{name}](examples/{name}.rs)");
        assert!(index.contains(&entry), "examples/README.md does not list {entry}");
    }
}
