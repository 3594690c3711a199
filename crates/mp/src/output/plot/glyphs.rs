//! Signs that the built-in font does not have: in a PNG they would all be the same empty box.

use ab_glyph::{Font, FontRef};

use super::natural::{Drawing, Picture};

/// Writes signs that the font lacks as their numbers, so that names stay apart; gives what has to be
/// told of it.
pub(super) fn spell(drawing: &mut Drawing) -> Option<String> {
    let font = FontRef::try_from_slice(dejavu::sans::regular()).ok()?;
    let mut lacking: Vec<char> = Vec::new();
    let mut spell = |text: &mut String| {
        let lacks = |c: char| font.glyph_id(c).0 == 0 && !c.is_control();
        if !text.chars().any(lacks) {
            return;
        }
        let mut spelt = String::new();
        for c in text.chars() {
            if is_invisible(c) {
                continue;
            }
            if !lacks(c) {
                spelt.push(c);
                continue;
            }
            if !spelt.is_empty() && !spelt.ends_with(' ') {
                spelt.push(' ');
            }
            spelt.push_str(&format!("U+{:04X}", u32::from(c)));
            if !lacking.contains(&c) {
                lacking.push(c);
            }
        }
        *text = spelt;
    };
    texts(&mut drawing.picture).into_iter().for_each(&mut spell);
    drawing.notes.iter_mut().for_each(&mut spell);
    if lacking.is_empty() {
        return None;
    }
    let shown: String = lacking.iter().take(10).collect();
    let more = if lacking.len() > 10 { " and others" } else { "" };
    Some(format!(
        "the font of PNG files lacks {shown}{more}: they are spelt as numbers; SVG and HTML have them"
    ))
}

/// Joins and varies the sign before it, and is none itself.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Every text of a picture.
fn texts(picture: &mut Picture) -> Vec<&mut String> {
    match picture {
        Picture::Lines { across, up, times, series } => {
            let names = series.iter_mut().map(|series| &mut series.name);
            std::iter::once(across).chain(up.as_mut()).chain(times).chain(names).collect()
        }
        Picture::Bars { name, bars: named } | Picture::Steps { name, steps: named } => {
            std::iter::once(name).chain(named.iter_mut().map(|(name, _)| name)).collect()
        }
        Picture::Heat { name, rows, columns, .. } => {
            std::iter::once(name).chain(rows).chain(columns).collect()
        }
    }
}
