//! `--jq`: a filter over JSON, before it is printed.

use std::io::{self, Write};

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Ctx, Vars, data, unwrap_valr};
use jaq_json::{Num, Val};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::Error;

/// A compiled filter.
pub(super) struct Jq {
    text: String,
    filter: jaq_core::Filter<data::JustLut<Val>>,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Indented.
    Pretty,
    /// One line each.
    Compact,
    /// One line each, text without its quotes.
    Bare,
}

impl Jq {
    pub(super) fn new(text: &str) -> Result<Self, Error> {
        let refused = |why: String| Error::Filter { filter: text.to_owned(), why };
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        // Filters see the data and nothing else: the environment may hold secrets.
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let funs = funs.filter(|(name, ..)| *name != "env");
        let arena = Arena::default();
        let modules = Loader::new(defs)
            .load(&arena, File { code: text, path: () })
            .map_err(|errors| refused(errors.first().map_or_else(String::new, |(_, error)| syntax(error))))?;
        let filter = jaq_core::Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
            let names = errors.iter().flat_map(|(_, errors)| errors);
            let names: Vec<String> =
                names.map(|(name, what)| format!("there is no {} `{name}`", what.as_str())).collect();
            refused(names.join(", "))
        })?;
        Ok(Jq { text: text.to_owned(), filter })
    }

    /// Runs the filter over one JSON text and writes its results, one after the other.
    pub(super) fn run(&self, input: &[u8], out: &mut dyn Write, style: Style) -> Result<(), Error> {
        let refused = |why: String| Error::Filter { filter: self.text.clone(), why };
        let input = jaq_json::read::parse_single(input).map_err(|error| refused(error.to_string()))?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        for result in self.filter.id.run((context, input)).map(unwrap_valr) {
            let value = result.map_err(|error| refused(error.to_string()))?;
            write(out, &value, style)?;
        }
        Ok(())
    }
}

fn syntax(error: &jaq_core::load::Error<&str>) -> String {
    use jaq_core::load::Error as Load;
    let near = |text: &str| {
        if text.is_empty() { "at the end".to_owned() } else { format!("at `{text}`") }
    };
    match error {
        Load::Io(errors) => errors.first().map_or_else(String::new, |(_, why)| why.clone()),
        Load::Lex(errors) => errors.first().map_or_else(String::new, |(expected, rest)| {
            format!("expected {} {}", expected.as_str(), near(rest))
        }),
        Load::Parse(errors) => errors.first().map_or_else(String::new, |(expected, rest)| {
            format!("expected {} {}", expected.as_str(), near(rest))
        }),
    }
}

/// A value as JSON. jaq's values are a superset: NaN becomes null, bytes become text. Numbers keep
/// their text, so that those that fit no type of ours stay exact.
struct Plain<'a>(&'a Val);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Val::Null => serializer.serialize_unit(),
            Val::Bool(value) => serializer.serialize_bool(*value),
            Val::Num(Num::Float(value)) if !value.is_finite() => serializer.serialize_unit(),
            Val::Num(number) => RawValue::from_string(number.to_string()).ok().serialize(serializer),
            Val::BStr(bytes) | Val::TStr(bytes) => serializer.serialize_str(&String::from_utf8_lossy(bytes)),
            Val::Arr(values) => serializer.collect_seq(values.iter().map(Plain)),
            Val::Obj(entries) => {
                serializer.collect_map(entries.iter().map(|(name, value)| (key(name), Plain(value))))
            }
        }
    }
}

fn key(name: &Val) -> String {
    match name {
        Val::BStr(bytes) | Val::TStr(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => other.to_string(),
    }
}

fn write(out: &mut dyn Write, value: &Val, style: Style) -> io::Result<()> {
    match (style, value) {
        (Style::Bare, Val::BStr(bytes) | Val::TStr(bytes)) => {
            out.write_all(String::from_utf8_lossy(bytes).as_bytes())?;
        }
        (Style::Pretty, value) => serde_json::to_writer_pretty(&mut *out, &Plain(value))?,
        (_, value) => serde_json::to_writer(&mut *out, &Plain(value))?,
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(filter: &str, input: &str, style: Style) -> Result<String, String> {
        let mut out = Vec::new();
        let jq = Jq::new(filter).map_err(|error| error.to_string())?;
        jq.run(input.as_bytes(), &mut out, style).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn filters_work_as_in_jq() {
        let rows = r#"[{"n": 9007199254740993, "s": "é"}, {"n": 18446744073709551615, "s": null}]"#;
        assert_eq!(run(".[].n", rows, Style::Compact).unwrap(), "9007199254740993\n18446744073709551615\n");
        assert_eq!(run(".[0].s", rows, Style::Compact).unwrap(), "\"é\"\n");
        assert_eq!(run(".[0].s", rows, Style::Bare).unwrap(), "é\n");
        assert_eq!(run("map(.s)", rows, Style::Pretty).unwrap(), "[\n  \"é\",\n  null\n]\n");
        assert_eq!(run(".[] | select(.n == 1)", rows, Style::Pretty).unwrap(), "");
        assert_eq!(run("nan, infinite", "null", Style::Compact).unwrap(), "null\nnull\n");
        assert_eq!(run("{a: [.[0].s], b: {}}", rows, Style::Compact).unwrap(), "{\"a\":[\"é\"],\"b\":{}}\n");
    }

    #[test]
    fn numbers_of_any_size_stay_exact() {
        for number in [
            "170141183460469231731687303715884105727",
            "-170141183460469231731687303715884105728",
            "12345678901234567890.123456789",
        ] {
            assert_eq!(run(".[0]", &format!("[{number}]"), Style::Compact).unwrap(), format!("{number}\n"));
        }
        let sum = run("add", "[170141183460469231731687303715884105727, 1]", Style::Compact).unwrap();
        assert_eq!(sum, "170141183460469231731687303715884105728\n");
    }

    #[test]
    fn wrong_filters_say_where() {
        for (filter, word) in [(".[", ""), ("nosuch", "nosuch"), (". | error(\"odd\")", "odd")] {
            let error = run(filter, "[]", Style::Compact).unwrap_err();
            assert!(error.contains(word) && error.contains(filter), "{error}");
        }
    }
}
