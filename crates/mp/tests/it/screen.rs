//! What a terminal would show: bytes enter, lines and a picture of them leave.
//!
//! It knows what `mp` uses: colours, carriage returns, and the way in which a progress bar is redrawn.

use std::fmt::Write;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Style {
    bold: bool,
    dim: bool,
    front: Option<u8>,
    back: Option<u8>,
}

/// A screen of unlimited length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screen {
    lines: Vec<Vec<(char, Style)>>,
    row: usize,
    column: usize,
    style: Style,
}

impl Screen {
    /// What is seen after all of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut screen = Screen::default();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\u{1b}' if rest.as_str().starts_with('[') => {
                    rest.next();
                    let mut sequence = String::new();
                    for c in rest.by_ref() {
                        sequence.push(c);
                        if c.is_ascii_alphabetic() {
                            break;
                        }
                    }
                    screen.control(&sequence);
                }
                '\r' => screen.column = 0,
                '\n' => {
                    screen.row += 1;
                    screen.column = 0;
                }
                c if c.is_control() => {}
                c => screen.put(c),
            }
        }
        screen
    }

    fn put(&mut self, c: char) {
        let line = self.line();
        let (at, style) = (self.column, self.style);
        while self.lines[line].len() <= at {
            self.lines[line].push((' ', Style::default()));
        }
        self.lines[line][at] = (c, style);
        self.column += 1;
    }

    fn line(&mut self) -> usize {
        while self.lines.len() <= self.row {
            self.lines.push(Vec::new());
        }
        self.row
    }

    fn control(&mut self, sequence: &str) {
        let Some(kind) = sequence.chars().last() else { return };
        let numbers: Vec<u8> =
            sequence[..sequence.len() - 1].split(';').map(|number| number.parse().unwrap_or(0)).collect();
        let count = usize::from(numbers[0].max(1));
        match kind {
            'A' => self.row = self.row.saturating_sub(count),
            'B' => self.row += count,
            'C' => self.column += count,
            'D' => self.column = self.column.saturating_sub(count),
            'G' => self.column = count - 1,
            'K' => {
                let line = self.line();
                let from = if numbers[0] == 2 { 0 } else { self.column };
                self.lines[line].truncate(from);
            }
            'J' => {
                let line = self.line();
                self.lines.truncate(line);
            }
            'm' => self.colour(&numbers),
            _ => {}
        }
    }

    fn colour(&mut self, numbers: &[u8]) {
        let mut rest = numbers.iter().copied();
        while let Some(number) = rest.next() {
            match number {
                0 => self.style = Style::default(),
                1 => self.style.bold = true,
                2 => self.style.dim = true,
                30..=37 => self.style.front = Some(number - 30),
                40..=47 => self.style.back = Some(number - 40),
                38 | 48 => {
                    let colour = rest.by_ref().skip_while(|number| *number != 5).nth(1);
                    if number == 38 {
                        self.style.front = colour;
                    } else {
                        self.style.back = colour;
                    }
                }
                _ => {}
            }
        }
    }

    /// The lines, without spaces and empty lines at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = |line: &Vec<(char, Style)>| line.iter().map(|(c, _)| *c).collect::<String>();
        let mut lines: Vec<String> = self.lines.iter().map(|line| text(line).trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// A picture: what was typed above what is seen.
    pub(crate) fn svg(&self, typed: &str) -> String {
        const CELL: (f64, f64) = (8.4, 18.0);
        const EDGE: f64 = 14.0;
        let plain = |line: &str| line.chars().map(|c| (c, Style::default())).collect::<Vec<_>>();
        let mut lines: Vec<Vec<(char, Style)>> = folded(typed).iter().map(|line| plain(line)).collect();
        lines.extend(self.lines.iter().take(self.lines().len()).cloned());
        let columns = lines.iter().map(Vec::len).max().unwrap_or(0).max(40) as f64;
        let (wide, high) = (columns * CELL.0 + 2.0 * EDGE, lines.len() as f64 * CELL.1 + 2.0 * EDGE);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" \
             font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
             <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1e1e1e\"/>\n"
        );
        for (row, line) in lines.iter().enumerate() {
            let top = EDGE + row as f64 * CELL.1;
            let mut column = 0;
            for run in line.chunk_by(|a, b| a.1 == b.1) {
                let (style, length) = (run[0].1, run.len() as f64 * CELL.0);
                let left = EDGE + column as f64 * CELL.0;
                column += run.len();
                if let Some(back) = style.back {
                    let _ = writeln!(
                        svg,
                        "<rect x=\"{left:.1}\" y=\"{top:.0}\" width=\"{length:.1}\" height=\"{:.0}\" fill=\"{}\"/>",
                        CELL.1,
                        rgb(back)
                    );
                }
                let text: String = run.iter().map(|(c, _)| *c).collect();
                if text.trim().is_empty() {
                    continue;
                }
                let front = style.front.map_or_else(|| "#d4d4d4".to_owned(), rgb);
                let bold = if style.bold { " font-weight=\"bold\"" } else { "" };
                let dim = if style.dim { " opacity=\"0.6\"" } else { "" };
                let _ = writeln!(
                    svg,
                    "<text x=\"{left:.1}\" y=\"{:.0}\" textLength=\"{length:.1}\" \
                     lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\" fill=\"{front}\"{bold}{dim}>{}</text>",
                    top + 14.0,
                    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
                );
            }
        }
        svg + "</svg>\n"
    }
}

/// A command as a person would see it: at its prompt, in lines that fit.
fn folded(typed: &str) -> Vec<String> {
    let mut lines = vec!["$".to_owned()];
    for word in typed.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 80 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("    {word}")),
        }
    }
    lines
}

/// The colours of terminals.
fn rgb(colour: u8) -> String {
    const BASE: [&str; 16] = [
        "#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#e5e5e5", "#666666",
        "#f14c4c", "#23d18b", "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff",
    ];
    let step = |level: u8| if level == 0 { 0 } else { 55 + 40 * level };
    match colour {
        0..=15 => BASE[usize::from(colour)].to_owned(),
        16..=231 => {
            let at = colour - 16;
            format!("#{:02x}{:02x}{:02x}", step(at / 36), step(at / 6 % 6), step(at % 6))
        }
        grey => format!("#{0:02x}{0:02x}{0:02x}", 8 + 10 * (grey - 232)),
    }
}

#[test]
fn a_bar_that_is_redrawn_is_seen_once() {
    let bytes = "one\r\n\u{1b}[1mtwo\u{1b}[0m 10 %\r\u{1b}[2Ktwo 20 %\r\nthree\u{1b}[1A\r\u{1b}[2K";
    assert_eq!(Screen::of(bytes.as_bytes()).lines(), ["one", "", "three"]);
    let svg = Screen::of(b"\x1b[48;5;25;38;5;231m7 < 8\x1b[0m").svg("mp sql");
    assert!(svg.contains("$ mp sql") && svg.contains("7 &lt; 8") && svg.contains("#005faf"), "{svg}");
}
