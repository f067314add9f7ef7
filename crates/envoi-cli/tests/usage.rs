//! The command line itself: help, usage errors, colours, a reader that goes away.

mod support;

use support::{Folder, envoi, event, finish, run};

#[tokio::test]
async fn help_of_every_command_has_examples() {
    for command in [
        &["--help"] as &[&str],
        &["demo", "--help"],
        &["send", "--help"],
        &["doctor", "--help"],
        &["ingest", "--help"],
        &["inspect", "--help"],
    ] {
        let run = run(command).await;
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stdout.contains("Examples:\n  envoi "), "{command:?}: {}", run.stdout);
        assert!(!run.stdout.contains('\u{1b}'));
    }
}

#[tokio::test]
async fn the_version_is_told() {
    let run = run(&["--version"]).await;
    assert_eq!((run.code, run.stdout.trim()), (0, concat!("envoi ", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn without_a_command_there_is_help_and_code_2() {
    let run = run(&[]).await;
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("Usage: envoi"), "{run:?}");
}

#[tokio::test]
async fn usage_errors_are_one_line_with_the_way_out_and_code_2() {
    let dsn = "http://key@127.0.0.1:1/1";
    for args in [
        &["sent"] as &[&str],
        &["send"],
        &["send", "--dsn", dsn],
        &["send", "x.envelope"],
        &["send", "--dsn", dsn, "no/such/file"],
        &["send", "--dsn", dsn, "-", "-"],
        &["send", "--dsn", dsn, "--encoding", "lzw", "-"],
        &["send", "--dsn", dsn, "--concurrency", "0", "-"],
        &["send", "--dsn", dsn, "--timeout", "soon", "-"],
        &["send", "--dsn", dsn, "--retries", "-1", "-"],
        &["inspect"],
        &["inspect", "a", "--dsn", dsn],
        &["ingest", "--fail", "boom"],
        &["ingest", "--listen", "nowhere"],
    ] {
        let run = run(args).await;
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}: {run:?}");
        assert!(run.error_line().starts_with("error: "), "{args:?}: {run:?}");
        assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
    }
}

/// AU-6, AU-7: wherever a DSN lands on the command line, its secret is not repeated.
#[tokio::test]
async fn no_usage_error_shows_a_secret() {
    let dsn = "https://public:s3cr3t@host/1";
    for args in
        [&["send", dsn] as &[&str], &[dsn], &["send", "--dsn", dsn, dsn], &["ingest", "--listen", dsn]]
    {
        let run = run(args).await;
        assert_eq!(run.code, 2, "{run:?}");
        assert!(!run.both().contains("s3cr3t"), "{run:?}");
    }
    for (malformed, part) in [
        ("https://public:s3cr3t@host", "project id"),
        ("https://:s3cr3t@host/1", "public key"),
        ("https://public:s3cr3t@:1/1", "host"),
        ("https://public:s3cr3t@host:x/1", "port"),
    ] {
        let mut command = envoi(&["send", "-"]);
        command.env("SENTRY_DSN", malformed);
        let run = finish(command).await;
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.error_line().contains(part), "{run:?}");
        assert!(!run.both().contains("s3cr3t"), "{run:?}");
        let mut help = envoi(&["send", "--help"]);
        help.env("SENTRY_DSN", malformed);
        assert!(!finish(help).await.both().contains("s3cr3t"), "the help does not show the environment");
    }
}

/// AU-6, TR-3: what cannot work is refused at once, before any file is looked at.
#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_refused_at_once() {
    let mut command =
        envoi(&["send", "--dsn", "https://public:s3cr3t@o1.ingest.example.com/42", "no/such/file"]);
    command.env("https_proxy", "gopher://user:s3cr3t@proxy.example.com");
    let run = finish(command).await;
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    let line = run.error_line();
    assert!(line.contains("proxy") && line.contains("https_proxy"), "{line}");
    assert!(!line.contains("s3cr3t"), "{line}");
}

#[tokio::test]
async fn an_empty_dsn_is_no_dsn() {
    let mut command = envoi(&["send", "-"]);
    command.env("SENTRY_DSN", " ");
    let run = finish(command).await;
    assert_eq!(run.code, 2);
    assert!(run.error_line().contains("SENTRY_DSN"), "{run:?}");
}

#[tokio::test]
async fn colours_are_for_those_who_want_them() {
    let folder = Folder::new().with("a.envelope", event(5));
    let run = |name: &'static str, value: &'static str| {
        let mut command = envoi(&["inspect", &folder.name("a.envelope")]);
        command.env(name, value);
        finish(command)
    };
    assert!(!run("NO_COLOR", "1").await.stdout.contains('\u{1b}'));
    assert!(run("CLICOLOR_FORCE", "1").await.stdout.contains('\u{1b}'));
    let mut both = envoi(&["inspect", &folder.name("a.envelope")]);
    both.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!finish(both).await.stdout.contains('\u{1b}'), "NO_COLOR has the last word");
}

/// A reader that has seen enough is not an error, and nothing panics.
#[cfg(unix)]
#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new().with("a.envelope", event(5));
    let mut command = envoi(&["inspect", &folder.name("a.envelope")]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer).stderr(std::process::Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
