//! The public API of each library is kept in `docs/api/`, one line per item, so that a change of it is seen in review.
//! And of what others make, only the types of a few crates may be part of it: a new major version of theirs is one of ours.
//!
//! `./check api` runs this, `ENVOI_BLESS=1 ./check api` writes the files anew.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "house/files.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use files::{files, root};

/// Whose types each library shows. The standard library and our own crates go without saying.
///
/// Those without a stable version yet are here because a user would otherwise have to write adapters: hyper-util has the
/// trait of connectors and the I/O types of hyper, tokio-util the token that a close cancels, tower the `Timeout` that the
/// types of the presets name. The two integrations show what they integrate.
const EXTERNAL: &[(&str, &[&str])] = &[
    ("envoi", &["bytes", "http", "serde_core", "tokio", "tower", "tower_layer", "tower_service"]),
    ("envoi-batch", &["bytes", "http", "serde_core", "serde_json"]),
    ("envoi-core", &["bytes", "http", "http_body", "tower_service"]),
    ("envoi-envelope", &["bytes", "http"]),
    (
        "envoi-http",
        &[
            "bytes",
            "http",
            "http_body",
            "hyper",
            "hyper_util",
            "tokio",
            "tokio_util",
            "tower_layer",
            "tower_service",
        ],
    ),
    ("envoi-layers", &["http", "tokio", "tokio_util", "tower_layer", "tower_service"]),
    ("envoi-opentelemetry", &["bytes", "http", "opentelemetry_http", "tokio"]),
    ("envoi-sentry", &["sentry_core", "sentry_types"]),
    ("envoi-spool", &["bytes"]),
    (
        "envoi-testkit",
        &["bytes", "http", "http_body", "http_body_util", "tokio", "tower_layer", "tower_service"],
    ),
];

fn libraries() -> Vec<String> {
    let found: Vec<_> = files()
        .iter()
        .filter_map(|file| file.path.strip_prefix("crates/")?.strip_suffix("/src/lib.rs").map(str::to_owned))
        .collect();
    assert!(found.iter().any(|name| name == "envoi-core"), "the libraries were not found");
    found
}

/// Runs rustdoc over `libraries`; where it writes what it has read.
fn document(libraries: &[String]) -> PathBuf {
    let target =
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is a folder of the target directory");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["doc", "--quiet", "--no-deps", "--lib", "--all-features", "--target-dir"]).arg(target);
    for name in libraries {
        cargo.args(["--package", name]);
    }
    cargo.current_dir(root()).env("RUSTDOC", root().join(".ci/rustdoc-json"));
    cargo.env("RUSTDOCFLAGS", "-Zunstable-options --output-format=json --cap-lints=allow");
    assert!(cargo.status().expect("cargo can be run").success(), "rustdoc failed: {cargo:?}");
    target.join("doc")
}

/// What is public, one line per item. Blanket implementations, `Send` and the like, and what is derived are left out: they
/// follow from the rest. So does `Unpin` of what pin-project-lite has made.
fn api(json: &Path) -> Vec<String> {
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    match api {
        Ok(api) => {
            let lines = api.items().map(|item| mend(&item.to_string()));
            lines.filter(|line| !line.starts_with("impl<'__pin")).collect()
        }
        Err(error) => panic!(
            "{}: {error}\nIf rustdoc writes a newer format, take the version of `public-api` that reads it (tests/Cargo.toml)",
            json.display()
        ),
    }
}

/// `Trait<Output: core::marker::Send>` loses its colon on the way here; the line is still one of a kind, but hard to read.
fn mend(line: &str) -> String {
    let listed = EXTERNAL.iter().flat_map(|(own, list)| list.iter().chain(std::iter::once(own)));
    let names: BTreeSet<_> =
        listed.chain(&["alloc", "core", "std"]).map(|name| name.replace('-', "_") + "::").collect();
    let mut mended = line.to_owned();
    for name in names {
        let places: Vec<_> = mended.match_indices(&name).map(|(at, _)| at).collect();
        for at in places.into_iter().rev() {
            if mended[..at].ends_with(|before: char| before.is_ascii_alphabetic()) {
                mended.insert_str(at, ": ");
            }
        }
    }
    mended
}

/// The crates that paths in a line begin with.
fn crates(line: &str) -> BTreeSet<&str> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = line.as_bytes();
    line.match_indices("::")
        .filter_map(|(end, _)| {
            let start = bytes[..end].iter().rposition(|byte| !is_part(*byte)).map_or(0, |before| before + 1);
            let is_first = !line[..start].ends_with("::");
            let is_crate = bytes[start..end].first().is_some_and(u8::is_ascii_lowercase);
            (is_first && is_crate).then(|| &line[start..end])
        })
        .collect()
}

#[test]
fn the_crates_of_a_line_are_found() {
    let line = "pub fn a_b::C<S>::poll(&mut self, _: &mut core::task::wake::Context<'_>) -> <S as tower::Layer>::Out \
                where S: http::Body<Data = bytes::bytes::Bytes>, S::Error: core::fmt::Debug";
    assert_eq!(crates(line), BTreeSet::from(["a_b", "bytes", "core", "http", "tower"]));
    assert!(crates("impl<T> Send for T where T: Self::X").is_empty());
}

#[test]
fn a_lost_colon_is_put_back() {
    let line = "where S: Service<Futurecore::marker::Send + 'static, Error: core::fmt::Debug>, T: envoi_core::Codec<P>";
    let mended = "where S: Service<Future: core::marker::Send + 'static, Error: core::fmt::Debug>, T: envoi_core::Codec<P>";
    assert_eq!((mend(line), mend(mended)), (mended.to_owned(), mended.to_owned()));
}

#[test]
fn the_public_api_is_the_one_that_was_reviewed() {
    let bless = std::env::var_os("ENVOI_BLESS").is_some();
    let (libraries, allowed): (_, BTreeMap<_, _>) = (libraries(), EXTERNAL.iter().copied().collect());
    let documented = document(&libraries);
    let folder = root().join("docs/api");
    let mut faults = Vec::new();
    for name in &libraries {
        let own = name.replace('-', "_");
        let lines = api(&documented.join(format!("{own}.json")));
        assert!(!lines.is_empty(), "{name} has no public item");

        let mut unused: BTreeSet<_> =
            allowed.get(name.as_str()).into_iter().flat_map(|list| list.iter().copied()).collect();
        let allowed = unused.clone();
        for line in &lines {
            for other in crates(line) {
                let is_ours = other.starts_with("envoi") || ["core", "alloc", "std"].contains(&other);
                unused.remove(other);
                if !is_ours && !allowed.contains(other) {
                    faults
                        .push(format!("{name} shows a type of `{other}`, which is not in its list: {line}"));
                }
            }
        }
        faults.extend(unused.into_iter().map(|other| format!("{name} shows no type of `{other}` any more")));

        let path = folder.join(format!("{name}.txt"));
        if bless {
            fs::create_dir_all(&folder).expect("docs can be written");
            fs::write(&path, lines.join("\n") + "\n").expect("docs can be written");
            continue;
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let (before, after): (BTreeSet<_>, BTreeSet<_>) =
            (kept.lines().collect(), lines.iter().map(String::as_str).collect());
        faults.extend(before.difference(&after).map(|line| format!("{name}: - {line}")));
        faults.extend(after.difference(&before).map(|line| format!("{name}: + {line}")));
    }
    let kept = files().into_iter().filter(|file| file.path.starts_with("docs/api/"));
    for file in kept.filter(|file| !libraries.iter().any(|name| file.path == format!("docs/api/{name}.txt")))
    {
        faults.push(format!("{} belongs to no library: remove it", file.path));
    }
    assert!(
        faults.is_empty(),
        "{}\nIf that is meant, write it down with `ENVOI_BLESS=1 ./check api`, and in CHANGELOG.md",
        faults.join("\n")
    );
}
