//! Tables for people: numbers to the right, no wider than the terminal, nothing that steers it.

use std::io::{self, Write};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement};
use mixpanel_data::Value;

use super::{Column, Sink, clean};
use crate::ui::Ui;

/// Longer cells are cut on a terminal.
const LONGEST_CELL: usize = 200;

/// Collects the rows, since widths are known at the end only.
pub(super) struct Table<'a> {
    out: &'a mut dyn Write,
    table: comfy_table::Table,
    columns: Vec<Column>,
    to_terminal: bool,
    colour: bool,
}

impl<'a> Table<'a> {
    pub(super) fn new(out: &'a mut dyn Write, ui: &Ui) -> Self {
        let (to_terminal, colour) = (ui.to_terminal, ui.colour);
        Table { out, table: empty(to_terminal, colour), columns: Vec::new(), to_terminal, colour }
    }
}

fn empty(to_terminal: bool, colour: bool) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    if to_terminal {
        let width = terminal_width();
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    if !colour {
        table.force_no_tty();
    }
    table
}

/// Columns of the terminal; 80 when it does not say.
pub(crate) fn terminal_width() -> u16 {
    comfy_table::Table::new().width().filter(|width| *width >= 20).unwrap_or(80)
}

fn heading(text: &str, number: bool, colour: bool) -> Cell {
    let cell = aligned(Cell::new(clean(text)), number);
    if colour { cell.add_attribute(Attribute::Bold) } else { cell }
}

fn aligned(cell: Cell, number: bool) -> Cell {
    cell.set_alignment(if number { CellAlignment::Right } else { CellAlignment::Left })
}

impl Sink for Table<'_> {
    fn begin(&mut self, columns: &[Column]) -> io::Result<()> {
        self.columns = columns.to_vec();
        let colour = self.colour;
        let header: Vec<Cell> =
            columns.iter().map(|column| heading(&column.name, column.number, colour)).collect();
        self.table.set_header(header);
        Ok(())
    }

    fn row(&mut self, row: Vec<Value>) -> io::Result<()> {
        let cell = |(value, column): (&Value, &Column)| {
            let text = if value.is_null() { "NULL".to_owned() } else { clean(&value.to_text()) };
            let text = if self.to_terminal { cut(text) } else { text };
            aligned(Cell::new_owned(text), column.number)
        };
        let cells: Vec<Cell> = row.iter().zip(&self.columns).map(cell).collect();
        self.table.add_row(cells);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        writeln!(self.out, "{}", self.table)
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST_CELL) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Names and values, one pair a line.
pub(super) fn pairs(out: &mut dyn Write, pairs: &[(&str, String)], ui: &Ui) -> io::Result<()> {
    let mut table = empty(ui.to_terminal, ui.colour);
    for (name, value) in pairs {
        table.add_row([heading(name, false, ui.colour), Cell::new_owned(clean(value))]);
    }
    writeln!(out, "{table}")
}
