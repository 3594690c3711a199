//! Text that people wrote with other programs: byte order marks, UTF-16, line ends.

use std::io::{self, Read};
use std::path::Path;

use crate::error::Error;

/// Reads a file of text.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let text = std::fs::read(path).and_then(decode);
    text.map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Reads text to its end.
pub(crate) fn read_all(mut from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    decode(bytes)
}

/// Text out of bytes: UTF-8, or UTF-16 that begins with a byte order mark, as PowerShell writes it.
/// The mark itself goes.
pub(crate) fn decode(bytes: Vec<u8>) -> io::Result<String> {
    let wide = |unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes[2..].as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty()).ok_or_else(|| unreadable("UTF-16"))
    };
    match bytes[..] {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, ref rest @ ..] => {
            String::from_utf8(rest.to_vec()).map_err(|_| unreadable("UTF-8"))
        }
        _ => String::from_utf8(bytes).map_err(|_| unreadable("UTF-8")),
    }
}

fn unreadable(encoding: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it is not valid {encoding} text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_programs_are_text() {
        let expected = "SELECT 'ü';\r\n";
        let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            std::iter::once(0xfeff).chain(expected.encode_utf16()).flat_map(order).collect()
        };
        let marked = [&[0xef, 0xbb, 0xbf], expected.as_bytes()].concat();
        for bytes in [expected.into(), marked, wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            assert_eq!(decode(bytes).unwrap(), expected);
        }
        for bytes in [&b"\xff\xfeS"[..], b"\xff\xfe\x00\xd8", b"caf\xe9"] {
            let error = decode(bytes.to_vec()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        assert_eq!(decode(Vec::new()).unwrap(), "");
    }
}
