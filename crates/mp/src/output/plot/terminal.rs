//! Pictures out of characters.

use super::bars::{Bar, bars};
use super::natural::{Drawing, Picture, Series};
use super::{braille, figure};
use crate::output::width::{cut, padded, width};

const HEIGHT: usize = 12;
const WIDEST: usize = 120;
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Longer names are cut.
const NAME: usize = 30;

/// Draws a picture that fits a width.
pub(super) fn draw(drawing: &Drawing, room: usize, colour: bool) -> String {
    let room = room.min(WIDEST);
    match &drawing.picture {
        Picture::Lines { across, up, times, series } => {
            let ends = Ends { times, across };
            match &series[..] {
                [one] => line(&ends, one, room),
                many => {
                    let title = up.as_ref().map_or_else(String::new, |up| format!("{}\n", cut(up, room)));
                    title + &sparks(&ends, many, room)
                }
            }
        }
        Picture::Bars { name, bars } => format!("{}\n{}", cut(name, room), columns(bars, room)),
        Picture::Heat { name, rows, columns, cells } => {
            format!("{}\n{}", cut(name, room), heat(rows, columns, cells, room, colour))
        }
        Picture::Steps { name, steps } => funnel(name, steps, room),
    }
}

/// What stands below lines.
struct Ends<'a> {
    times: &'a [String],
    across: &'a str,
}

impl Ends<'_> {
    /// The first and the last time at the two ends, and between them what they are.
    fn draw(&self, room: usize) -> String {
        let first = self.times.first().map_or("", String::as_str);
        let last = self.times.last().map_or("", String::as_str);
        let gap = room.saturating_sub(width(first) + width(last));
        if self.times.len() < 2 || gap == 0 {
            return first.to_owned();
        }
        let name = if width(self.across) + 2 <= gap { self.across } else { "" };
        let left = (gap - width(name)) / 2;
        format!("{first}{:left$}{name}{:right$}{last}", "", "", right = gap - width(name) - left)
    }
}

fn columns(pairs: &[(String, f64)], room: usize) -> String {
    let bar =
        |(name, value): &(String, f64)| Bar { label: cut(name, NAME), value: *value, remark: String::new() };
    bars(&pairs.iter().map(bar).collect::<Vec<_>>(), room)
}

/// Each step as a bar, with its share of the first and of the one before.
fn funnel(name: &str, steps: &[(String, f64)], room: usize) -> String {
    let first = steps.first().map_or(0.0, |(_, value)| *value);
    let mut before = first;
    let bar = |(at, (label, value)): (usize, &(String, f64))| {
        let of_first = share(*value, first);
        let remark = if at == 0 {
            of_first
        } else {
            format!("{of_first} ({} of the step before)", share(*value, before))
        };
        before = *value;
        Bar { label: cut(&format!("{} {label}", at + 1), NAME), value: *value, remark }
    };
    format!("{name}\n{}", bars(&steps.iter().enumerate().map(bar).collect::<Vec<_>>(), room))
}

fn share(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1} %", 100.0 * part / whole) } else { "–".to_owned() }
}

/// One line, with an axis on each side.
fn line(ends: &Ends<'_>, series: &Series, room: usize) -> String {
    let known = || series.values.iter().flatten().copied();
    let high = known().fold(f64::MIN, f64::max).max(0.0);
    // From zero, so that heights can be compared.
    let low = known().fold(0.0, f64::min);
    let (top, bottom) = (figure(high), figure(low));
    let axis = width(&top).max(width(&bottom));
    let plot = room.saturating_sub(axis + 2).max(10);
    let mut text = format!("{}\n", series.name);
    for (at, drawn) in braille::line(&series.values, low, high, plot, HEIGHT).into_iter().enumerate() {
        let mark = match at {
            0 => &top,
            _ if at == HEIGHT - 1 => &bottom,
            _ => "",
        };
        text.push_str(&format!("{} ┤{}\n", padded(mark, axis, true), drawn.trim_end_matches('\u{2800}')));
    }
    text.push_str(&format!("{:axis$} └{}\n", "", "─".repeat(plot)));
    text.push_str(&format!("{:axis$}  {}\n", "", ends.draw(plot)));
    text
}

/// Several lines, each in a line of its own and to its own scale.
fn sparks(ends: &Ends<'_>, series: &[Series], room: usize) -> String {
    let name = series.iter().map(|series| width(&cut(&series.name, NAME))).max().unwrap_or(0);
    let range = |series: &Series| {
        let known = || series.values.iter().flatten().copied();
        let (low, high) = (known().fold(f64::MAX, f64::min), known().fold(f64::MIN, f64::max));
        if low > high { "–".to_owned() } else { format!("{} to {}", figure(low), figure(high)) }
    };
    let ranges: Vec<String> = series.iter().map(range).collect();
    let figures = ranges.iter().map(|range| width(range)).max().unwrap_or(0);
    let plot = room.saturating_sub(name + figures + 4).max(10).min(ends.times.len().max(1));
    let mut text = String::new();
    for (one, range) in series.iter().zip(&ranges) {
        let label = padded(&cut(&one.name, NAME), name, false);
        text.push_str(&format!("{label}  {}  {range}\n", spark(&one.values, plot)));
    }
    text.push_str(&format!("{:name$}  {}\n", "", ends.draw(plot.max(24))));
    text
}

fn spark(values: &[Option<f64>], room: usize) -> String {
    let high = values.iter().flatten().copied().fold(0.0, f64::max);
    let sign = |at: usize| {
        let (from, to) =
            (at * values.len() / room, ((at + 1) * values.len() / room).max(at * values.len() / room + 1));
        let part: Vec<f64> = values[from..to.min(values.len())].iter().flatten().copied().collect();
        if part.is_empty() {
            return ' ';
        }
        let mean = part.iter().sum::<f64>() / part.len() as f64;
        let level = if high > 0.0 { (mean.max(0.0) / high * 7.0).round() as usize } else { 0 };
        SPARKS[level.min(7)]
    };
    (0..room).map(sign).collect()
}

/// Figures on a ground that is darker where they are larger.
fn heat(
    rows: &[String],
    columns: &[String],
    cells: &[Vec<Option<f64>>],
    room: usize,
    colour: bool,
) -> String {
    let name = rows.iter().map(|row| width(&cut(row, NAME))).max().unwrap_or(0);
    let most = cells.iter().flatten().flatten().copied().fold(0.0, f64::max);
    let text_of = |cell: &Option<f64>| cell.map_or_else(String::new, figure);
    let cell = columns
        .iter()
        .map(|column| width(column))
        .chain(cells.iter().flatten().map(|cell| width(&text_of(cell)) + 2))
        .max()
        .unwrap_or(1);
    let fits = (room.saturating_sub(name + 1) / (cell + 1)).clamp(1, columns.len().max(1));
    let mut text = format!("{:name$} ", "");
    for column in columns.iter().take(fits) {
        text.push_str(&format!(" {}", padded(column, cell, true)));
    }
    if fits < columns.len() {
        text.push_str(" …");
    }
    text.push('\n');
    for (label, values) in rows.iter().zip(cells) {
        text.push_str(&padded(&cut(label, NAME), name, false));
        text.push(' ');
        for value in values.iter().take(fits) {
            let level = value.map_or(0.0, |value| if most > 0.0 { value.max(0.0) / most } else { 0.0 });
            let shown = padded(&text_of(value), if colour { cell } else { cell - 2 }, true);
            text.push(' ');
            text.push_str(&ground(&shown, value.map(|_| level), colour));
        }
        text.push('\n');
    }
    text
}

fn ground(text: &str, level: Option<f64>, colour: bool) -> String {
    // Shades of blue among the 256 colours of terminals, from light to dark.
    const BLUES: [(u8, u8); 6] = [(231, 16), (195, 16), (153, 16), (111, 16), (68, 231), (25, 231)];
    const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
    match level {
        None if colour => text.to_owned(),
        Some(level) if colour => {
            let (back, front) = BLUES[(level * 5.0).round() as usize % 6];
            format!("\u{1b}[48;5;{back};38;5;{front}m{text}\u{1b}[0m")
        }
        None => format!("{text}  "),
        Some(level) => format!("{text} {}", SHADES[(level * 4.0).round().min(4.0) as usize]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures() -> Vec<Drawing> {
        let days = |n: i8| (1..=n).map(|day| format!("2024-01-{day:02}")).collect::<Vec<_>>();
        let wave =
            |n: i8, by: f64| (1..=n).map(|day| Some(100.0 + (f64::from(day) * by).sin() * 60.0)).collect();
        let series = |name: &str, by: f64| Series { name: name.into(), values: wave(31, by) };
        let named =
            |pairs: &[(&str, f64)]| pairs.iter().map(|(name, value)| ((*name).into(), *value)).collect();
        let pictures = vec![
            Picture::Lines {
                across: "day".into(),
                up: Some("events".into()),
                times: days(31),
                series: vec![series("events", 0.3)],
            },
            Picture::Lines {
                across: "day".into(),
                up: Some("n by event".into()),
                times: days(31),
                series: vec![series("Purchase", 0.3), series("Login", 0.7)],
            },
            Picture::Bars {
                name: "users by country".into(),
                bars: named(&[("DE", 1200.0), ("US", 900.5), ("FR", 0.0)]),
            },
            Picture::Heat {
                name: "by cohort".into(),
                rows: days(3),
                columns: ["day_0", "day_1", "day_2"].map(str::to_owned).to_vec(),
                cells: vec![
                    vec![Some(100.0), Some(41.2), Some(17.0)],
                    vec![Some(100.0), Some(38.9), None],
                    vec![Some(100.0), None, None],
                ],
            },
            Picture::Steps {
                name: "users".into(),
                steps: named(&[("View", 1000.0), ("Cart", 400.0), ("Buy", 100.0)]),
            },
        ];
        pictures.into_iter().map(Drawing::new).collect()
    }

    #[test]
    fn every_kind_has_its_drawing() {
        let drawn: Vec<String> = pictures().iter().map(|picture| draw(picture, 72, false)).collect();
        insta::assert_snapshot!("pictures", drawn.join("\n"));
    }

    #[test]
    fn drawings_fit_their_room() {
        for picture in pictures() {
            for room in [60, 80, 100] {
                for line in draw(&picture, room, false).lines() {
                    assert!(width(line) <= room, "{room}: {line}");
                }
            }
        }
    }
}
