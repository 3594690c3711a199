//! Numbers that are usually whole.

use serde::{Deserialize, Serialize, Serializer};

/// A count or a figure derived from one. Whole numbers are written without a fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub f64);

/// Up to here, every whole number has a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Amount {
    /// As a whole number, if it is one.
    pub fn whole(self) -> Option<i64> {
        (self.0.fract() == 0.0 && self.0.abs() <= EXACT).then_some(self.0 as i64)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.whole() {
            Some(whole) => serializer.serialize_i64(whole),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.map(|amount| amount.0).sum())
    }
}

impl From<f64> for Amount {
    fn from(number: f64) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_no_fraction() {
        let text = |number: f64| serde_json::to_string(&Amount(number)).unwrap();
        assert_eq!((text(147.0), text(-0.0), text(0.5)), ("147".into(), "0".into(), "0.5".into()));
        assert_eq!(text(1e300).parse(), Ok(1e300));
        assert_eq!(serde_json::from_str::<Amount>("7").unwrap(), Amount(7.0));
    }
}
