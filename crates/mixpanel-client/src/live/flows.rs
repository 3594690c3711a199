//! Saved flows (`/arb_funnels`, which Mixpanel does not document).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::ApiRequest;
use crate::client::Client;
use crate::discovery::UnknownName;
use crate::error::Result;
use crate::table::{Columns, Tabular};

/// Which ways users take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowsResult {
    /// The number of the saved report; none for one that was asked ad hoc.
    pub bookmark_id: Option<u64>,
    /// When Mixpanel computed it, in its words.
    pub computed_at: Option<String>,
    /// The steps, each with its nodes and their edges, as Mixpanel gives them.
    pub steps: Vec<Value>,
    /// The ways that most users take, where these were asked for.
    pub flows: Vec<Value>,
    /// Breakdowns.
    pub breakdowns: Vec<Value>,
    /// The part of users that reach the end.
    pub overall_conversion_rate: Option<f64>,
    /// Anything else that Mixpanel says.
    pub metadata: Value,
    /// Events asked for that Mixpanel does not list; looked for where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

impl Tabular for FlowsResult {
    /// One row for each node: `step` (from 0), `event`, `type`, `anchor_type`, `count`, `edges`.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        let mut rows: Vec<(u64, &Value)> = Vec::new();
        for (step, nodes) in self.steps.iter().enumerate() {
            let nodes = nodes.get("nodes").and_then(Value::as_array).into_iter().flatten();
            rows.extend(nodes.map(|node| (step as u64, node)));
        }
        let text =
            |key: &'static str| rows.iter().map(move |(_, node)| node.get(key).and_then(Value::as_str));
        let edges: Vec<Value> =
            rows.iter().map(|(_, node)| node.get("edges").cloned().unwrap_or_default()).collect();
        Columns::new()
            .count("step", rows.iter().map(|row| row.0))
            .maybe_text("event", text("event"))
            .maybe_text("type", text("type"))
            .maybe_text("anchor_type", text("anchorType"))
            .whole("count", rows.iter().map(|(_, node)| node.get("totalCount").and_then(whole)))
            .json("edges", &edges)
            .finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

/// A count, which may be a text.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
pub(crate) struct Answer {
    #[serde(rename = "computed_at")]
    computed_at: Option<String>,
    steps: Option<Vec<Value>>,
    flows: Option<Vec<Value>>,
    breakdowns: Option<Vec<Value>>,
    overall_conversion_rate: Option<f64>,
    metadata: Value,
}

impl Answer {
    pub(crate) fn into_result(self, bookmark_id: Option<u64>) -> FlowsResult {
        FlowsResult {
            bookmark_id,
            computed_at: self.computed_at,
            steps: self.steps.unwrap_or_default(),
            flows: self.flows.unwrap_or_default(),
            breakdowns: self.breakdowns.unwrap_or_default(),
            overall_conversion_rate: self.overall_conversion_rate,
            metadata: self.metadata,
            unknown_names: Vec::new(),
        }
    }
}

impl Client {
    /// Asks a saved flows report.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) for a report that is not there; those of
    /// [`Client::json`].
    pub fn query_flows(&self, bookmark_id: u64) -> Result<FlowsResult> {
        let request = ApiRequest::query("arb_funnels")
            .param("bookmark_id", bookmark_id)
            .param("query_type", "flows_sankey");
        Ok(self.json::<Answer>(&request)?.into_result(Some(bookmark_id)))
    }
}
