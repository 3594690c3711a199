//! Which keys have occurred before, in bounded memory.
//!
//! Bloom filters in layers, each twice as large as the one before, so that a
//! small export takes a megabyte and any export at most 128. A key that has
//! occurred is always recognised. One that has not is taken for a repeat about
//! once in a million times, or more often beyond 30 million keys: callers
//! compare repeats in full.

/// Words of 64 bits in a block; all bits of a key are in one block, which is a line of the
/// processor's cache.
const BLOCK_WORDS: usize = 8;
/// Bits that are set for a key.
const BITS: u32 = 8;
/// Bits of a layer for each of its keys.
const BITS_PER_KEY: usize = 32;
/// Blocks of the first and of the largest layer: 1 MB and 64 MB.
const FIRST_BLOCKS: usize = 1 << 14;
const MAX_BLOCKS: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Repeats {
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    blocks: Vec<[u64; BLOCK_WORDS]>,
    /// Keys that it still takes.
    room: usize,
}

impl Layer {
    fn new(blocks: usize) -> Self {
        let room = blocks * BLOCK_WORDS * 64 / BITS_PER_KEY;
        Self { blocks: vec![[0; BLOCK_WORDS]; blocks], room }
    }

    fn block(&self, key: u64) -> usize {
        // The upper half chooses the block, the lower half the bits in it.
        (key >> 32) as usize & (self.blocks.len() - 1)
    }

    fn has(&self, key: u64) -> bool {
        let block = &self.blocks[self.block(key)];
        bits(key).all(|(word, bit)| block[word] & bit != 0)
    }

    fn add(&mut self, key: u64) {
        let at = self.block(key);
        for (word, bit) in bits(key) {
            self.blocks[at][word] |= bit;
        }
        self.room = self.room.saturating_sub(1);
    }
}

/// Word and bit of each of a key's bits: one in each word.
fn bits(key: u64) -> impl Iterator<Item = (usize, u64)> {
    let mixed = (key as u32 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..BITS).map(move |number| (number as usize, 1 << (mixed >> (number * 6 + 8) & 63)))
}

impl Repeats {
    /// Takes note of a key; true when it may have occurred before.
    pub(super) fn note(&mut self, key: u64) -> bool {
        if self.layers.iter().any(|layer| layer.has(key)) {
            return true;
        }
        let blocks = self.layers.last().map_or(0, |layer| layer.blocks.len());
        match self.layers.last_mut() {
            Some(layer) if layer.room > 0 || blocks == MAX_BLOCKS => layer.add(key),
            _ => {
                let mut layer = Layer::new((blocks * 2).max(FIRST_BLOCKS));
                layer.add(key);
                self.layers.push(layer);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn key(number: u64) -> u64 {
        xxh3_64(&number.to_le_bytes())
    }

    #[test]
    fn every_repeat_is_seen_and_hardly_anything_else() {
        let mut repeats = Repeats::default();
        let keys = 1_000_000;
        let wrong = (0..keys).filter(|&number| repeats.note(key(number))).count();
        assert!(wrong < 40, "{wrong} of {keys}");
        assert!((0..keys).all(|number| repeats.note(key(number))));
        assert_eq!(repeats.layers.len(), 3);
    }
}
