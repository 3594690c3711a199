//! SQL for the exact text of a property's value.
//!
//! DuckDB's JSON functions read a value and write it anew: `1.10` becomes `1.1`,
//! `12345678901234567890.50` becomes `12345678901234567000.0`, white space goes
//! and escapes are undone. What stands in a column is the text as it was sent,
//! so a property without a column has to be cut out of `properties`. DuckDB has
//! no function for that but regular expressions, and no function of ours may be
//! in a view that others read too.

use super::ddl::{json_pointer, literal};

/// Values that are nested more deeply are shown as DuckDB writes them.
const MAX_DEPTH: usize = 12;

/// A string with its quotes; all else that is not nested.
const STRING: &str = r#""(?:[^"\\]|\\.)*""#;
const PLAIN: &str = r#"[^\s,{}\[\]"]+"#;

/// The text of an object's member `name`: strings as what they say if `decoded`,
/// everything else byte for byte. NULL where it is missing or null.
pub(super) fn exact_text(name: &str, decoded: bool) -> String {
    let pointer = literal(&json_pointer(name));
    let written = format!("CAST(properties->{pointer} AS VARCHAR)");
    let strings =
        if decoded { format!("WHEN 'VARCHAR' THEN properties->>{pointer} ") } else { String::new() };
    format!(
        "CASE json_type(properties, {pointer}) WHEN 'NULL' THEN NULL {strings}ELSE CASE WHEN {} THEN {written}
         ELSE coalesce(nullif(regexp_extract(properties, {}, 1), ''), {written}) END END",
        stands_there(name, &written),
        literal(&pattern(name)),
    )
}

/// SQL for whether a member's name occurs once and DuckDB's text of the value
/// stands right behind it: then it is the exact text. This is the usual case, and
/// much quicker than to look for it.
fn stands_there(name: &str, written: &str) -> String {
    let quoted = serde_json::Value::from(name).to_string();
    let (key, length) = (literal(&quoted), quoted.chars().count());
    let member = literal(&format!("{quoted}:"));
    format!(
        "length(properties) - length(replace(properties, {key}, '')) = {length}
         AND (contains(properties, concat({member}, {written}, ',')) OR contains(properties, concat({member}, {written}, '}}')))
         AND NOT contains(properties, '\\u')"
    )
}

/// The regular expression whose group is the value of the first member `name`.
fn pattern(name: &str) -> String {
    let value = format!("(?:{STRING}|{PLAIN}|{})", nested());
    format!(r#"^\s*\{{\s*(?:{STRING}\s*:\s*{value}\s*,\s*)*?"{}"\s*:\s*({value})"#, key_pattern(name))
}

/// Objects and lists, down to [`MAX_DEPTH`].
fn nested() -> String {
    (0..MAX_DEPTH).fold(String::new(), |inner, _| {
        let inner = if inner.is_empty() { inner } else { format!("|{inner}") };
        format!(r#"[\[{{](?:[^\[\]{{}}"]|{STRING}{inner})*[\]}}]"#)
    })
}

/// A name in each way in which JSON may write it.
fn key_pattern(name: &str) -> String {
    name.chars().map(character_pattern).collect()
}

fn character_pattern(character: char) -> String {
    let mut units = [0; 2];
    let escaped: String =
        character.encode_utf16(&mut units).iter().map(|unit| format!(r"\\u{unit:04x}")).collect();
    let short = match character {
        '"' => r#"|\\""#,
        '\\' => r"|\\\\",
        '/' => r"|\\/",
        '\u{8}' => r"|\\b",
        '\u{c}' => r"|\\f",
        '\n' => r"|\\n",
        '\r' => r"|\\r",
        '\t' => r"|\\t",
        _ => "",
    };
    // What JSON never writes as it is.
    let itself = match character {
        '"' | '\\' => String::new(),
        control if control < ' ' => String::new(),
        _ => format!(r"|\x{{{:x}}}", u32::from(character)),
    };
    format!("(?:(?i:{escaped}){short}{itself})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_however_they_are_written() {
        assert_eq!(character_pattern('a'), r"(?:(?i:\\u0061)|\x{61})");
        assert_eq!(character_pattern('"'), r#"(?:(?i:\\u0022)|\\")"#);
        assert_eq!(character_pattern('🙂'), r"(?:(?i:\\ud83d\\ude42)|\x{1f642})");
    }
}
