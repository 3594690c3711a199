//! A bar chart out of block characters.

use super::figure;
use crate::output::width::{padded, width};

/// One bar: its label, its length, and a remark behind it.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) remark: String,
}

/// Eighths of a block, from one to seven.
const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Draws horizontal bars that fit a width, longest bar first to touch the edge.
pub(crate) fn bars(bars: &[Bar], room: usize) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let label = bars.iter().map(|bar| width(&bar.label)).max().unwrap_or(0);
    let number = bars.iter().map(|bar| width(&figure(bar.value))).max().unwrap_or(0);
    let remark = bars.iter().map(|bar| width(&bar.remark)).max().unwrap_or(0);
    let room = room.saturating_sub(label + number + remark + 5).clamp(8, 100);
    let mut text = String::new();
    for bar in bars {
        let share = if most > 0.0 { (bar.value / most).clamp(0.0, 1.0) } else { 0.0 };
        let eighths = (share * (room * 8) as f64).ceil() as usize;
        let mut drawn = "█".repeat(eighths / 8);
        drawn.extend((eighths % 8).checked_sub(1).map(|part| PARTS[part]));
        let line = format!(
            "{} {} {} {}",
            padded(&bar.label, label, false),
            padded(&drawn, room, false),
            padded(&figure(bar.value), number, true),
            bar.remark
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, value: f64) -> Bar {
        Bar { label: label.to_owned(), value, remark: String::new() }
    }

    #[test]
    fn bars_are_in_proportion_and_fit() {
        let chart = bars(&[bar("a", 1000.0), bar("bb", 500.0), bar("c", 0.0), bar("d", 1.0)], 25);
        assert_eq!(
            chart,
            "a  █████████████ 1,000\nbb ██████▌         500\nc                    0\nd  ▏                 1\n"
        );
        assert!(chart.lines().all(|line| line.chars().count() <= 25));
    }

    #[test]
    fn nothing_draws_nothing() {
        assert_eq!(bars(&[], 80), "");
    }
}
