//! How the story is told: line by line, with time to read if somebody watches.

use std::fmt::Display;
use std::time::Duration;

use crate::output::{BOLD, DIM, Output, paint};

/// The pause before a scene.
const CURTAIN: Duration = Duration::from_millis(320);
/// The pause after a line.
const BREATH: Duration = Duration::from_millis(180);

/// Tells the story.
#[derive(Debug)]
pub(super) struct Narrator<'a> {
    output: &'a mut Output,
    is_live: bool,
    scenes: u32,
}

impl<'a> Narrator<'a> {
    pub(super) const fn new(output: &'a mut Output, is_live: bool) -> Self {
        Self { output, is_live, scenes: 0 }
    }

    pub(super) async fn pause(&self, time: Duration) {
        if self.is_live {
            tokio::time::sleep(time).await;
        }
    }

    pub(super) async fn opening(&mut self, server: &str) {
        self.output.line(format_args!("a transport, and an ingest server at {server}"));
        self.pause(BREATH).await;
    }

    pub(super) async fn scene(&mut self, title: &str) {
        self.pause(CURTAIN).await;
        self.scenes += 1;
        self.output.line("");
        self.output.line(format_args!("{} {}", paint(DIM, self.scenes), paint(BOLD, title)));
        self.pause(BREATH).await;
    }

    pub(super) async fn say(&mut self, words: impl Display) {
        self.output.line(format_args!("  {words}"));
        self.pause(BREATH).await;
    }
}
