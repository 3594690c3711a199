//! A small deterministic random number generator.
//!
//! Streams are keyed, not shared: the generator of a day is derived from the seed and the day alone, so a day's
//! bytes do not depend on which other days were made before it.

/// xoshiro256++, seeded by SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: [u64; 4],
}

/// One step of SplitMix64: also a good mixer for keys.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Random {
    /// The generator of `stream` number `index` under `seed`.
    pub(crate) fn keyed(seed: u64, stream: u64, index: u64) -> Random {
        let mut key = mix(mix(mix(seed) ^ stream) ^ index);
        let state = std::array::from_fn(|_| {
            key = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
            mix(key)
        });
        Random { state }
    }

    pub(crate) fn next(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number in `0..bound`; the bias of the multiplication is far below anything a test could see.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// An element, the first ones far more often than the last (the square of a uniform number).
    pub(crate) fn pick_skewed<T: Copy>(&mut self, items: &[T]) -> T {
        let unit = self.unit();
        items[(unit * unit * items.len() as f64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_independent_and_repeatable() {
        let draw = |seed, stream, index| {
            let mut random = Random::keyed(seed, stream, index);
            [random.next(), random.next()]
        };
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        assert_ne!(draw(1, 2, 3), draw(1, 2, 4));
        assert_ne!(draw(1, 2, 3), draw(1, 3, 3));
        assert_ne!(draw(1, 2, 3), draw(2, 2, 3));
    }

    #[test]
    fn numbers_stay_in_range_and_fill_it() {
        let mut random = Random::keyed(7, 0, 0);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[random.below(10) as usize] += 1;
            assert!((3..=5).contains(&random.between(3, 5)));
            assert!((0.0..1.0).contains(&random.unit()));
        }
        assert!(seen.iter().all(|&count| (800..1200).contains(&count)), "{seen:?}");
    }
}
