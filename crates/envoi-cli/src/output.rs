//! Standard output and standard error: what is a result, what is a remark, and when there is colour.
//!
//! Results go to standard output, remarks and progress to standard error. Both lose their colours when they are not
//! terminals or when `NO_COLOR` is set. A reader that went away (`envoi … | head`) is not an error: nothing more is
//! written, and the command ends as soon as that makes sense.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::error::CliError;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();

/// `text` in a style. Streams that want no colour take it out again.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Where a command writes.
#[derive(Debug)]
pub(crate) struct Output {
    progress: ProgressBar,
    failure: Option<io::Error>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self { progress: ProgressBar::hidden(), failure: None }
    }

    /// Shows a progress bar for `total` steps, if standard error is a terminal.
    pub(crate) fn start_progress(&mut self, total: u64) {
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
        {
            bar.set_style(style);
        }
        self.progress = bar;
    }

    /// Shows how many bytes of `total` are done, or without a total how many.
    pub(crate) fn start_bytes(&mut self, total: Option<u64>) {
        let (bar, template) = match total {
            Some(total) => {
                (ProgressBar::new(total), "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        self.progress = bar;
    }

    pub(crate) fn advance_by(&self, steps: u64) {
        self.progress.inc(steps);
    }

    pub(crate) fn advance(&self) {
        self.progress.inc(1);
    }

    pub(crate) fn end_progress(&mut self) {
        self.progress.finish_and_clear();
        self.progress = ProgressBar::hidden();
    }

    /// A result: one or more lines on standard output. `text` must be clean.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) {
        if self.failure.is_none() {
            let written = self.progress.suspend(|| writeln!(anstream::stdout(), "{text}"));
            self.failure = written.err();
        }
    }

    /// A result for machines: one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(line) => self.line(line),
            Err(error) => self.failure = Some(error.into()),
        }
    }

    /// A remark on standard error. `text` must be clean.
    pub(crate) fn note(&self, text: impl std::fmt::Display) {
        // Nobody is left to be told that standard error is gone.
        let _ = self.progress.suspend(|| writeln!(anstream::stderr(), "{text}"));
    }

    /// Whether nobody reads the results any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.failure.is_some()
    }

    /// Says whether all results could be written. A reader that went away has seen what it wanted.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        match self.failure {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(CliError::failed(format_args!("cannot write to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }
}
