//! Aligned tables for people.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use crate::text;

/// On which side a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// One cell. Its text is made safe for a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: text::clean(text.as_ref()).into_owned(), style: Style::new() }
    }

    pub(crate) fn number(number: u64) -> Self {
        Self::new(text::grouped(number))
    }

    pub(crate) const fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    fn width(&self) -> usize {
        self.text.width()
    }

    fn write(&self, line: &mut String, align: Align, width: usize) {
        let padding = width.saturating_sub(self.width());
        if align == Align::Right {
            line.extend(std::iter::repeat_n(' ', padding));
        }
        if self.style == Style::new() {
            line.push_str(&self.text);
        } else {
            line.push_str(&format!("{}{}{}", self.style, self.text, self.style.render_reset()));
        }
        if align == Align::Left {
            line.extend(std::iter::repeat_n(' ', padding));
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::number(number)
    }
}

/// A table: a head, rows, and perhaps a sum below a rule.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(Cell, Align)>,
    rows: Vec<Vec<Cell>>,
    sum: Option<Vec<Cell>>,
}

const GAP: &str = "  ";

/// The rule above a sum is no longer than this, however long the words in the last column are.
const LONGEST_RULE: usize = 100;

impl Table {
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let bold = Style::new().bold();
        let columns = columns.iter().map(|(name, align)| (Cell::new(name).style(bold), *align)).collect();
        Self { columns, rows: Vec::new(), sum: None }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn sum(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.sum = Some(cells.into_iter().collect());
    }

    /// The table as text with styles, one line per row, without a final newline.
    pub(crate) fn render(&self) -> String {
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| name.width()).collect();
        for row in self.rows.iter().chain(&self.sum) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let head: Vec<Cell> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let mut lines = vec![self.line(&head, &widths)];
        lines.extend(self.rows.iter().map(|row| self.line(row, &widths)));
        if let Some(sum) = &self.sum {
            let longest =
                lines.iter().map(|line| anstream::adapter::strip_str(line).to_string().width()).max();
            lines.push("─".repeat(longest.unwrap_or(0).min(LONGEST_RULE)));
            lines.push(self.line(sum, &widths));
        }
        lines.join("\n")
    }

    fn line(&self, row: &[Cell], widths: &[usize]) -> String {
        let mut line = String::new();
        for (position, ((cell, width), (_, align))) in row.iter().zip(widths).zip(&self.columns).enumerate() {
            if position > 0 {
                line.push_str(GAP);
            }
            cell.write(&mut line, *align, *width);
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(table: &Table) -> String {
        anstream::adapter::strip_str(&table.render()).to_string()
    }

    #[test]
    fn columns_line_up_by_display_width() {
        let mut table = Table::new(&[("what", Align::Left), ("n", Align::Right), ("note", Align::Left)]);
        table.row(["漢字".into(), 7.into(), "x".into()]);
        table.row(["ab".into(), 1234.into(), "".into()]);
        table.sum(["sum".into(), 1241.into(), "".into()]);
        assert_eq!(
            plain(&table),
            "what      n  note\n漢字      7  x\nab    1,234\n─────────────────\nsum   1,241"
        );
    }

    #[test]
    fn a_cell_cannot_inject_lines_or_escapes() {
        let mut table = Table::new(&[("a", Align::Left)]);
        table.row(["one\ntwo\u{1b}[2J".into()]);
        assert_eq!(plain(&table), "a\none\\ntwo\\u{1b}[2J");
    }
}
