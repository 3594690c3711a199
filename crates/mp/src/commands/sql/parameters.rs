//! `-p NAME=VALUE`: the values of a query's parameters, as typed on a command line.

use mixpanel_data::Value;

/// The types that a value can be given.
const TYPES: &str = "text, int, float, bool, date, timestamp, null";

/// Reads `NAME=VALUE`, which is text, or `NAME:TYPE=VALUE`. Text in single quotes is what is between
/// them, as SQL writes it.
pub(crate) fn parameter(text: &str) -> Result<(String, Value), String> {
    let (left, value) = text.split_once('=').ok_or("expected NAME=VALUE or NAME:TYPE=VALUE")?;
    let (name, kind) = left.split_once(':').unwrap_or((left, "text"));
    let word = |c: char| c.is_alphanumeric() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || !name.chars().all(word) {
        return Err("a name has letters, digits and underscores".to_owned());
    }
    let value = typed(kind, value).map_err(|why| format!("{why}; without a type, a value is text"))?;
    Ok((name.to_owned(), value))
}

fn typed(kind: &str, text: &str) -> Result<Value, String> {
    let not = |what: &str| format!("{text:?} is not {what}");
    Ok(match kind {
        "text" => {
            let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
            Value::Text(inner.map_or_else(|| text.to_owned(), |inner| inner.replace("''", "'")))
        }
        "int" => Value::Integer(text.parse().map_err(|_| not("a whole number"))?),
        "float" => {
            let number: f64 = text.parse().map_err(|_| not("a number"))?;
            Value::Double(number)
        }
        "bool" => Value::Boolean(text.parse().map_err(|_| not("true or false"))?),
        "date" => Value::Date(text.parse().map_err(|_| not("a day such as 2024-01-31"))?),
        "timestamp" => {
            Value::DateTime(moment(text).ok_or_else(|| not("a time such as 2024-01-31 12:00:00"))?)
        }
        "null" if text.is_empty() => Value::Null,
        "null" => return Err("NULL has no value: -p NAME:null=".to_owned()),
        other => return Err(format!("there is no type {other:?}; there are {TYPES}")),
    })
}

/// A time of day in UTC, as stored times are; with a `Z` or an offset, what that is in UTC.
fn moment(text: &str) -> Option<jiff::civil::DateTime> {
    let instant = text.parse::<jiff::Timestamp>().ok();
    instant.map(|instant| jiff::tz::Offset::UTC.to_datetime(instant)).or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn value(text: &str) -> Value {
        parameter(text).unwrap().1
    }

    #[test]
    fn values_are_text_whatever_they_look_like() {
        for text in ["007", "7", "0.5", "true", "null", "1e3", "2024-01-02", "a=b", "", "a:b", "'"] {
            assert_eq!(value(&format!("x={text}")), Value::Text(text.to_owned()), "{text}");
        }
        assert_eq!(value("x='12'"), Value::Text("12".into()));
        assert_eq!(value("x='it''s'"), Value::Text("it's".into()));
    }

    #[test]
    fn a_type_makes_a_value_of_that_type() {
        assert_eq!(value("n:int=-12"), Value::Integer(-12));
        assert_eq!(value("n:int=007"), Value::Integer(7));
        assert_eq!(value("n:float=1e3"), Value::Double(1000.0));
        assert_eq!(value("n:bool=true"), Value::Boolean(true));
        assert_eq!(value("n:date=2024-02-29"), Value::Date(date(2024, 2, 29)));
        let noon = Value::DateTime(date(2024, 2, 29).at(12, 0, 0, 0));
        assert_eq!(value("n:timestamp=2024-02-29 12:00:00"), noon);
        assert_eq!(value("n:timestamp=2024-02-29T14:00:00+02:00"), noon);
        assert_eq!(value("n:null="), Value::Null);
        assert_eq!(value("n:text=7"), Value::Text("7".into()));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        for (text, word) in [
            ("no value", "NAME=VALUE"),
            ("1x=2", "letters"),
            ("n:int=x", "whole number"),
            ("n:int=1.5", "whole number"),
            ("n:date=2024-02-30", "a day"),
            ("n:integer=1", "text, int"),
            ("n:null=x", "NULL"),
        ] {
            let refused = parameter(text).unwrap_err();
            assert!(refused.contains(word), "{text}: {refused}");
        }
    }
}
