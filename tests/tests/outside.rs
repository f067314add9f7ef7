//! What "extension point" means: a crate of somebody else has a payload, a codec, layers, a store, books and limits of its own, and
//! needs nothing that is not published. The crate is `tests/fixtures/outside`; it is built here as its author would.
#![allow(clippy::expect_used, reason = "helpers of tests")]

#[path = "house/files.rs"]
mod files;

use std::fs;
use std::path::Path;
use std::process::Command;

use files::{files, root};

const FIXTURE: &str = "tests/fixtures/outside/";

#[test]
fn a_crate_of_somebody_else_builds_and_passes_its_tests() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = scratch.parent().expect("it is a folder of the target directory");
    let home = scratch.join("outside");
    // A test that was taken out of the crate must not be found any more. That there is nothing yet is the usual case.
    let _ = fs::remove_dir_all(&home);
    let crates = root().join("crates").to_string_lossy().replace('\\', "/");
    let mut has_tests = false;
    for file in files() {
        let Some(path) = file.path.strip_prefix(FIXTURE) else { continue };
        has_tests |= file.text.contains("#[tokio::test");
        let path = home.join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the target can be written");
        fs::write(path, file.text.replace("../../../crates", &crates)).expect("the target can be written");
    }
    assert!(has_tests, "the crate was not found");
    // The versions that were fetched already: no network, and nothing that is built twice.
    fs::copy(root().join("Cargo.lock"), home.join("Cargo.lock")).expect("the target can be written");

    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--quiet", "--offline", "--target-dir"]).arg(target).current_dir(&home);
    let output = cargo.output().expect("cargo can be run");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{cargo:?} failed:\n{said}\n{complained}");
    assert!(said.contains("3 passed"), "its tests were not run:\n{said}");
}

/// Whatever is public is documented: there is no back door that our own crates could use and others not. A trait that
/// nobody else can implement may hide how it works.
#[test]
fn nothing_public_is_hidden() {
    let hidden = ["doc(", "hidden)"].concat();
    for file in files().iter().filter(|file| file.path.starts_with("crates/") && file.is_rust()) {
        let is_open = !file.text.contains("sealed::Sealed");
        assert!(!is_open || !file.text.contains(&hidden), "{} hides an item that is public", file.path);
    }
}
