//! The inner loop of reading: how far a string goes on without anything special.

/// The offset of the first byte from `at` on that cannot stand for itself inside a string: a quote,
/// a backslash, a control character; or the end of the text. And whether all bytes before it are
/// ASCII.
#[inline]
pub(super) fn plain_run(text: &[u8], mut at: usize) -> (usize, bool) {
    let mut high = false;
    while let Some(block) = text.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        let found = look_at(block);
        if found.special != 0 {
            let before = found.special & found.special.wrapping_neg();
            high |= found.high & (before - 1) != 0;
            return (at + found.special.trailing_zeros() as usize / BITS_PER_BYTE, !high);
        }
        high |= found.high != 0;
        at += BLOCK;
    }
    while let Some(&byte) = text.get(at) {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            break;
        }
        high |= byte >= 0x80;
        at += 1;
    }
    (at, !high)
}

/// The bytes of a block that end a run, and those that are not ASCII, each as the highest bit of
/// what a byte has in the word; the first byte is the lowest.
struct Found {
    special: u64,
    high: u64,
}

#[cfg(target_arch = "x86_64")]
const BLOCK: usize = 16;
#[cfg(target_arch = "x86_64")]
const BITS_PER_BYTE: usize = 1;

/// Sixteen bytes at a time, with instructions that every x86-64 has.
#[cfg(target_arch = "x86_64")]
#[inline]
fn look_at(block: &[u8; BLOCK]) -> Found {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };

    #[inline]
    #[target_feature(enable = "sse2")]
    fn with_sse2(block: &[u8; BLOCK]) -> Found {
        let bits = u128::from_le_bytes(*block);
        let bytes = _mm_set_epi64x((bits >> 64) as i64, bits as i64);
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        let last_control = _mm_set1_epi8(0x1F);
        let control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_control), last_control);
        let special = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control));
        Found { special: u64::from(special as u32), high: u64::from(_mm_movemask_epi8(bytes) as u32) }
    }

    // SAFETY: SSE2 is part of the x86-64 architecture; there is no such processor without it.
    unsafe { with_sse2(block) }
}

#[cfg(not(target_arch = "x86_64"))]
const BLOCK: usize = 8;
#[cfg(not(target_arch = "x86_64"))]
const BITS_PER_BYTE: usize = 8;

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn look_at(block: &[u8; BLOCK]) -> Found {
    look_at_word(u64::from_le_bytes(*block))
}

/// Eight bytes at a time in an ordinary register. Each test marks the top bit of a byte it is true
/// for; a carry can only add marks above a true one, so that the lowest mark is right.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn look_at_word(bytes: u64) -> Found {
    const ONES: u64 = u64::MAX / 0xFF;
    const TOPS: u64 = ONES << 7;
    // With bit 1 flipped, the quote (0x22) is the only byte that joins those below 0x21.
    let swapped = bytes ^ (ONES * 0x02);
    let control_or_quote = swapped.wrapping_sub(ONES * 0x21) & !swapped;
    let other = bytes ^ (ONES * u64::from(b'\\'));
    let backslash = other.wrapping_sub(ONES) & !other;
    Found { special: (control_or_quote | backslash) & TOPS, high: bytes & TOPS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_special_byte_is_found_anywhere() {
        for special in (0..=0x1F).chain([b'"', b'\\']) {
            for length in 1..40 {
                for place in 0..length {
                    let mut text = vec![b'x'; length];
                    text[place] = special;
                    text[length - 1] = if place == length - 1 { special } else { b'"' };
                    assert_eq!(plain_run(&text, 0), (place, true));
                    if place > 0 {
                        text[place - 1] = 0xFF;
                        assert_eq!(plain_run(&text, 0), (place, false));
                    }
                }
            }
        }
    }

    #[test]
    fn all_other_bytes_stand_for_themselves() {
        let plain: Vec<u8> = (0x20..=0xFF).filter(|byte| ![b'"', b'\\'].contains(byte)).collect();
        for start in 0..plain.len() {
            assert_eq!(plain_run(&plain, start), (plain.len(), false));
        }
    }

    #[test]
    fn words_and_vectors_see_the_same() {
        for first in 0..=u16::MAX {
            let [one, two] = first.to_le_bytes();
            let bytes = [b'a', one, two, one, 0x80, b'"', two, b'z'];
            let found = look_at_word(u64::from_le_bytes(bytes));
            let plain = bytes.iter().take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
            assert_eq!(found.special.trailing_zeros() as usize / 8, plain.count());
            let high = bytes.map(|byte| byte & 0x80);
            assert_eq!(found.high, u64::from_le_bytes(high));
        }
    }
}
