//! Numbers: their grammar, and which 64-bit type holds them.

/// What a JSON number is to a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// Written without fraction and exponent, and within 64 signed bits.
    Integer(i64),
    /// Any other number that has a nearest finite double; also `-0`, which no integer is.
    Double(f64),
    /// Beyond both; whether it was written as an integer.
    Huge { integer: bool },
}

/// Up to here doubles count without gaps.
pub(crate) const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// Whether a double says the same integer.
#[inline]
pub(crate) fn is_wide(integer: i64) -> bool {
    integer.unsigned_abs() > EXACT_IN_DOUBLE
}

/// The parts of a number, read from its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberText {
    end: usize,
    negative: bool,
    /// All digits as one integer; it has wrapped around when there are more than 19.
    digits: u64,
    count: usize,
    fraction: usize,
    /// The exponent as written, or far beyond every double.
    exponent: i32,
    integer: bool,
}

const FAR_EXPONENT: i32 = 1_000_000;

impl NumberText {
    /// Reads the number that starts at `start`. What follows it is the caller's matter.
    #[inline]
    pub(super) fn read(text: &[u8], start: usize) -> Option<NumberText> {
        let mut at = start;
        let negative = text.get(at) == Some(&b'-');
        at += usize::from(negative);
        let mut digits = 0u64;
        let first = at;
        at = read_digits(text, at, &mut digits);
        let mut count = at - first;
        if count == 0 || (count > 1 && text[first] == b'0') {
            return None;
        }
        let mut number =
            NumberText { end: at, negative, digits, count, fraction: 0, exponent: 0, integer: true };
        if text.get(at) == Some(&b'.') {
            let first = at + 1;
            at = read_digits(text, first, &mut digits);
            let fraction = at - first;
            if fraction == 0 {
                return None;
            }
            count += fraction;
            number = NumberText { end: at, digits, count, fraction, integer: false, ..number };
        }
        if let Some(b'e' | b'E') = text.get(at) {
            let sign = text.get(at + 1).copied();
            let first = at + 1 + usize::from(matches!(sign, Some(b'+' | b'-')));
            let mut exponent = 0i32;
            at = first;
            while let Some(digit) = digit(text, at) {
                exponent = (exponent * 10 + digit as i32).min(FAR_EXPONENT);
                at += 1;
            }
            if at == first {
                return None;
            }
            let exponent = if sign == Some(b'-') { -exponent } else { exponent };
            number = NumberText { end: at, exponent, integer: false, ..number };
        }
        Some(number)
    }

    /// The offset behind its last byte.
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// What the number is; `text` is its own text.
    #[inline]
    pub(super) fn value(&self, text: &[u8]) -> Number {
        if self.integer && !(self.negative && self.digits == 0 && self.count == 1) {
            let integer = match (self.count <= 19, self.negative) {
                (false, _) => None,
                (true, false) => i64::try_from(self.digits).ok(),
                (true, true) => 0i64.checked_sub_unsigned(self.digits),
            };
            return integer.map_or(Number::Huge { integer: true }, Number::Integer);
        }
        let double = self.quick_double().unwrap_or_else(|| exact_double(text));
        if double.is_finite() { Number::Double(double) } else { Number::Huge { integer: false } }
    }

    /// Two exact doubles give the correctly rounded result in one operation (W. D. Clinger 1990).
    #[inline]
    fn quick_double(&self) -> Option<f64> {
        let power = self.exponent - i32::try_from(self.fraction).ok()?;
        if self.count > 19 || self.digits > EXACT_IN_DOUBLE || power.unsigned_abs() > 22 {
            return None;
        }
        let scale = POWERS_OF_TEN[power.unsigned_abs() as usize];
        let digits = self.digits as f64;
        let double = if power < 0 { digits / scale } else { digits * scale };
        Some(if self.negative { -double } else { double })
    }
}

const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

#[cold]
fn exact_double(text: &[u8]) -> f64 {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

#[inline]
fn digit(text: &[u8], at: usize) -> Option<u8> {
    text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10)
}

#[inline]
fn read_digits(text: &[u8], mut at: usize, digits: &mut u64) -> usize {
    while let Some(digit) = digit(text, at) {
        *digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Option<Number> {
        let read = NumberText::read(text.as_bytes(), 0)?;
        (read.end() == text.len()).then(|| read.value(text.as_bytes()))
    }

    #[test]
    fn integers_up_to_64_bits() {
        for integer in [0, 1, -1, 42, i64::MAX, i64::MIN, 1 << 53, 9_007_199_254_740_993] {
            assert_eq!(number(&integer.to_string()), Some(Number::Integer(integer)));
        }
        for text in
            ["9223372036854775808", "-9223372036854775809", "18446744073709551616", "100000000000000000000"]
        {
            assert_eq!(number(text), Some(Number::Huge { integer: true }), "{text}");
        }
    }

    #[test]
    fn everything_else_is_a_double() {
        for text in [
            "1.0",
            "1.50",
            "-0.0",
            "1e3",
            "1E+3",
            "2.5e-3",
            "0.1",
            "123456789012345678901.5",
            "1e-400",
            "5e-324",
        ] {
            assert_eq!(number(text), Some(Number::Double(text.parse().unwrap())), "{text}");
        }
        assert!(matches!(number("-0"), Some(Number::Double(zero)) if zero == 0.0 && zero.is_sign_negative()));
        for text in ["1e400", "-1e400", "1e99999999999999999999", "1.8e308"] {
            assert_eq!(number(text), Some(Number::Huge { integer: false }), "{text}");
        }
        assert_eq!(number("0e99999999999999999999"), Some(Number::Double(0.0)));
    }

    #[test]
    fn not_numbers() {
        for text in ["", "-", "01", "-01", "1.", ".1", "1e", "1e+", "+1", "1.e1", "--1", "00", "1a"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn wide_integers() {
        assert!(!is_wide(1 << 53) && !is_wide(-(1 << 53)) && !is_wide(0));
        assert!(is_wide((1 << 53) + 1) && is_wide(i64::MIN));
    }

    proptest! {
        #[test]
        fn doubles_are_rounded_as_by_the_standard_library(
            text in r"-?(0|[1-9][0-9]{0,20})\.[0-9]{1,25}([eE][+-]?[0-9]{1,3})?"
        ) {
            let expected: f64 = text.parse().unwrap();
            match number(&text).unwrap() {
                Number::Double(double) => prop_assert_eq!(double.to_bits(), expected.to_bits()),
                other => prop_assert!(expected.is_infinite(), "{:?}", other),
            }
        }

        #[test]
        fn every_double_survives(bits: u64) {
            let double = f64::from_bits(bits);
            prop_assume!(double.is_finite());
            let text = format!("{double:e}");
            prop_assert_eq!(number(&text), Some(Number::Double(double)));
        }
    }
}
