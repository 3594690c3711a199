//! Tables for people: numbers to the right, no wider than the terminal, nothing that steers it.

use std::io::{self, Write};

use mixpanel_data::arrow::datatypes::SchemaRef;
use mixpanel_data::arrow::record_batch::RecordBatch;
use mixpanel_data::rows_of;

use super::width::{cut, padded, width};
use super::{Head, Look, Out, Sink, clean};

/// So many rows decide how wide the columns are; those behind them have to fit.
const MEASURED: usize = 2_000;
/// Longer cells are cut on a terminal, however wide it is.
const LONGEST_CELL: usize = 200;
/// A column is not made narrower than this, unless it is by itself.
const NARROWEST: usize = 6;

/// A table, drawn as soon as the widths are known.
pub(super) struct Table {
    out: Out,
    heads: Vec<Head>,
    waiting: Vec<Vec<String>>,
    shape: Option<Shape>,
    look: Look,
}

impl Table {
    pub(super) fn new(out: Out, look: Look) -> Self {
        Table { out, heads: Vec::new(), waiting: Vec::new(), shape: None, look }
    }

    /// Draws the head and the rows that wait.
    fn open(&mut self) -> io::Result<()> {
        let shape = Shape::of(&self.heads, &self.waiting, self.look.room);
        writeln!(self.out, "{}", shape.rule('┌', '┬', '┐', '─'))?;
        let names: Vec<String> = self.heads.iter().map(|head| head.name.clone()).collect();
        writeln!(self.out, "{}", shape.row(&names, &self.heads, self.look.colour))?;
        writeln!(self.out, "{}", shape.rule('╞', '╪', '╡', '═'))?;
        for row in std::mem::take(&mut self.waiting) {
            writeln!(self.out, "{}", shape.row(&row, &self.heads, false))?;
        }
        self.shape = Some(shape);
        Ok(())
    }
}

impl Sink for Table {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        self.heads = Head::all(schema);
        for head in &mut self.heads {
            head.name = clean(&head.name);
        }
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in rows_of(batch) {
            let cells: Vec<String> =
                row.iter().zip(&self.heads).map(|(value, head)| head.shown(value)).collect();
            match &self.shape {
                Some(shape) => writeln!(self.out, "{}", shape.row(&cells, &self.heads, false))?,
                None => self.waiting.push(cells),
            }
            if self.shape.is_none() && self.waiting.len() >= MEASURED {
                self.open()?;
            }
        }
        Ok(())
    }

    fn end(mut self: Box<Self>) -> io::Result<Out> {
        if self.shape.is_none() {
            self.open()?;
        }
        let bottom = self.shape.as_ref().map(|shape| shape.rule('└', '┴', '┘', '─'));
        writeln!(self.out, "{}", bottom.unwrap_or_default())?;
        let shown = self.shape.as_ref().map_or(0, |shape| shape.columns.iter().flatten().count());
        let (hidden, all) = (self.heads.len() - shown, self.heads.len());
        if hidden > 0 {
            let are = if hidden == 1 { "column is" } else { "columns are" };
            writeln!(self.out, "… {hidden} of {all} {are} not shown: --format vertical shows all of them")?;
        }
        Ok(self.out)
    }
}

/// Which columns are drawn, and how wide.
struct Shape {
    /// Indexes and widths; `None` stands for columns that are left out.
    columns: Vec<Option<(usize, usize)>>,
    /// Whether cells are cut to the widths.
    cuts: bool,
}

impl Shape {
    fn of(heads: &[Head], rows: &[Vec<String>], room: Option<usize>) -> Self {
        let natural: Vec<usize> = heads
            .iter()
            .enumerate()
            .map(|(at, head)| {
                let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell));
                cells.max().unwrap_or(0).max(width(&head.name)).max(1)
            })
            .collect();
        let Some(room) = room else {
            let columns = natural.into_iter().enumerate().map(Some).collect();
            return Shape { columns, cuts: false };
        };
        let natural: Vec<usize> = natural.into_iter().map(|wide| wide.min(LONGEST_CELL)).collect();
        let shown = fitting(&natural, room);
        let (left, right) = (shown.div_ceil(2), shown / 2);
        let all = shown == natural.len();
        let kept: Vec<usize> = if all {
            (0..shown).collect()
        } else {
            (0..left).chain(natural.len() - right..natural.len()).collect()
        };
        // Each column costs its width, a space on each side, and a line; `…` for those left out too.
        let lines = kept.len() * 3 + 1 + if all { 0 } else { 4 };
        let wanted: Vec<usize> = kept.iter().map(|at| natural[*at]).collect();
        let widths = shared(&wanted, room.saturating_sub(lines));
        let mut columns: Vec<Option<(usize, usize)>> = kept.into_iter().zip(widths).map(Some).collect();
        if !all {
            columns.insert(left, None);
        }
        Shape { columns, cuts: true }
    }

    fn rule(&self, left: char, middle: char, right: char, line: char) -> String {
        let piece =
            |column: &Option<(usize, usize)>| line.to_string().repeat(column.map_or(1, |(_, wide)| wide) + 2);
        let pieces: Vec<String> = self.columns.iter().map(piece).collect();
        format!("{left}{}{right}", pieces.join(&middle.to_string()))
    }

    fn row(&self, cells: &[String], heads: &[Head], bold: bool) -> String {
        let (on, off) = if bold { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        let mut line = String::from("│");
        for column in &self.columns {
            let Some((at, wide)) = *column else {
                line.push_str(" … │");
                continue;
            };
            let (text, number) = (cells.get(at).map_or("", String::as_str), heads[at].number);
            let text = if self.cuts { cut(text, wide) } else { text.to_owned() };
            line.push_str(&format!(" {on}{}{off} │", padded(&text, wide, number)));
        }
        line
    }
}

/// How many columns have room at all, at their narrowest.
fn fitting(natural: &[usize], room: usize) -> usize {
    let cost = |wide: &usize| (*wide).min(NARROWEST) + 3;
    if natural.iter().map(cost).sum::<usize>() < room {
        return natural.len();
    }
    let mut left = room.saturating_sub(5);
    // From both ends, as they are drawn.
    let order = (0..natural.len()).map(|n| if n % 2 == 0 { n / 2 } else { natural.len() - 1 - n / 2 });
    let mut shown = 0;
    for at in order {
        let Some(rest) = left.checked_sub(cost(&natural[at])) else { break };
        left = rest;
        shown += 1;
    }
    shown.max(1)
}

/// Shares room among columns: the narrow get what they want, the wide share what is left.
fn shared(wanted: &[usize], room: usize) -> Vec<usize> {
    let mut widths = vec![0; wanted.len()];
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|at| wanted[*at]);
    let mut left = room;
    for (done, at) in order.iter().enumerate() {
        let share = left / (wanted.len() - done);
        widths[*at] = wanted[*at].min(share).max(1);
        left = left.saturating_sub(widths[*at]);
    }
    widths
}

/// Names and values, one pair a line.
pub(super) fn pairs(out: &mut dyn Write, pairs: &[(&str, String)], look: Look) -> io::Result<()> {
    let name = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let room = look.room.map(|room| room.saturating_sub(name + 2).max(20));
    let (on, off) = if look.colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    for (label, value) in pairs {
        let label = padded(label, name, false);
        let mut lines = wrapped(&clean(value), room).into_iter();
        writeln!(out, "{on}{label}{off}  {}", lines.next().unwrap_or_default())?;
        for line in lines {
            writeln!(out, "{:name$}  {line}", "")?;
        }
    }
    Ok(())
}

/// Lines of words no wider than the room, if there is a limit.
pub(crate) fn wrapped(text: &str, room: Option<usize>) -> Vec<String> {
    let Some(room) = room.filter(|room| width(text) > *room) else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if width(line) + 1 + width(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(name: &str, number: bool) -> Head {
        Head { name: name.to_owned(), number, json: false, bytes: false, also: None }
    }

    fn drawn(heads: &[Head], rows: &[&[&str]], room: usize) -> Vec<String> {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        let shape = Shape::of(heads, &rows, Some(room));
        rows.iter().map(|row| shape.row(row, heads, false)).collect()
    }

    #[test]
    fn wide_cells_are_cut_and_numbers_stay_whole() {
        let heads = [head("name", false), head("n", true)];
        let long = "a very long name that does not fit";
        let lines = drawn(&heads, &[&[long, "123456"], &["short", "1"]], 30);
        assert_eq!(lines, ["│ a very long name… │ 123456 │", "│ short             │      1 │"]);
        assert!(lines.iter().all(|line| width(line) <= 30));
    }

    #[test]
    fn columns_without_room_are_left_out_in_the_middle() {
        let heads: Vec<Head> = (0..20).map(|n| head(&format!("column_{n}"), false)).collect();
        let row: Vec<String> = (0..20).map(|n| format!("value_{n:02}")).collect();
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        for room in 20..200 {
            let lines = drawn(&heads, &[&cells], room);
            assert!(width(&lines[0]) <= room, "{room}: {}", lines[0]);
            assert!(room > 180 || lines[0].contains(" … "), "{}", lines[0]);
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        use mixpanel_data::arrow::array::Int64Array;
        use mixpanel_data::arrow::datatypes::{DataType, Field, Schema};
        use std::sync::Arc;
        let fields: Vec<Field> =
            (0..480).map(|n| Field::new(format!("column_{n}"), DataType::Int64, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let columns = (0..480).map(|n| Arc::new(Int64Array::from(vec![n])) as _).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let last_line = |room: Option<usize>| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.txt");
            let out = Out::file(&path).unwrap();
            let mut table: Box<dyn Sink> =
                Box::new(Table::new(out, Look { room, colour: false, escape_formulas: false }));
            table.begin(&schema).unwrap();
            table.batch(&batch).unwrap();
            table.end().unwrap().finish().unwrap();
            let text = std::fs::read_to_string(path).unwrap();
            let head = text.lines().nth(1).unwrap();
            let columns = head.matches('│').count() - 1 - head.matches(" … ").count();
            (columns, text.lines().last().unwrap().to_owned())
        };
        let (shown, told) = last_line(Some(100));
        assert!(
            told.starts_with(&format!("… {} of 480 columns are not shown", 480 - shown)),
            "{shown}: {told}"
        );
        let (shown, told) = last_line(None);
        assert!(shown == 480 && told.starts_with('└'), "{told}");
    }

    #[test]
    fn pairs_wrap_at_words() {
        assert_eq!(wrapped("one two three", Some(8)), ["one two", "three"]);
        assert_eq!(wrapped("one two three", None), ["one two three"]);
    }
}
