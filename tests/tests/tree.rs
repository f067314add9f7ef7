//! Rules of the house that neither the compiler nor clippy knows. `docs/architecture.md` gives the reasons.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod house;

use std::collections::{BTreeMap, BTreeSet};

use house::files::{File, files};
use house::functions::{Function, functions};

/// A `Cargo.toml`, as far as the rules look at it.
struct Manifest {
    path: String,
    name: String,
    text: String,
    published: bool,
    /// Per table (`dependencies`, `dev-dependencies`, ...): name and specification.
    dependencies: Vec<(String, String, String)>,
}

impl Manifest {
    fn read(file: File) -> Self {
        let mut table = String::new();
        let mut name = String::new();
        let mut dependencies = Vec::new();
        for line in file.text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_end_matches(']').to_owned();
            } else if let Some((key, value)) = line.split_once('=') {
                let (key, value) = (key.trim().trim_matches('"'), value.trim());
                if table == "package" && key == "name" {
                    name = value.trim_matches('"').to_owned();
                } else if table.ends_with("dependencies") {
                    let key = key.split('.').next().unwrap_or(key);
                    dependencies.push((table.clone(), key.to_owned(), value.to_owned()));
                }
            }
        }
        let published = !file.text.contains("publish = false");
        Self { path: file.path, name, text: file.text, published, dependencies }
    }

    /// What users of the crate get, whatever the platform.
    fn required(&self) -> BTreeSet<&str> {
        self.dependencies
            .iter()
            .filter(|(table, ..)| !table.ends_with("dev-dependencies"))
            .map(|(_, name, _)| name.as_str())
            .collect()
    }

    fn folder(&self) -> &str {
        self.path.trim_end_matches("Cargo.toml")
    }
}

fn manifests() -> Vec<Manifest> {
    let is_member = |file: &File| {
        let is_outside = file.path.starts_with("fuzz/") || file.path.starts_with("tests/fixtures/");
        file.path.ends_with("/Cargo.toml") && !is_outside
    };
    let manifests: Vec<_> = files().into_iter().filter(is_member).map(Manifest::read).collect();
    assert!(manifests.iter().any(|manifest| manifest.name == "envoi-core"), "the manifests were not found");
    manifests
}

fn text_of(path: &str) -> String {
    let Some(file) = files().into_iter().find(|file| file.path == path) else { panic!("{path} is missing") };
    file.text
}

#[test]
fn every_published_crate_has_its_papers() {
    let root = text_of("Cargo.toml");
    for rule in ["unsafe_code = \"forbid\"", "missing_docs = \"deny\"", "unwrap_used = \"warn\""] {
        assert!(root.contains(rule), "the workspace lints lost {rule}");
    }
    let (readme, changelog) = (text_of("README.md"), text_of("CHANGELOG.md"));
    for manifest in manifests() {
        assert!(manifest.text.contains("[lints]\nworkspace = true"), "{} lacks the lints", manifest.path);
        if !manifest.published {
            continue;
        }
        for needed in
            ["description = ", "license.workspace", "readme = \"README.md\"", "[package.metadata.docs.rs]"]
        {
            assert!(manifest.text.contains(needed), "{} lacks {needed}", manifest.path);
        }
        let own = text_of(&format!("{}README.md", manifest.folder()));
        assert!(
            own.starts_with(&format!("# {}\n", manifest.name)),
            "the README of {} lacks its title",
            manifest.name
        );
        assert!(own.lines().count() >= 8, "the README of {} says next to nothing", manifest.name);
        assert!(own.contains("MIT"), "the README of {} lacks the licence", manifest.name);
        // What is published is the folder of the crate, and both licences ask to go along with the work.
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let copy = text_of(&format!("{}{licence}", manifest.folder()));
            assert!(copy == text_of(licence), "{} has another {licence}; make it a link", manifest.folder());
        }
        let mention = format!("`{}`", manifest.name);
        assert!(readme.contains(&mention), "README.md does not name {mention}");
        assert!(changelog.contains(&mention), "CHANGELOG.md does not name {mention}");
    }
}

/// What each crate of the project may depend on within the project. Arrows point one way; the crates of layers do not
/// know each other.
const ARROWS: &[(&str, &[&str])] = &[
    ("envoi-core", &[]),
    ("envoi-envelope", &["envoi-core"]),
    ("envoi-layers", &["envoi-core"]),
    ("envoi-http", &["envoi-core"]),
    ("envoi-spool", &["envoi-core"]),
    ("envoi-batch", &["envoi-core"]),
    ("envoi-jetstream", &["envoi-core"]),
    ("envoi-opentelemetry", &["envoi-core", "envoi-http"]),
    ("envoi-testkit", &["envoi-core", "envoi-envelope"]),
    (
        "envoi",
        &[
            "envoi-core",
            "envoi-envelope",
            "envoi-layers",
            "envoi-http",
            "envoi-spool",
            "envoi-batch",
            "envoi-jetstream",
        ],
    ),
    ("envoi-sentry", &["envoi", "envoi-core", "envoi-envelope"]),
];

#[test]
fn arrows_between_crates_point_one_way() {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for manifest in manifests().iter().filter(|manifest| manifest.published) {
        // The command stands on top of everything.
        if manifest.name == "envoi-cli" {
            continue;
        }
        let Some(allowed) = arrows.get(manifest.name.as_str()) else {
            panic!("{} is new: give it a place in ARROWS", manifest.name);
        };
        for needed in manifest.required().into_iter().filter(|name| name.starts_with("envoi")) {
            assert!(allowed.contains(&needed), "{} may not know {needed}", manifest.name);
        }
        // A published crate that tests itself with another of ours: by path only, which `cargo publish` strips, or
        // neither of both could ever be published first.
        for (table, name, how) in &manifest.dependencies {
            if table.ends_with("dev-dependencies")
                && name.starts_with("envoi")
                && !allowed.contains(&name.as_str())
            {
                assert!(how.contains("path = "), "{}: {name} in {table} must be `path` only", manifest.name);
            }
        }
    }
}

/// The vocabulary has no runtime and does no I/O, and what it depends on is part of every user's API.
#[test]
fn the_core_depends_on_four_crates() {
    let manifests = manifests();
    let core = manifests.iter().find(|manifest| manifest.name == "envoi-core").expect("there is a core");
    assert_eq!(core.required(), BTreeSet::from(["bytes", "http", "http-body", "tower-service"]));
}

/// The protocol is pure: it is given bytes, headers and the time.
#[test]
fn the_protocol_has_no_runtime() {
    for manifest in manifests().iter().filter(|manifest| manifest.name == "envoi-envelope") {
        for name in manifest.required() {
            assert!(
                !["tokio", "hyper", "tower", "tower-layer", "tower-service"].contains(&name),
                "envoi-envelope may not know {name}"
            );
        }
    }
}

/// Paths of modules that exist in test builds only, without the extension.
fn test_modules(files: &[File]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines: Vec<_> = file.text.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            let gated =
                pair[0].starts_with("#[cfg(") && pair[0].contains("test") && !pair[0].contains("not(test");
            if let Some(name) = pair[1].rsplit(' ').next().and_then(|name| name.strip_suffix(';'))
                && gated
                && pair[1].contains("mod ")
            {
                let (folder, own) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
                let own = own.trim_end_matches(".rs");
                found.insert(match own {
                    "mod" | "lib" | "main" => format!("{folder}/{name}"),
                    own => format!("{folder}/{own}/{name}"),
                });
            }
        }
    }
    found
}

/// The lines of a library or program that are compiled outside tests, with their numbers and without comments.
fn shipped_lines(file: &File) -> Vec<(usize, &str)> {
    let mut shipped = Vec::new();
    let mut lines = file.text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        if line.trim().starts_with("#[cfg(") && line.contains("test") && !line.contains("not(test") {
            // The gated item: to its end, by indentation.
            let indent = line.len() - line.trim_start().len();
            for (_, line) in lines.by_ref() {
                let ends_here = line.len() - line.trim_start().len() == indent;
                if ends_here && (line.ends_with(';') || line.ends_with('}') || line.ends_with(',')) {
                    break;
                }
            }
            continue;
        }
        shipped.push((number + 1, line.split("//").next().unwrap_or(line)));
    }
    shipped
}

/// Bad input never panics: outside tests nothing may, except by `unreachable!` with a reason. Clippy says so too; this
/// test sees to it that nobody silences clippy. The testkit is made of assertions and may panic.
#[test]
fn nothing_that_is_shipped_panics_by_choice() {
    // Put together here, so that this file does not find itself.
    let calls = [".unwrap()", ".expect(\"", "panic!(", "todo!(", "unimplemented!(", "dbg!("];
    let lints = ["unwrap_used", "expect_used", "panic", "todo", "unimplemented"]
        .map(|lint| format!("clippy::{lint}"));
    let files = files();
    let tests = test_modules(&files);
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && file.path.starts_with("crates/")) {
        let module = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let in_tests = tests.iter().any(|test| {
            module == test || module.strip_prefix(test.as_str()).is_some_and(|rest| rest.starts_with('/'))
        });
        if !file.path.contains("/src/") || in_tests || file.path.starts_with("crates/envoi-testkit/") {
            continue;
        }
        for (number, line) in shipped_lines(file) {
            let silenced = lints.iter().any(|lint| line.contains(lint.as_str()));
            if silenced || calls.iter().any(|call| line.contains(call)) {
                faults.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "these may panic:\n{}", faults.join("\n"));
}

/// Nothing in the tree knows on which machine it was written.
#[test]
fn no_paths_of_a_machine() {
    // Put together here, so that this file does not find itself.
    let roots = ["work", "home", "root", "Users", "tmp"].map(|folder| format!("/{folder}/"));
    let mut faults = Vec::new();
    for file in files() {
        // Real envelopes of real programs, kept as they were.
        if file.path.contains("/corpus/") || file.path == "tests/tests/tree.rs" {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            for root in &roots {
                // Absolute only: not the middle of a longer path or of an URL.
                let absolute = line.match_indices(root.as_str()).any(|(at, _)| {
                    !line[..at]
                        .ends_with(|before: char| before.is_alphanumeric() || ".-_}/*".contains(before))
                });
                if absolute {
                    faults.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "paths of a machine:\n{}", faults.join("\n"));
}

/// What a page of the project points to is there.
#[test]
fn links_between_pages_lead_somewhere() {
    let files = files();
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut dead = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md") && !file.path.contains("/corpus/")) {
        let folder = file.path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        for link in file.text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
            for step in target.split('/') {
                match step {
                    ".." => drop(steps.pop()),
                    "." | "" => {}
                    step => steps.push(step),
                }
            }
            let path = steps.join("/");
            let is_folder = paths.iter().any(|other| other.starts_with(&format!("{path}/")));
            if !target.is_empty() && !target.contains("://") && !paths.contains(path.as_str()) && !is_folder {
                dead.push(format!("{} -> {target}", file.path));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

fn tests_of_the_project() -> Vec<(String, Function)> {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| file.is_rust()) {
        for function in functions(file).into_iter().filter(Function::is_test) {
            found.push((file.path.clone(), function));
        }
    }
    assert!(found.len() > 50, "the tests were not found");
    found
}

#[test]
fn no_test_is_ignored() {
    for (path, test) in tests_of_the_project() {
        assert!(!test.attributes.contains("#[ignore"), "{path}::{} is ignored", test.name);
    }
}

/// Tests whose subject is a timer of real time.
const ON_REAL_TIME: &[&str] = &[
    // That the thread of a queue has a timer of its own.
    "a_layer_outside_of_a_runtime_has_its_own_thread",
];

/// A test that sleeps is slow where it works and flaky where it does not: time is paused, or passed in.
#[test]
fn no_test_sleeps_on_real_time() {
    let (thread, any) = (["thread::", "sleep("].concat(), ["sleep", "("].concat());
    for (path, test) in tests_of_the_project() {
        let name = &test.name;
        assert!(!test.body.contains(&thread), "{path}::{name} blocks a thread");
        let paused = test.attributes.contains("start_paused") || test.body.contains("time::pause()");
        let excepted = ON_REAL_TIME.contains(&name.as_str());
        assert!(
            paused || excepted || !test.body.contains(&any),
            "{path}::{name} sleeps on real time: pause it"
        );
    }
}

/// The rules above are only as good as the reading of the sources.
#[test]
fn functions_are_read_as_they_stand() {
    let text = "mod tests {\n    /// RL-3: one.\n    /// More.\n    #[tokio::test(\n        start_paused = true\n    )]\n    \
                async fn first() {\n        nap();\n    }\n\n    // Lost.\n\n    #[test]\n    fn second() {}\n    \
                #[cfg(test)]\n    pub(crate) fn third() {\n    }\n}\n";
    let found = functions(&File { path: "x.rs".to_owned(), text: text.to_owned() });
    let names: Vec<_> = found.iter().map(|function| (function.name.as_str(), function.is_test())).collect();
    assert_eq!(names, [("first", true), ("second", true), ("third", false)]);
    assert_eq!(found[0].comment, "RL-3: one.\nMore.\n");
    assert_eq!(found[0].body.trim(), "nap();");
    assert!(found[0].attributes.contains("start_paused"));
    assert_eq!(found[1].comment, "", "a blank line parts a comment from a function");
}
