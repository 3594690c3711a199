//! Enumerations that are one word each, in an API and on a command line alike.

/// Defines an enumeration whose variants have a word: `as_str`, `Display`, `FromStr`, serde.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal, { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(word: &str) -> $crate::Result<Self> {
                let known = Self::ALL.iter().find(|known| known.as_str() == word);
                known.copied().ok_or_else(|| {
                    let words: Vec<&str> = Self::ALL.iter().map(|known| known.as_str()).collect();
                    let what = format!("unknown {} `{word}`: it is one of {}", $what, words.join(", "));
                    $crate::ErrorKind::InvalidRequest { what }.into()
                })
            }
        }
    };
}

pub(crate) use words;

words! {
    /// The length of a bucket of time.
    TimeUnit, "unit", {
        /// An hour.
        Hour = "hour",
        /// A day of the project.
        Day = "day",
        /// A week that begins on Monday.
        Week = "week",
        /// A calendar month.
        Month = "month",
    }
}

words! {
    /// How events are counted.
    CountType, "type of counting", {
        /// Each event.
        General = "general",
        /// Each user once for each bucket.
        Unique = "unique",
        /// Events per user.
        Average = "average",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_unknown_ones_refused_with_the_choice() {
        assert_eq!("week".parse::<TimeUnit>().unwrap(), TimeUnit::Week);
        assert_eq!(format!("{:>6}|", TimeUnit::Day), "   day|");
        let error = "fortnight".parse::<TimeUnit>().unwrap_err().to_string();
        assert!(error.contains("unknown unit `fortnight`: it is one of hour, day, week, month"), "{error}");
    }
}
