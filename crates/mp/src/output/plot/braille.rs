//! A line of dots: two by four of them in each character.

/// Draws values as a line. Gaps in the values are gaps in the line.
pub(super) fn line(values: &[Option<f64>], low: f64, high: f64, width: usize, height: usize) -> Vec<String> {
    let mut dots = vec![vec![0_u8; width]; height];
    let (columns, rows) = (width * 2, height * 4);
    let span = if high > low { high - low } else { 1.0 };
    let place = |at: usize, value: f64| {
        let x = if values.len() > 1 { at * (columns - 1) / (values.len() - 1) } else { columns / 2 };
        let y = ((value - low) / span * (rows - 1) as f64).round() as usize;
        (x, rows - 1 - y.min(rows - 1))
    };
    let mut before: Option<(usize, usize)> = None;
    for (at, value) in values.iter().enumerate() {
        let here = value.map(|value| place(at, value));
        match (before, here) {
            (Some(from), Some(to)) => connect(&mut dots, from, to),
            (None, Some(to)) => dot(&mut dots, to),
            (_, None) => {}
        }
        before = here;
    }
    let character = |bits: &u8| char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' ');
    dots.iter().map(|row| row.iter().map(character).collect()).collect()
}

fn connect(dots: &mut [Vec<u8>], from: (usize, usize), to: (usize, usize)) {
    let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
    for step in 0..=steps {
        let between = |a: usize, b: usize| {
            (a as f64 + (b as f64 - a as f64) * step as f64 / steps as f64).round() as usize
        };
        dot(dots, (between(from.0, to.0), between(from.1, to.1)));
    }
}

fn dot(dots: &mut [Vec<u8>], (x, y): (usize, usize)) {
    // The bits of a braille character, by row and column (Unicode, Braille Patterns).
    const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    if let Some(cell) = dots.get_mut(y / 4).and_then(|row| row.get_mut(x / 2)) {
        *cell |= BITS[y % 4][x % 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let rising = line(&[Some(0.0), Some(1.0)], 0.0, 1.0, 2, 1);
        assert_eq!(rising, ["⡠⠊"]);
        let gap = line(&[Some(0.0), None, Some(0.0)], 0.0, 1.0, 3, 1);
        assert_eq!(gap, ["⡀⠀⢀"]);
        assert_eq!(line(&[Some(5.0)], 5.0, 5.0, 1, 1), ["⢀"]);
    }
}
