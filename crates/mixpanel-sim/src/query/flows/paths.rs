//! The paths around an event.
//!
//! A user's events, without those that are hidden, are one line. At an anchor within the range, the path has the
//! next events after it and the last before it, as many as are asked for, as long as they lie within the window.
//! A path that stops short ends in a node that says so.

use std::collections::HashMap;

use jiff::ToSpan;

use super::super::scope::{Range, Scope};
use super::super::time::DAY_MS;
use super::definition::Flow;
use crate::app::App;
use crate::events::{Event, NOBODY};

/// What is at a position of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    Event(String),
    /// The path ends before this position.
    End,
    /// Events that are not shown each by itself.
    Others,
}

impl Node {
    pub(super) fn name(&self) -> &str {
        match self {
            Node::Event(name) => name,
            Node::End => "$dropoff",
            Node::Others => "$other",
        }
    }

    pub(super) fn kind(&self, position: i64) -> &'static str {
        match self {
            Node::End => "DROPOFF",
            Node::Others => "PRUNED",
            Node::Event(_) if position == 0 => "ANCHOR",
            Node::Event(_) => "NORMAL",
        }
    }
}

/// A path; the anchor is at position 0.
#[derive(Debug)]
pub(super) struct Path {
    nodes: Vec<Node>,
    /// The position of the first node.
    first: i64,
}

impl Path {
    pub(super) fn at(&self, position: i64) -> Option<&Node> {
        usize::try_from(position - self.first).ok().and_then(|index| self.nodes.get(index))
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (i64, Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (self.first + index as i64, node.clone()))
    }

    /// Whether there is an event at a position.
    pub(super) fn reaches(&self, position: i64) -> bool {
        matches!(self.at(position), Some(Node::Event(_)))
    }
}

pub(super) fn paths(app: &App, flow: &Flow) -> Vec<Path> {
    let around = (flow.window_ms / DAY_MS + 1).days();
    let wide =
        Range { from: flow.range.from.saturating_sub(around), to: flow.range.to.saturating_add(around) };
    let scope = Scope::new(app, wide);
    let anchor = scope.event(&flow.anchor);
    let hidden: Vec<u32> = flow.hidden.iter().filter_map(|name| scope.event(name)).collect();
    let filters = flow.filters.bind(&scope);
    let mut lines: HashMap<u32, Vec<&Event>> = HashMap::new();
    for (shard, event) in scope.events() {
        if event.user == NOBODY || hidden.contains(&event.name) || !filters.keep(shard, event) {
            continue;
        }
        let line = lines.entry(event.user).or_default();
        let repeated = line.last().is_some_and(|last| last.name == event.name);
        if !(flow.collapse_repeated && repeated) {
            line.push(event);
        }
    }
    let mut paths = Vec::new();
    for line in lines.values() {
        let anchors = line.iter().enumerate().filter(|(_, event)| Some(event.name) == anchor);
        let anchors = anchors.filter(|(_, event)| flow.range.has(event.wall));
        let most = if flow.unique { 1 } else { usize::MAX };
        for (index, _) in anchors.take(most) {
            paths.push(path(flow, &scope, line, index));
        }
    }
    paths
}

fn path(flow: &Flow, scope: &Scope<'_>, line: &[&Event], anchor: usize) -> Path {
    let near = |event: &&&Event| (event.time - line[anchor].time).abs() <= flow.window_ms;
    let node = |event: &&Event| Node::Event(scope.event_name(event.name).to_string());
    let before: Vec<Node> =
        line[..anchor].iter().rev().take(flow.reverse as usize).take_while(near).map(node).collect();
    let after: Vec<Node> =
        line[anchor + 1..].iter().take(flow.forward as usize).take_while(near).map(node).collect();
    let first = -(before.len() as i64);
    let ends = after.len() < flow.forward as usize;
    let mut nodes: Vec<Node> = before.into_iter().rev().collect();
    nodes.push(node(&line[anchor]));
    nodes.extend(after);
    nodes.extend(ends.then_some(Node::End));
    Path { nodes, first }
}
