//! The expression language: every documented rule, and every shape that clients are known to generate.

use mixpanel_sim::expr::{Context, Expr, ExprError, Value};
use serde_json::json;

fn evaluate(text: &str, properties: &serde_json::Value) -> Result<Value, ExprError> {
    let profile = json!({"$email": "ada@example.com", "plan": "pro"});
    let context = Context::new("Purchase", properties.as_object().unwrap());
    Expr::parse(text)?.evaluate(&context.with_profile(profile.as_object()))
}

/// The value without properties.
fn value(text: &str) -> Value {
    evaluate(text, &json!({})).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn keeps(text: &str, properties: serde_json::Value) -> bool {
    let context = Context::new("Purchase", properties.as_object().unwrap());
    Expr::parse(text).and_then(|expr| expr.keeps(&context)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn number(value: f64) -> Value {
    Value::Number(value)
}

const TRUE: Value = Value::Bool(true);
const FALSE: Value = Value::Bool(false);

#[test]
fn missing_properties() {
    assert_eq!(value(r#"properties["a"] == 1"#), FALSE);
    assert_eq!(value(r#"properties["a"] != 1"#), TRUE);
    assert_eq!(value(r#"properties["a"] != "a""#), TRUE);
    assert_eq!(value(r#"not properties["a"] == 1"#), TRUE);
    assert_eq!(value(r#"properties["a"] > 1"#), Value::Undefined);
    assert!(!keeps(r#"properties["a"] > 1"#, json!({})));
    assert_eq!(value(r#"not (properties["a"] > 1)"#), TRUE);
    assert_eq!(value(r#"not properties["a"]"#), TRUE);
    assert_eq!(value(r#"properties["a"] == undefined"#), TRUE);
    assert_eq!(evaluate(r#"properties["a"] == null"#, &json!({"a": null})), Ok(TRUE));
    assert_eq!(value(r#"properties["a"] == null"#), FALSE);
}

#[test]
fn membership() {
    let tagged = json!({"tags": ["x", "y"], "id": 3});
    assert_eq!(value(r#""ab" in "cabd""#), TRUE);
    assert_eq!(value(r#""AB" in "cabd""#), FALSE);
    assert_eq!(evaluate(r#""x" in properties["tags"]"#, &tagged), Ok(TRUE));
    assert_eq!(evaluate(r#"not "x" in properties["tags"]"#, &tagged), Ok(FALSE));
    assert_eq!(evaluate(r#"not "z" in properties["tags"]"#, &tagged), Ok(TRUE));
    assert_eq!(evaluate(r#""z" not in properties["tags"]"#, &tagged), Ok(TRUE));
    assert_eq!(evaluate(r#"properties["id"] in [1, 2, 3, 4]"#, &tagged), Ok(TRUE));
    assert_eq!(evaluate(r#"properties["id"] in [1, 2]"#, &tagged), Ok(FALSE));
    assert_eq!(evaluate(r#"properties["none"] in [1, 2]"#, &tagged), Ok(FALSE));
    assert_eq!(value("1 in 2"), Value::Undefined);
    assert_eq!(value("1 in []"), FALSE);
}

#[test]
fn arithmetic() {
    assert_eq!(value("7 % -3"), number(1.0));
    assert_eq!(value("-7 % 3"), number(-1.0));
    assert_eq!(value("1 + 2 * 3 - 4 / 2"), number(5.0));
    assert_eq!(value("(1 + 2) * 3"), number(9.0));
    assert_eq!(value("10 - 3 - 2"), number(5.0));
    assert_eq!(value("- - 2"), number(2.0));
    assert_eq!(value("1 / 0"), Value::Undefined);
    assert_eq!(value("1 % 0"), Value::Undefined);
    assert_eq!(value(r#""a" + 1"#), Value::Undefined);
    assert_eq!(value(r#""a" + "b""#), Value::Text("ab".to_owned()));
    assert_eq!(value(r#""a" - "b""#), Value::Undefined);
    assert_eq!(value(r#"-"a""#), Value::Undefined);
    assert_eq!(value(".5 + 1.5e1"), number(15.5));
    assert_eq!(value("floor(2.7)"), number(2.0));
    assert_eq!(value("ceil(2.1)"), number(3.0));
    assert_eq!(value("round(2.5)"), number(3.0));
    assert_eq!(value(r#"floor("2")"#), Value::Undefined);
}

#[test]
fn casts() {
    assert_eq!(value(r#"number("3.5") + 1"#), number(4.5));
    assert_eq!(value(r#"number("x")"#), Value::Undefined);
    assert_eq!(value(r#"number("inf")"#), Value::Undefined);
    assert_eq!(value("number(true) + number(false)"), number(1.0));
    assert_eq!(value("number(null)"), Value::Undefined);
    assert_eq!(value(r#"string(5) == "5""#), TRUE);
    assert_eq!(value(r#"string(2.5) == "2.5""#), TRUE);
    assert_eq!(value(r#"string(true) == "true""#), TRUE);
    assert_eq!(value("string(null)"), Value::Null);
    assert_eq!(value("string(undefined)"), Value::Undefined);
    for falsy in [r#""false""#, "0", "null", "undefined", r#""""#, "false"] {
        assert_eq!(value(&format!("boolean({falsy})")), FALSE, "{falsy}");
    }
    for truthy in [r#""true""#, "1", r#""no""#, "[]", "-1"] {
        assert_eq!(value(&format!("boolean({truthy})")), TRUE, "{truthy}");
    }
}

#[test]
fn comparisons() {
    assert_eq!(value(r#"1 == "1""#), FALSE);
    assert_eq!(value(r#"1 != "1""#), TRUE);
    assert_eq!(value("1 == 1.0"), TRUE);
    assert_eq!(value("2 >= 2"), TRUE);
    assert_eq!(value("2 < 2"), FALSE);
    assert_eq!(value(r#"2 < "3""#), Value::Undefined);
    assert_eq!(value("true > false"), Value::Undefined);
    assert_eq!(value(r#""2026-01-02" > "2026-01-01""#), TRUE);
    assert_eq!(value("1 + 1 == 2 and 2 < 3"), TRUE);
    assert_eq!(value("[1, 2] == [1, 2]"), TRUE);
}

#[test]
fn logic() {
    assert_eq!(value("true or false and false"), TRUE);
    assert_eq!(value("(true or false) and false"), FALSE);
    assert_eq!(value("not true or true"), TRUE);
    assert_eq!(value("not (true or true)"), FALSE);
    assert_eq!(value("undefined or true"), TRUE);
    assert_eq!(value("undefined and true"), FALSE);
    assert_eq!(value("not 5"), Value::Undefined);
    let both = r#"(properties["p"] == "a" or properties["p"] == "b") and defined(properties["q"])"#;
    assert!(keeps(both, json!({"p": "b", "q": 0})));
    assert!(!keeps(both, json!({"p": "b"})));
    assert!(!keeps(both, json!({"p": "c", "q": 0})));
}

#[test]
fn non_boolean_operands_are_errors() {
    let text = json!({"x": "s"});
    for wrong in [r#"properties["x"] and true"#, r#"true and properties["x"]"#, r#"properties["x"] or true"#]
    {
        assert!(matches!(evaluate(wrong, &text), Err(ExprError::Type(_))), "{wrong}");
    }
    let context = Context::new("e", text.as_object().unwrap());
    assert!(matches!(Expr::parse(r#"properties["x"]"#).unwrap().keeps(&context), Err(ExprError::Type(_))));
}

#[test]
fn definedness() {
    assert!(keeps(r#"defined(properties["q"])"#, json!({"q": ""})));
    assert!(!keeps(r#"defined(properties["q"])"#, json!({"q": null})));
    assert!(keeps(r#"not defined(properties["q"])"#, json!({})));
}

#[test]
fn times() {
    // 2026-01-10T12:00:00Z
    let noon = json!({"time": 1_768_046_400, "mp_processing_time_ms": 1_768_046_400_123_i64});
    for holds in [
        r#"event["$time"] >= datetime("2026-01-10T00:00:00")"#,
        r#"event["time"] >= datetime("2026-01-10")"#,
        r#"properties["$time"] >= datetime(1768046400)"#,
        r#"properties["$time"] <= datetime(1768046400)"#,
        r#"properties["$time"] == datetime(1768046400000)"#,
        r#"properties["$time"] == datetime(2026, 1, 10, 12, 0, 0)"#,
        r#"properties["$time"] > datetime(2026, 1, 10)"#,
        r#"event["$time"] > "2026-01-10T11:59:59""#,
        r#"event["$time"] < 1768046401"#,
        r#"event["$time"] < datetime("2026-01-10T12:00:01+00:00")"#,
        r#"properties["mp_processing_time_ms"] >= 1768046400000"#,
        r#"properties["time"] == 1768046400"#,
        r#"string(event["$time"]) == "2026-01-10T12:00:00""#,
    ] {
        assert!(keeps(holds, noon.clone()), "{holds}");
    }
    assert!(!keeps(r#"event["$time"] >= datetime("2026-01-11T00:00:00")"#, noon.clone()));
    assert_eq!(value(r#"datetime("soon")"#), Value::Undefined);
    assert_eq!(value("datetime(2026, 13, 1)"), Value::Undefined);
}

#[test]
fn selectors() {
    let nested = json!({"cart": {"gift": {"wrap": true}}, "a \"b\" \\ c": 1, "é": "\u{2028}"});
    let of = |text: &str| evaluate(text, &nested).unwrap();
    assert_eq!(of(r#"properties["cart"]["gift"]["wrap"]"#), TRUE);
    assert_eq!(of(r#"properties["cart"]["none"]["wrap"]"#), Value::Undefined);
    assert_eq!(of(r#"properties["a \"b\" \\ c"] == 1"#), TRUE);
    assert_eq!(of("properties['é'] == \"\u{2028}\""), TRUE);
    assert_eq!(of(r#"user["$email"] == "ada@example.com""#), TRUE);
    assert_eq!(of(r#"event["$event_name"] == "Purchase""#), TRUE);
    assert_eq!(of(r#"group_properties["company"]["name"]"#), Value::Undefined);
    assert_eq!(of(r#"behaviors["bought twice"]"#), Value::Undefined);
}

#[test]
fn iteration_over_lists() {
    let order = json!({"items": [{"price": 5}, {"price": 15}], "tags": []});
    let of = |text: &str| evaluate(text, &order).unwrap();
    assert_eq!(of(r#"any x in properties["items"] (x["price"] > 10)"#), TRUE);
    assert_eq!(of(r#"all x in properties["items"] (x["price"] > 10)"#), FALSE);
    assert_eq!(of(r#"all x in properties["tags"] (x == "a")"#), TRUE);
    assert_eq!(of(r#"any x in properties["tags"] (x == "a")"#), FALSE);
    assert_eq!(of(r#"any x in properties["none"] (x == "a")"#), Value::Undefined);
    assert_eq!(of(r#"any x in [1, 2] (any y in [2, 3] (x == y))"#), TRUE);
    assert!(Expr::parse(r#"any x in [1] (y == 1)"#).is_err());
}

#[test]
fn shapes_that_clients_generate() {
    let event = json!({"p": "v1", "n": 5, "list": ["v", "w"], "flag": true});
    for (text, expected) in [
        (r#"properties["p"] == "v1""#, true),
        (r#"(properties["p"] == "v1" or properties["p"] == "v2")"#, true),
        (r#"properties["p"] != "v1" and properties["p"] != "v2""#, false),
        (r#""v" in properties["p"]"#, true),
        (r#"not "v" in properties["p"]"#, false),
        (r#"properties["n"] > 4"#, true),
        (r#"properties["n"] < 5"#, false),
        (r#"properties["n"] >= 5 and properties["n"] <= 6"#, true),
        (r#"defined(properties["p"])"#, true),
        (r#"not defined(properties["x"])"#, true),
        (r#"properties["flag"] == true"#, true),
        (r#"properties["flag"] == false"#, false),
        (r#"user["p"] == "v1""#, false),
        (r#"(properties["p"] == "v1") and ("v" in properties["list"]) and not defined(user["x"])"#, true),
    ] {
        assert_eq!(keeps(text, event.clone()), expected, "{text}");
    }
}

#[test]
fn what_is_not_an_expression() {
    for (text, at) in [
        ("", 0),
        ("1 +", 3),
        ("(1", 2),
        ("1 2", 2),
        ("1 < 2 < 3", 6),
        (r#"properties[a] == 1"#, 11),
        ("properties == 1", 11),
        (r#""open"#, 0),
        ("foo(1)", 0),
        ("TRUE", 0),
        ("a = 1", 2),
        ("1 = 1", 2),
        ("floor(1, 2)", 11),
        ("datetime(1, 2)", 14),
        ("12abc", 0),
        ("1 ? 2", 2),
        ("[1, ]", 4),
        ("not", 3),
    ] {
        match Expr::parse(text) {
            Err(ExprError::Syntax { at: found, .. }) => assert_eq!(found, at, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn deep_nesting_is_refused_not_fatal() {
    for deep in
        [format!("{}1{}", "(".repeat(50_000), ")".repeat(50_000)), "not ".repeat(50_000), "-".repeat(50_000)]
    {
        assert!(matches!(Expr::parse(&deep), Err(ExprError::Syntax { .. })));
    }
    assert!(Expr::parse(&format!("{}1{}", "(".repeat(50), ")".repeat(50))).is_ok());
    // Long is not deep.
    assert_eq!(value(&vec!["true"; 20_000].join(" and ")), TRUE);
    assert_eq!(value(&vec!["false"; 20_000].join(" or ")), FALSE);
    assert!(matches!(Expr::parse(&vec!["1"; 20_000].join(" + ")), Err(ExprError::Syntax { .. })));
}
