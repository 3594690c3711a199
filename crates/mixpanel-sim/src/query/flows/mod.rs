//! `/arb_funnels`: flows, which are what users do around an event.

mod definition;
mod paths;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::definition::Flow;
use self::paths::{Node, Path, paths};
use super::saved::{self, Kind};
use crate::api::params::missing;
use crate::api::{Answer, Call, Refusal, bad, not_found};

/// A saved flow (`bookmark_id`), or one that comes along (`bookmark`).
pub(super) fn flows(call: &Call<'_>) -> Result<Answer, Refusal> {
    let params = call.params;
    let kinds = [("flows_sankey", false), ("flows", false), ("flows_top_paths", true)];
    let top_paths = params.choice("query_type", &kinds)?.ok_or_else(|| missing("query_type"))?;
    let bookmark = match (params.json("bookmark")?, params.integer("bookmark_id")?) {
        (Some(bookmark), _) => bookmark,
        (None, Some(id)) => match saved::find(id) {
            Some(report) if report.kind == Kind::Flows => report.params,
            Some(_) => return Err(bad("this report is no flow, ask /insights for it")),
            None => return Err(not_found(format!("no report with bookmark_id {id}"))),
        },
        (None, None) => return Err(missing("bookmark_id")),
    };
    let flow = Flow::read(call.app, &bookmark)?;
    let paths = paths(call.app, &flow);
    let total = paths.len();
    let whole = paths.iter().filter(|path| path.reaches(flow.forward)).count();
    let rate = if total == 0 { 0.0 } else { whole as f64 / total as f64 };
    let (steps, flows) =
        if top_paths { (json!([]), top(&flow, &paths)) } else { (sankey(&flow, &paths), json!([])) };
    Ok(Answer::json(&json!({
        "computed_at": super::computed_at(call.app),
        "steps": steps,
        "flows": flows,
        "breakdowns": [],
        "overallConversionRate": rate,
        "metadata": {"anchorCount": total.to_string(), "countType": flow.count_type},
    })))
}

/// All paths laid over each other: at each position the most frequent events, and how they are connected. The
/// others of a position are one node.
fn sankey(flow: &Flow, paths: &[Path]) -> Value {
    let positions: Vec<i64> = (-flow.reverse..=flow.forward).collect();
    let mut kept: Vec<BTreeMap<Node, usize>> = Vec::new();
    for &position in &positions {
        let mut counts: BTreeMap<Node, usize> = BTreeMap::new();
        for node in paths.iter().filter_map(|path| path.at(position)) {
            *counts.entry(node.clone()).or_default() += 1;
        }
        kept.push(most(counts, flow.cardinality));
    }
    let steps = positions.iter().enumerate().map(|(index, &position)| {
        let shown = |index: usize, node: &Node| match kept[index].contains_key(node) {
            true => node.clone(),
            false => Node::Others,
        };
        let mut nodes: BTreeMap<Node, (usize, BTreeMap<Node, usize>)> = BTreeMap::new();
        for path in paths {
            let Some(node) = path.at(position) else { continue };
            let entry = nodes.entry(shown(index, node)).or_default();
            entry.0 += 1;
            if let Some(next) = path.at(position + 1).filter(|_| index + 1 < positions.len()) {
                *entry.1.entry(shown(index + 1, next)).or_default() += 1;
            }
        }
        let nodes = ranked(nodes, |entry| entry.0).into_iter().map(|(node, (count, edges))| {
            let edges: Vec<Value> = ranked(edges, |count| *count)
                .into_iter()
                .map(|(next, count)| {
                    json!({"event": next.name(), "type": next.kind(position + 1), "step": index + 1,
                           "totalCount": count.to_string()})
                })
                .collect();
            node_json(&node, position, count, edges)
        });
        json!({"nodes": nodes.collect::<Vec<_>>()})
    });
    Value::Array(steps.collect())
}

/// The most frequent whole paths.
fn top(flow: &Flow, paths: &[Path]) -> Value {
    let mut counts: BTreeMap<Vec<(i64, Node)>, usize> = BTreeMap::new();
    for path in paths {
        *counts.entry(path.nodes().collect()).or_default() += 1;
    }
    let flows = ranked(counts, |count| *count).into_iter().take(flow.cardinality).map(|(nodes, count)| {
        let steps: Vec<Value> =
            nodes.iter().map(|(position, node)| node_json(node, *position, count, Vec::new())).collect();
        json!({"flowSteps": steps})
    });
    Value::Array(flows.collect())
}

fn node_json(node: &Node, position: i64, count: usize, edges: Vec<Value>) -> Value {
    let anchor_type = match position {
        0 => "NORMAL",
        1.. => "RELATIVE_FORWARD",
        _ => "RELATIVE_REVERSE",
    };
    json!({
        "event": node.name(),
        "type": node.kind(position),
        "anchorType": anchor_type,
        "totalCount": count.to_string(),
        "edges": edges,
    })
}

fn most(counts: BTreeMap<Node, usize>, limit: usize) -> BTreeMap<Node, usize> {
    let ends = counts.get_key_value(&Node::End).map(|(node, count)| (node.clone(), *count));
    let events = counts.into_iter().filter(|(node, _)| *node != Node::End).collect();
    ranked(events, |count| *count).into_iter().take(limit).chain(ends).collect()
}

fn ranked<K: Ord, V>(all: BTreeMap<K, V>, count: impl Fn(&V) -> usize) -> Vec<(K, V)> {
    let mut all: Vec<(K, V)> = all.into_iter().collect();
    all.sort_by_key(|(_, value)| std::cmp::Reverse(count(value)));
    all
}
