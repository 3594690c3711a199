//! Faults as JSON and as a header, for tests that run in another process.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Fault, JSON, QueryLimit, ScriptedFault, status_body};

/// The names of all faults.
const NAMES: [&str; 17] = [
    "terminated_early",
    "cut_connection",
    "cut_before_trailer",
    "clean_close_mid_line",
    "gzip_no_trailer",
    "gzip_bad_crc",
    "slow_first_byte",
    "stall",
    "status",
    "too_many_requests",
    "query_limit",
    "in_band_error",
    "html_page",
    "insert_lines",
    "replace_body",
    "no_final_newline",
    "redirect",
];

impl Fault {
    /// The name by which JSON, headers and logs call the fault.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::TerminatedEarly { .. } => "terminated_early",
            Fault::CutConnection { .. } => "cut_connection",
            Fault::CutBeforeTrailer => "cut_before_trailer",
            Fault::CleanCloseMidLine { .. } => "clean_close_mid_line",
            Fault::GzipNoTrailer => "gzip_no_trailer",
            Fault::GzipBadCrc => "gzip_bad_crc",
            Fault::SlowFirstByte { .. } => "slow_first_byte",
            Fault::Stall { .. } => "stall",
            Fault::Status { .. } => "status",
            Fault::TooManyRequests { .. } => "too_many_requests",
            Fault::QueryLimit(_) => "query_limit",
            Fault::InBandError { .. } => "in_band_error",
            Fault::HtmlPage => "html_page",
            Fault::InsertLines { .. } => "insert_lines",
            Fault::ReplaceBody(_) => "replace_body",
            Fault::NoFinalNewline => "no_final_newline",
            Fault::Redirect { .. } => "redirect",
        }
    }

    /// Reads `name` or `name:argument`; the argument is the field that matters most.
    pub(super) fn from_header(text: &str) -> Result<Fault, String> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name.trim(), Some(argument.trim())),
            None => (text.trim(), None),
        };
        let mut fields = Map::new();
        fields.insert("fault".to_owned(), json!(name));
        if let Some(argument) = argument {
            let field = match name {
                "terminated_early" | "cut_connection" | "clean_close_mid_line" => "fraction",
                "slow_first_byte" | "stall" => "delay_ms",
                "status" => "status",
                "too_many_requests" => "retry_after",
                "query_limit" => "limit",
                "in_band_error" => "message",
                "redirect" => "location",
                _ => return Err(format!("the fault {name} takes no argument")),
            };
            let number = serde_json::from_str(argument).ok().filter(Value::is_number);
            let value = number.filter(|_| field != "retry_after").unwrap_or_else(|| json!(argument));
            fields.insert(field.to_owned(), value);
        }
        fault(&fields)
    }
}

impl ScriptedFault {
    /// Reads a fault as it is written on a command line: `name` or `name:argument` as in the header, and behind
    /// it, with commas, `times=N`, `after=N`, `day=yyyy-mm-dd` and `endpoint=NAME`.
    fn from_words(text: &str) -> Result<ScriptedFault, String> {
        let mut rest = text;
        let (mut after, mut times, mut day, mut endpoint) = (0, 1, None, None);
        // From the end: an argument may have commas and equals signs in it.
        while let Some((before, (key, value))) =
            rest.rsplit_once(',').and_then(|(before, option)| Some((before, option.split_once('=')?)))
        {
            let count = || value.parse().map_err(|_| format!("`{key}` must be a count, not {value:?}"));
            match key.trim() {
                "after" => after = count()?,
                "times" => times = count()?,
                "day" => {
                    day = Some(value.parse().map_err(|_| format!("`day` must be yyyy-mm-dd, not {value:?}"))?)
                }
                "endpoint" => endpoint = Some(value.to_owned()),
                _ => break,
            }
            rest = before;
        }
        Ok(ScriptedFault { fault: Fault::from_header(rest)?, after, times, day, endpoint })
    }

    /// Reads a fault from JSON: its name under `fault`, its fields beside it, and optionally `after`, `times`,
    /// `day` and `endpoint`.
    ///
    /// Durations are `delay_ms`. Bytes are a string, or under the same name with `_base64` at its end.
    ///
    /// ```
    /// use mixpanel_sim::{Fault, ScriptedFault};
    /// use serde_json::json;
    ///
    /// let script = ScriptedFault::from_json(&json!({"fault": "cut_connection", "fraction": 0.5, "times": 2}))?;
    /// assert_eq!(script, Fault::CutConnection { fraction: 0.5 }.times(2));
    /// # Ok::<(), String>(())
    /// ```
    pub fn from_json(json: &Value) -> Result<ScriptedFault, String> {
        let fields = json.as_object().ok_or("a fault is a JSON object")?;
        let count = |name: &str, default: u32| match fields.get(name) {
            None => Ok(default),
            Some(value) => {
                let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
                count.ok_or_else(|| format!("`{name}` must be a count"))
            }
        };
        let day = match fields.get("day") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let day = value.as_str().and_then(|text| text.parse().ok());
                Some(day.ok_or("`day` must be yyyy-mm-dd")?)
            }
        };
        let endpoint = fields.get("endpoint").and_then(text);
        let (after, times) = (count("after", 0)?, count("times", 1)?);
        Ok(ScriptedFault { fault: fault(fields)?, after, times, day, endpoint })
    }
}

impl std::str::FromStr for ScriptedFault {
    type Err = String;

    fn from_str(text: &str) -> Result<ScriptedFault, String> {
        ScriptedFault::from_words(text)
    }
}

fn fault(fields: &Map<String, Value>) -> Result<Fault, String> {
    let name = fields.get("fault").and_then(Value::as_str).ok_or("`fault` must be a name")?;
    let fraction = || number(fields, "fraction", 0.5).map(|fraction| fraction.clamp(0.0, 1.0));
    let delay = || Ok::<_, String>(Duration::from_millis(number(fields, "delay_ms", 1000.0)? as u64));
    let retry_after = || fields.get("retry_after").and_then(text);
    Ok(match name {
        "terminated_early" => Fault::TerminatedEarly {
            fraction: fraction()?,
            message: text_or(fields, "message", "terminated early"),
        },
        "cut_connection" => Fault::CutConnection { fraction: fraction()? },
        "cut_before_trailer" => Fault::CutBeforeTrailer,
        "clean_close_mid_line" => Fault::CleanCloseMidLine { fraction: fraction()? },
        "gzip_no_trailer" => Fault::GzipNoTrailer,
        "gzip_bad_crc" => Fault::GzipBadCrc,
        "slow_first_byte" => Fault::SlowFirstByte { delay: delay()? },
        "stall" => {
            Fault::Stall { after_bytes: number(fields, "after_bytes", 2000.0)? as usize, delay: delay()? }
        }
        "status" => status(fields)?,
        "too_many_requests" => Fault::TooManyRequests { retry_after: retry_after() },
        "query_limit" => Fault::QueryLimit(match text_or(fields, "limit", "hourly").as_str() {
            "hourly" => QueryLimit::Hourly,
            "concurrency" => QueryLimit::Concurrency,
            "load_shedding" => QueryLimit::LoadShedding,
            other => {
                return Err(format!("`limit` must be hourly, concurrency or load_shedding, not {other}"));
            }
        }),
        "in_band_error" => Fault::InBandError { message: text_or(fields, "message", "scripted fault") },
        "html_page" => Fault::HtmlPage,
        "insert_lines" => Fault::InsertLines {
            after_line: number(fields, "after_line", 0.0)? as usize,
            lines: lines(fields)?,
        },
        "replace_body" => match fields.get("body_base64") {
            Some(value) => Fault::ReplaceBody(decoded(value)?),
            None => Fault::ReplaceBody(text_or(fields, "body", "").into()),
        },
        "no_final_newline" => Fault::NoFinalNewline,
        "redirect" => Fault::Redirect { location: text_or(fields, "location", "/elsewhere") },
        other => {
            let known = NAMES.join(", ");
            return Err(format!("there is no fault named {other:?}; there are {known}"));
        }
    })
}

fn status(fields: &Map<String, Value>) -> Result<Fault, String> {
    let status = number(fields, "status", 500.0)?;
    if !(200.0..600.0).contains(&status) {
        return Err("`status` must be between 200 and 599".to_owned());
    }
    let status = status as u16;
    Ok(Fault::Status {
        status,
        body: text_or(fields, "body", &status_body(status)),
        retry_after: fields.get("retry_after").and_then(text),
        content_type: text_or(fields, "content_type", JSON),
    })
}

fn number(fields: &Map<String, Value>, name: &str, default: f64) -> Result<f64, String> {
    match fields.get(name) {
        None => Ok(default),
        Some(value) => value.as_f64().ok_or_else(|| format!("`{name}` must be a number")),
    }
}

/// A string, or a number as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn text_or(fields: &Map<String, Value>, name: &str, default: &str) -> String {
    fields.get(name).and_then(text).unwrap_or_else(|| default.to_owned())
}

fn lines(fields: &Map<String, Value>) -> Result<Vec<Bytes>, String> {
    let list = |name: &str| fields.get(name).and_then(Value::as_array);
    if let Some(lines) = list("lines_base64") {
        return lines.iter().map(decoded).collect();
    }
    let lines = list("lines").ok_or("`lines` must be a list")?;
    lines
        .iter()
        .map(|line| {
            line.as_str().map(|line| line.to_owned().into()).ok_or("a line must be a string".to_owned())
        })
        .collect()
}

fn decoded(value: &Value) -> Result<Bytes, String> {
    let text = value.as_str().ok_or("base64 must be a string")?;
    STANDARD.decode(text).map(Bytes::from).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let parse = |text| Fault::from_header(text).unwrap();
        assert_eq!(parse("cut_connection:0.25"), Fault::CutConnection { fraction: 0.25 });
        assert_eq!(parse("status:503"), Fault::status(503));
        assert_eq!(
            parse("too_many_requests: 30"),
            Fault::TooManyRequests { retry_after: Some("30".to_owned()) }
        );
        assert_eq!(parse("too_many_requests"), Fault::TooManyRequests { retry_after: None });
        assert_eq!(parse("slow_first_byte:50"), Fault::SlowFirstByte { delay: Duration::from_millis(50) });
        assert!(Fault::from_header("html_page:1").is_err());
        assert!(Fault::from_header("").is_err());
        assert!(Fault::from_header("status:12").is_err());
    }

    #[test]
    fn words_of_a_command_line() {
        let parse = |text: &str| text.parse::<ScriptedFault>();
        assert_eq!(parse("gzip_bad_crc"), Ok(Fault::GzipBadCrc.into()));
        let day = jiff::civil::date(2025, 6, 1);
        assert_eq!(
            parse("status:503,after=1,times=2,day=2025-06-01,endpoint=query"),
            Ok(Fault::status(503).after(1).times(2).on_day(day).on_endpoint("query"))
        );
        let message = "a=b, c".to_owned();
        assert_eq!(parse("in_band_error:a=b, c,times=3"), Ok(Fault::InBandError { message }.times(3)));
        for (wrong, word) in
            [("nope", "terminated_early"), ("stall,times=x", "count"), ("stall,day=1", "day")]
        {
            assert!(parse(wrong).unwrap_err().contains(word), "{wrong}");
        }
        for name in NAMES {
            let known = parse(name);
            assert!(
                known.as_ref().is_ok_and(|script| script.fault.name() == name) || name == "insert_lines",
                "{known:?}"
            );
        }
    }

    #[test]
    fn json_with_bytes_and_times() {
        let script = ScriptedFault::from_json(&json!({
            "fault": "insert_lines", "after_line": 3, "lines_base64": ["/wA="], "after": 1, "day": "2025-06-01",
        }))
        .unwrap();
        let lines = vec![Bytes::from_static(&[0xff, 0])];
        let expected = Fault::InsertLines { after_line: 3, lines }.after(1);
        assert_eq!(script, expected.on_day(jiff::civil::date(2025, 6, 1)));
        assert!(ScriptedFault::from_json(&json!({"fault": "stall", "delay_ms": "x"})).is_err());
        assert!(ScriptedFault::from_json(&json!({"fault": "stall", "times": -1})).is_err());
    }
}
