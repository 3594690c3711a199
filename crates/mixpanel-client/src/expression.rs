//! Small parts of Mixpanel's expression language (segmentation-expressions reference).

/// A text in double quotes, with quotes and backslashes escaped.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// The property of an event with this exact name, whatever is in it: `properties["plan.tier"]`.
pub fn property(name: &str) -> String {
    format!("properties[{}]", quoted(name))
}

/// What to break down by: an expression stays, anything else is the name of a property.
pub fn breakdown(on: &str) -> String {
    let is_expression = ["properties[", "user[", "event[", "group_properties["];
    if is_expression.iter().any(|start| on.contains(start)) { on.to_owned() } else { property(on) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_properties_and_expressions_stay() {
        assert_eq!(breakdown("plan.tier"), r#"properties["plan.tier"]"#);
        assert_eq!(breakdown(r#"say "hi"\"#), r#"properties["say \"hi\"\\"]"#);
        for stays in [r#"properties["a"]"#, r#"user["$email"]"#, r#"number(properties["a"]) / 2"#] {
            assert_eq!(breakdown(stays), stays);
        }
    }
}
