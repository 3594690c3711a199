//! How wide things are: terminals, and text on them.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of the terminal that standard output is; 80 when it does not say.
pub(crate) fn terminal_width() -> usize {
    use nix::libc::{STDOUT_FILENO, TIOCGWINSZ, ioctl, winsize};
    // SAFETY: all-zero bytes are a valid `winsize`, which the call fills in and which lives across it.
    let size = unsafe {
        let mut size: winsize = std::mem::zeroed();
        if ioctl(STDOUT_FILENO, TIOCGWINSZ, &mut size) == 0 { Some(size) } else { None }
    };
    size.map(|size| usize::from(size.ws_col)).filter(|width| *width >= 20).unwrap_or(80)
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text, or its beginning and `…` where it would be wider than `most`.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut taken = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if taken + wide + 1 > most {
            break;
        }
        taken += wide;
        shown.push(c);
    }
    shown.push('…');
    shown
}

/// The text with spaces up to `wide`: behind it, or before it when it is a number.
pub(super) fn padded(text: &str, wide: usize, number: bool) -> String {
    let spaces = " ".repeat(wide.saturating_sub(width(text)));
    if number { spaces + text } else { text.to_owned() + &spaces }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_what_it_takes_on_the_screen() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("日本語日本語", 6), "日本…");
        assert_eq!(padded("日本", 6, false), "日本  ");
        assert_eq!(padded("12", 4, true), "  12");
    }
}
