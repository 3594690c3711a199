//! A bar chart out of block characters.

/// One bar: its label, its length, and a remark behind it.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: u64,
    pub(crate) remark: String,
}

/// Eighths of a block, from one to seven.
const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Draws horizontal bars that fit a width, longest bar first to touch the edge.
pub(crate) fn bars(bars: &[Bar], width: usize) -> String {
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    let label = bars.iter().map(|bar| bar.label.chars().count()).max().unwrap_or(0);
    let number = crate::ui::thousands(most).len();
    let remark = bars.iter().map(|bar| bar.remark.chars().count()).max().unwrap_or(0);
    let room = width.saturating_sub(label + number + remark + 5).clamp(8, 100);
    let mut text = String::new();
    for bar in bars {
        let eighths = (bar.value as u128 * room as u128 * 8).div_ceil(u128::from(most)) as usize;
        let mut drawn = "█".repeat(eighths / 8);
        drawn.extend((eighths % 8).checked_sub(1).map(|part| PARTS[part]));
        let value = crate::ui::thousands(bar.value);
        let gap = room - drawn.chars().count();
        let line = format!("{:<label$} {drawn}{:gap$} {value:>number$} {}", bar.label, "", bar.remark);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, value: u64) -> Bar {
        Bar { label: label.to_owned(), value, remark: String::new() }
    }

    #[test]
    fn bars_are_in_proportion_and_fit() {
        let chart = bars(&[bar("a", 1000), bar("bb", 500), bar("c", 0), bar("d", 1)], 25);
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
