//! Writing events as JSON text, without building values first.

/// Where the parts of a written line are, for copying it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The 13 digits of `mp_processing_time_ms`.
    pub(super) processed: usize,
}

/// Appends `,"name":value` pairs to a text. Names are written as they are, so they must be JSON-escaped.
pub(super) struct Properties<'a> {
    out: &'a mut Vec<u8>,
    /// Whether characters beyond ASCII are written as `\uXXXX`, as some senders do.
    ascii: bool,
}

impl<'a> Properties<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, ascii: bool) -> Properties<'a> {
        Properties { out, ascii }
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A value that is JSON text already.
    pub(super) fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.name(name);
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    pub(super) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        string(self.out, value, self.ascii);
        self
    }

    /// A string out of two texts that need no escaping.
    pub(super) fn joined(&mut self, name: &str, first: &str, second: &str) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(first.as_bytes());
        self.out.extend_from_slice(second.as_bytes());
        self.out.push(b'"');
        self
    }

    pub(super) fn int(&mut self, name: &str, value: u64) -> &mut Self {
        self.name(name);
        integer(self.out, value);
        self
    }

    pub(super) fn bool(&mut self, name: &str, value: bool) -> &mut Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    /// An amount given in cents; whole ones are written without a fraction, as JSON encoders do.
    pub(super) fn money(&mut self, name: &str, cents: u64) -> &mut Self {
        self.name(name);
        money(self.out, cents);
        self
    }

    pub(super) fn uuid(&mut self, name: &str, prefix: &str, bits: [u64; 2]) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(prefix.as_bytes());
        uuid(self.out, bits);
        self.out.push(b'"');
        self
    }

    /// A JSON text under a numbered name, such as `exp_0042`.
    pub(super) fn numbered(&mut self, prefix: &str, number: u64, width: usize, json: &str) -> &mut Self {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(prefix.as_bytes());
        padded(self.out, number, width);
        self.out.extend_from_slice(b"\":");
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    /// A value that `write` appends as JSON text.
    pub(super) fn with(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.name(name);
        write(self.out);
        self
    }
}

pub(super) fn integer(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

pub(super) fn padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    let mut value = value;
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

pub(super) fn money(out: &mut Vec<u8>, cents: u64) {
    integer(out, cents / 100);
    let rest = cents % 100;
    if rest != 0 {
        out.push(b'.');
        out.push(b'0' + (rest / 10) as u8);
        if !rest.is_multiple_of(10) {
            out.push(b'0' + (rest % 10) as u8);
        }
    }
}

pub(super) fn uuid(out: &mut Vec<u8>, bits: [u64; 2]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut nibbles = (0..32).map(|i| (bits[i / 16] >> (60 - 4 * (i % 16))) & 15);
    for (at, place) in text.iter_mut().enumerate() {
        if !matches!(at, 8 | 13 | 18 | 23) {
            *place = HEX[nibbles.next().unwrap_or(0) as usize];
        }
    }
    out.extend_from_slice(&text);
}

/// 36 characters of the alphabet that Mixpanel allows in `$insert_id`.
pub(super) fn insert_id(out: &mut Vec<u8>, bits: [u64; 4]) {
    const ALPHABET: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-z";
    let mut text = [0u8; 36];
    for (nine, bits) in text.chunks_exact_mut(9).zip(bits) {
        for (at, place) in nine.iter_mut().enumerate() {
            *place = ALPHABET[(bits >> (6 * at)) as usize & 63];
        }
    }
    out.extend_from_slice(&text);
}

/// A JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str, ascii: bool) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if c < ' ' || (ascii && !c.is_ascii()) => {
                let mut units = [0u16; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers() {
        assert_eq!(written(|out| integer(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(written(|out| integer(out, 0)), "0");
        assert_eq!(written(|out| padded(out, 42, 6)), "000042");
        assert_eq!(written(|out| money(out, 1999)), "19.99");
        assert_eq!(written(|out| money(out, 1990)), "19.9");
        assert_eq!(written(|out| money(out, 1905)), "19.05");
        assert_eq!(written(|out| money(out, 1900)), "19");
    }

    #[test]
    fn strings_round_trip_in_both_spellings() {
        for text in super::super::catalog::NOTES {
            for ascii in [false, true] {
                let json = written(|out| string(out, text, ascii));
                assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                assert!(!ascii || json.is_ascii());
            }
        }
    }

    #[test]
    fn identifiers() {
        let id = written(|out| uuid(out, [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]));
        assert_eq!(id, "01234567-89ab-cdef-fedc-ba9876543210");
        let id = written(|out| insert_id(out, [u64::MAX, 0, 1, 2]));
        assert_eq!(id.len(), 36);
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    }
}
