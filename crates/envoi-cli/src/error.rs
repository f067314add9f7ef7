//! What can go wrong in a command, and how that is said: one line with the cause and the way out.

use std::fmt;
use std::process::ExitCode;

use crate::text;

/// How a command ended, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for was done.
    Done,
    /// Something was not: not all delivered, malformed input, a balance that does not add up.
    Failed,
    /// The command line makes no sense; nothing was done.
    Usage,
}

impl Exit {
    /// [`Exit::Done`] if `done`, else [`Exit::Failed`].
    pub(crate) const fn when(done: bool) -> Self {
        if done { Self::Done } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
        })
    }
}

/// An error that ends a command.
///
/// The message is cleaned on the way in: control characters are escaped and credentials in URLs are blotted out, so
/// that whatever a user or a server put there may be shown.
#[derive(Debug)]
pub(crate) struct CliError {
    exit: Exit,
    message: String,
}

impl CliError {
    /// The command line makes no sense.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, &message)
    }

    /// The command could not do its work.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, &message)
    }

    fn new(exit: Exit, message: &dyn fmt::Display) -> Self {
        Self { exit, message: text::redact(&text::clean(&message.to_string())) }
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A usage error of the argument parser, in one line.
///
/// The parser's own text takes several lines and may repeat a value, which may be a DSN.
pub(crate) fn from_parser(error: &clap::Error) -> CliError {
    let text = error.to_string();
    let mut words: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        }
        if !line.is_empty() {
            words.push(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    CliError::usage(format_args!("{}; `envoi --help` tells more", words.join(" ")))
}

/// The chain of sources of `error` in one line, without repetitions and without the link in which hyper's client only
/// says that it is one.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut whole = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !said.is_empty() && !said.starts_with("client error (") && !whole.contains(&said) {
            whole.push_str(": ");
            whole.push_str(&said);
        }
        next = cause.source();
    }
    whole
}
