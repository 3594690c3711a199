//! The lexicon: descriptions of some events and of the profiles. As in real projects, most events have none.

use serde_json::{Value, json};

use super::{ok, segments};
use crate::api::{Answer, Call, Refusal, bad, not_found};

/// `schemas`, `schemas/{type}[?entity_name=]`, `schemas/{type}/{name}`.
pub(super) fn schemas(call: &Call<'_>) -> Result<Answer, Refusal> {
    let segments = segments(call.path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments[1..] {
        [] => Ok(ok(&Value::Array(entries()))),
        [kind] => {
            let name = call.params.text("entity_name")?;
            let entries = of_type(kind)?;
            let named =
                entries.into_iter().filter(|entry| name.as_deref().is_none_or(|name| entry["name"] == name));
            Ok(ok(&Value::Array(named.collect())))
        }
        [kind, name] => {
            let found = of_type(kind)?.into_iter().find(|entry| entry["name"] == name);
            let entry = found.ok_or_else(|| not_found(format!("no schema for {kind} {name:?}")))?;
            Ok(ok(&entry["schemaJson"]))
        }
        _ => Err(not_found("no such endpoint")),
    }
}

fn of_type(kind: &str) -> Result<Vec<Value>, Refusal> {
    if !matches!(kind, "event" | "profile") {
        return Err(bad(format!("invalid entity type {kind:?}: must be event or profile")));
    }
    Ok(entries().into_iter().filter(|entry| entry["entityType"] == kind).collect())
}

fn entry(kind: &str, name: &str, schema: Value) -> Value {
    json!({"entityType": kind, "name": name, "schemaJson": schema})
}

fn entries() -> Vec<Value> {
    vec![
        entry(
            "event",
            "Purchase",
            json!({
                "description": "Money has changed hands.",
                "properties": {
                    "amount": {
                        "type": "number",
                        "description": "In the order's currency.",
                        "metadata": {"com.mixpanel": {"displayName": "Order total", "hidden": false, "dropped": false}},
                    },
                    "currency": {"type": "string"},
                    "items": {"type": "array", "description": "One object for each line of the order."},
                    "coupon": {"type": "null"},
                    "first_order": {"type": "boolean"},
                    "order_id": {"type": "integer"},
                },
                "metadata": {"com.mixpanel": {
                    "$source": "api",
                    "displayName": "Purchase (paid)",
                    "tags": ["core", "money \"€\""],
                    "hidden": false,
                    "dropped": false,
                    "contacts": ["shop@example.com"],
                    "teamContacts": ["Checkout"],
                }},
            }),
        ),
        entry(
            "event",
            "Checkout Started",
            json!({
                "properties": {
                    "cart": {"type": "object"},
                    "cart_total": {"type": "number"},
                    "ship.to \"home\" address": {
                        "type": "string",
                        "metadata": {"com.mixpanel": {"hidden": true}},
                    },
                },
            }),
        ),
        entry(
            "event",
            "Bewertung abgegeben ⭐",
            json!({
                "description": "A review, as another system calls it.",
                "properties": {"stars": {"type": "integer"}, "note": {"type": "string"}},
                "metadata": {"com.mixpanel": {"tags": [], "hidden": true}},
            }),
        ),
        // Of a property and an event that are no longer taken in.
        entry(
            "event",
            "legacy/sign up",
            json!({"metadata": {"com.mixpanel": {"displayName": "Sign-up (old)", "dropped": true}}}),
        ),
        entry(
            "profile",
            "$user",
            json!({
                "description": "Customers and leads.",
                "properties": {
                    "plan": {"type": "string", "description": "free, pro or enterprise"},
                    "Lifetime Value": {"type": "number"},
                    "tags": {"type": "array"},
                    "is_vip": {"type": "boolean", "metadata": {"com.mixpanel": {"displayName": "VIP"}}},
                },
            }),
        ),
    ]
}
