//! `--jq`: a filter over JSON, before it is printed.

use std::io::{self, Write};

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Ctx, Vars, data, unwrap_valr};
use jaq_json::{Num, Val};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::Format;
use crate::args;
use crate::error::Error;

/// Filters that jq has and jaq's own library has not.
const MORE: &str = include_str!("more.jq");

/// What is said of `env` and `$ENV`.
const NO_ENVIRONMENT: &str = "filters do not see the environment, as it may hold secrets; \
    the shell can put a value into the filter, or `mp sql -p name=value` into the query";

/// A compiled filter.
pub(super) struct Jq {
    text: String,
    filter: jaq_core::Filter<data::JustLut<Val>>,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As one JSON document, indented: one result as it is, several or none as an array.
    Document,
    /// One line each.
    Compact,
    /// One line each, text without its quotes.
    Bare,
}

impl Style {
    /// The style of a format.
    pub(super) fn of(format: Format) -> Self {
        match format {
            Format::Jsonl => Style::Compact,
            Format::Plain => Style::Bare,
            _ => Style::Document,
        }
    }
}

/// A filter over rows that come as lines of JSON, each by itself.
pub(crate) struct RowFilter(Jq, Style);

impl RowFilter {
    /// The filter that was asked for, if any.
    pub(crate) fn wanted(output: &args::Output) -> Result<Option<Self>, Error> {
        let style = if output.format == Some(Format::Plain) { Style::Bare } else { Style::Compact };
        Ok(output.jq.as_deref().map(Jq::new).transpose()?.map(|filter| RowFilter(filter, style)))
    }

    /// Writes what becomes of each line.
    pub(crate) fn run(&self, lines: &[u8], out: &mut dyn Write) -> Result<(), Error> {
        let mut lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.try_for_each(|line| self.0.run(line, out, self.1))
    }
}

impl Jq {
    pub(super) fn new(text: &str) -> Result<Self, Error> {
        let refused = |why: String| Error::Filter { filter: text.to_owned(), why };
        let more = jaq_core::load::parse(MORE, |parser| parser.defs()).unwrap_or_default();
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(more);
        // Filters see the data and nothing else: the environment may hold secrets.
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let funs = funs.filter(|(name, ..)| *name != "env");
        let arena = Arena::default();
        let modules = Loader::new(defs)
            .load(&arena, File { code: text, path: () })
            .map_err(|errors| refused(errors.first().map_or_else(String::new, |(_, error)| syntax(error))))?;
        let filter = jaq_core::Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
            let names = || errors.iter().flat_map(|(_, errors)| errors);
            if names().any(|(name, _)| matches!(*name, "env" | "ENV" | "$ENV")) {
                return refused(NO_ENVIRONMENT.to_owned());
            }
            let names: Vec<String> =
                names().map(|(name, what)| format!("there is no {} `{name}`", what.as_str())).collect();
            refused(names.join(", "))
        })?;
        Ok(Jq { text: text.to_owned(), filter })
    }

    /// Runs the filter over one JSON text and writes its results.
    pub(super) fn run(&self, input: &[u8], out: &mut dyn Write, style: Style) -> Result<(), Error> {
        let refused = |why: String| Error::Filter { filter: self.text.clone(), why };
        let input = jaq_json::read::parse_single(input).map_err(|error| refused(error.to_string()))?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        let mut results = Vec::new();
        for result in self.filter.id.run((context, input)).map(unwrap_valr) {
            let value = result.map_err(|error| refused(error.to_string()))?;
            match style {
                Style::Document => results.push(value),
                Style::Compact | Style::Bare => write_line(out, &value, style)?,
            }
        }
        if style == Style::Document {
            write_document(out, &results)?;
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

fn write_line(out: &mut dyn Write, value: &Val, style: Style) -> io::Result<()> {
    match (style, value) {
        (Style::Bare, Val::BStr(bytes) | Val::TStr(bytes)) => {
            out.write_all(String::from_utf8_lossy(bytes).as_bytes())?;
        }
        (_, value) => serde_json::to_writer(&mut *out, &Plain(value))?,
    }
    out.write_all(b"\n")
}

fn write_document(out: &mut dyn Write, results: &[Val]) -> io::Result<()> {
    match results {
        [one] => serde_json::to_writer_pretty(&mut *out, &Plain(one))?,
        _ => serde_json::to_writer_pretty(&mut *out, &results.iter().map(Plain).collect::<Vec<_>>())?,
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
        assert_eq!(run("map(.s)", rows, Style::Document).unwrap(), "[\n  \"é\",\n  null\n]\n");
        assert_eq!(run("nan, infinite", "null", Style::Compact).unwrap(), "null\nnull\n");
        assert_eq!(run("{a: [.[0].s], b: {}}", rows, Style::Compact).unwrap(), "{\"a\":[\"é\"],\"b\":{}}\n");
    }

    #[test]
    fn json_is_one_document_whatever_the_number_of_results() {
        let json = |filter: &str| run(filter, "[1, 2]", Style::Document).unwrap();
        assert_eq!(json(".[] | select(. > 2)"), "[]\n");
        assert_eq!(json(".[0]"), "1\n");
        assert_eq!(json(".[]"), "[\n  1,\n  2\n]\n");
        assert_eq!(json(". , ."), "[\n  [\n    1,\n    2\n  ],\n  [\n    1,\n    2\n  ]\n]\n");
        assert_eq!(run(".[] | select(. > 2)", "[1, 2]", Style::Compact).unwrap(), "");
    }

    #[test]
    fn what_jq_has_beyond_the_library_is_there() {
        let one = |filter: &str, input: &str| run(filter, input, Style::Compact);
        for (filter, input, expected) in [
            (".[] | IN(2, 3)", "[1, 2]", "false\ntrue\n"),
            ("IN(.[]; 2, 3)", "[1, 2]", "true\n"),
            ("IN(.[]; 7)", "[1, 2]", "false\n"),
            (
                "INDEX(.id)",
                r#"[{"id": 1, "a": 2}, {"id": "x"}]"#,
                "{\"1\":{\"id\":1,\"a\":2},\"x\":{\"id\":\"x\"}}\n",
            ),
            ("INDEX(.[]; . % 2)", "[1, 2, 3]", "{\"1\":3,\"0\":2}\n"),
            (
                "[tostream]",
                r#"{"a": [1, {"b": 2}], "c": []}"#,
                "[[[\"a\",0],1],[[\"a\",1,\"b\"],2],[[\"a\",1,\"b\"]],[[\"a\",1]],[[\"c\"],[]],[[\"c\"]]]\n",
            ),
            ("[tostream]", "3", "[[[],3]]\n"),
            ("fromstream(tostream)", r#"{"a":[1,{"b":2}],"c":[]}"#, "{\"a\":[1,{\"b\":2}],\"c\":[]}\n"),
            ("[leaf_paths]", r#"{"a": [1], "b": null}"#, "[[\"a\",0]]\n"),
            ("@csv", r#"["a \"b\"", 1, null, true]"#, "\"\\\"a \\\"\\\"b\\\"\\\"\\\",1,,true\"\n"),
            ("@tsv", r#"["a\tb\n\\", 1, null]"#, "\"a\\\\tb\\\\n\\\\\\\\\\t1\\t\"\n"),
            ("ascii_downcase, (.[0:1] | test(\"A\"))", "\"AB\"", "\"ab\"\ntrue\n"),
        ] {
            assert_eq!(one(filter, input).unwrap(), expected, "{filter}");
        }
    }

    #[test]
    fn the_environment_is_not_there_and_that_is_said() {
        for filter in ["env", "env.HOME", "$ENV", "$ENV.HOME", "[env | keys]"] {
            let error = run(filter, "null", Style::Compact).unwrap_err();
            assert!(error.contains("do not see the environment"), "{filter}: {error}");
        }
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
