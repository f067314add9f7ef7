//! Rounds, medians and tables of the benchmarks that criterion cannot do.

use std::fmt::Display;

/// How much is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often everything is measured.
    pub rounds: usize,
    /// Only see that it works.
    pub quick: bool,
}

impl Effort {
    /// What the command line asks for. `cargo bench` says `--bench`; without it, or with `--quick`, this is a test.
    #[must_use]
    pub fn from_args() -> Self {
        let words: Vec<_> = std::env::args().collect();
        let quick = words.iter().any(|word| word == "--quick") || !words.iter().any(|word| word == "--bench");
        let asked =
            words.iter().position(|word| word == "--rounds").and_then(|at| words.get(at + 1)?.parse().ok());
        Self { rounds: if quick { 1 } else { asked.unwrap_or(5) }, quick }
    }

    /// `full`, or `quick` in a test.
    #[must_use]
    pub const fn of(self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }
}

/// The median.
///
/// # Panics
/// If there are no values.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    assert!(!values.is_empty(), "nothing was measured");
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// A table in Markdown.
#[derive(Debug)]
pub struct Table {
    columns: usize,
    text: String,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new<const N: usize>(columns: [&str; N]) -> Self {
        let mut table = Self { columns: N, text: String::new() };
        table.row(columns);
        table.row([const { "---" }; N]);
        table
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [impl Display; N]) {
        assert_eq!(N, self.columns, "a row has as many cells as there are columns");
        self.text.push('|');
        for cell in cells {
            self.text.push_str(&format!(" {cell} |"));
        }
        self.text.push('\n');
    }

    /// Prints it.
    #[allow(clippy::print_stdout, reason = "this is what a benchmark is for")]
    pub fn print(self) {
        println!("{}", self.text);
    }
}

/// `one / other`, or a dash if there is nothing to compare with.
#[must_use]
pub fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}
