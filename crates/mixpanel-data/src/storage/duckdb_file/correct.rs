//! A bit that rotted, found by the checksum: bytes in, the bytes as they were out.
//!
//! DuckDB's checksum is an exclusive or of all words, each times an odd number.
//! So for each word there is one other word that makes a wrong checksum right; if
//! one of them all differs from what is there in a single bit, that bit is it. The
//! higher a bit in its word, the fewer bits of the product it changes: where those
//! are too few to tell one word from another, nothing is corrected.

use super::layout::{FACTOR, checksum, checksum_of_rest};

/// So many bits of difference beyond what numbers the candidates: a correction is
/// wrong once in so many powers of two of blocks with worse damage.
const MARGIN: u32 = 12;

/// The inverse of [`FACTOR`], modulo 2^64: by Newton's iteration, each step of which
/// doubles the bits that are right.
const INVERSE: u64 = {
    let (mut inverse, mut step) = (FACTOR, 0);
    while step < 6 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(FACTOR.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
};

/// A header or block (checksum, then content) with the bit put right that is wrong
/// in it; `None` if it is whole, or if no single bit explains the checksum.
pub(in crate::storage) fn corrected(block: &[u8]) -> Option<Vec<u8>> {
    let (stored, content) = block.split_first_chunk()?;
    let mut stored = u64::from_le_bytes(*stored);
    let mut content = content.to_vec();
    correct(&mut stored, &mut content).then(|| [&stored.to_le_bytes()[..], &content].concat())
}

/// Makes the checksum of a header or block that of its content.
pub(in crate::storage) fn seal(block: &mut [u8]) {
    if let Some((stored, content)) = block.split_first_chunk_mut() {
        *stored = checksum(content).to_le_bytes();
    }
}

enum Wrong {
    Checksum,
    /// The word at a place, and what it was.
    Word(usize, u64),
    /// A bit of the bytes behind the last word.
    Rest(usize, u8),
}

/// Puts the one bit right that is wrong; returns whether there was one.
pub(super) fn correct(stored: &mut u64, content: &mut [u8]) -> bool {
    let difference = checksum(content) ^ *stored;
    let words = content.len() / 8;
    let telling = 64 - difference.trailing_zeros().min(64);
    // A bit, and 64 places for it in each word.
    if difference == 0 || telling < (words as u64 + 1).ilog2() + 6 + MARGIN {
        return false;
    }
    let mut found = Vec::new();
    if difference.count_ones() == 1 {
        found.push(Wrong::Checksum);
    }
    for (at, word) in content.chunks_exact(8).enumerate() {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        let should = (word.wrapping_mul(FACTOR) ^ difference).wrapping_mul(INVERSE);
        if (should ^ word).count_ones() == 1 {
            found.push(Wrong::Word(at * 8, should));
        }
    }
    let rest = &content[words * 8..];
    let is = if rest.is_empty() { 0 } else { checksum_of_rest(rest) };
    for bit in 0..rest.len() * 8 {
        let mut other = rest.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        if checksum_of_rest(&other) ^ is == difference {
            found.push(Wrong::Rest(words * 8 + bit / 8, 1 << (bit % 8)));
        }
    }
    match found[..] {
        [Wrong::Checksum] => *stored ^= difference,
        [Wrong::Word(at, should)] => content[at..at + 8].copy_from_slice(&should.to_le_bytes()),
        [Wrong::Rest(at, bit)] => content[at] ^= bit,
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::layout::sound;
    use super::*;

    /// A block of noise, as compressed data is.
    fn block(length: usize) -> Vec<u8> {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as u8
        };
        let mut block: Vec<u8> = (0..length).map(|_| next()).collect();
        seal(&mut block);
        block
    }

    #[test]
    fn a_flipped_bit_is_put_right_or_left_and_never_made_worse() {
        let whole = block(256 << 10);
        assert!(sound(&whole) && corrected(&whole).is_none());
        let mut right = 0;
        for trial in 0..128_usize {
            let mut bad = whole.clone();
            // Each bit of a word in turn, anywhere in the block, and in the checksum.
            let word = if trial % 8 == 0 { 0 } else { trial * 251 };
            bad[word * 8 + trial % 64 / 8] ^= 1 << (trial % 8);
            match corrected(&bad) {
                Some(found) => {
                    assert!(found == whole, "trial {trial}");
                    right += 1;
                }
                // The higher, the likelier that another word explains it as well.
                None => assert!(trial % 64 > 23, "bit {} of a word tells enough", trial % 64),
            }
        }
        assert!(right > 56, "{right} of 128");
    }

    #[test]
    fn every_bit_of_a_short_record_is_put_right_where_it_tells_enough() {
        let whole = block(8 + 61);
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bad = whole.clone();
                bad[at] ^= 1 << bit;
                match corrected(&bad) {
                    Some(found) => assert!(found == whole, "bit {bit} of byte {at}"),
                    None => assert!(at % 8 >= 5, "bit {bit} of byte {at}"),
                }
            }
        }
    }

    #[test]
    fn worse_damage_is_left_alone() {
        for length in [4096, 256 << 10] {
            let whole = block(length);
            for trial in 1..64 {
                let mut bad = whole.clone();
                bad[trial * 50..trial * 50 + trial].fill(0);
                bad[trial * 60] ^= 0x18;
                assert!(corrected(&bad).is_none_or(|found| found == whole), "{trial} bytes of {length}");
            }
        }
    }
}
