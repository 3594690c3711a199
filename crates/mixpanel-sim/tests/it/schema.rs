//! Whether a JSON value is what an OpenAPI schema says, as far as the published descriptions go.

use serde_json::Value;

/// A description and the schemas in it.
pub(crate) struct Description(pub(crate) Value);

impl Description {
    pub(crate) fn parse(yaml: &str) -> Description {
        Description(serde_norway::from_str(yaml).expect("the OpenAPI file"))
    }

    /// Follows a `$ref`.
    pub(crate) fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').expect("a reference within the file");
                self.0.pointer(pointer).expect("a reference to something")
            }
            None => value,
        }
    }

    /// The places where a value is not what a schema says.
    pub(crate) fn violations(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.check(schema, value, "$", &mut found);
        found
    }

    fn check(&self, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
        let schema = self.resolve(schema);
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        let fits = match schema["type"].as_str() {
            None => true,
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some(other) => panic!("the description has a new type: {other}"),
        };
        if !fits {
            found.push(format!("{path} should be {} and is {value}", schema["type"]));
            return;
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            found.push(format!("{path} is not one of {words:?}: {value}"));
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.check(&schema["items"], item, &format!("{path}[{index}]"), found);
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value.get(name).is_none() {
                found.push(format!("{path}.{name} is missing"));
            }
        }
        for (name, field) in value.as_object().into_iter().flatten() {
            let known = schema["properties"].get(name);
            let schema = known.or_else(|| schema.get("additionalProperties"));
            if let Some(schema) = schema.filter(|schema| schema.is_object()) {
                self.check(schema, field, &format!("{path}.{name}"), found);
            }
        }
    }
}

#[test]
fn violations_are_noticed() {
    let description = Description::parse("components: {schemas: {n: {type: integer}}}");
    let schema = serde_json::json!({
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"$ref": "#/components/schemas/n"}, "b": {"type": "array", "items": {"type": "string"}}},
        "additionalProperties": {"type": "boolean"},
    });
    let bad = |value: Value| description.violations(&schema, &value).len();
    assert_eq!(bad(serde_json::json!({"a": 1, "b": ["x"], "c": true})), 0);
    assert_eq!(bad(serde_json::json!({"a": 1.5, "b": [1, "x"], "c": 0})), 3);
    assert_eq!(bad(serde_json::json!({})), 1);
    assert_eq!(bad(serde_json::json!([])), 1);
}
