//! Asking reports live.

use serde_json::{Value, json};

use super::check::Check;
use super::{FlowReport, FunnelReport, InsightsReport, RetentionReport};
use crate::api::ApiRequest;
use crate::client::Client;
use crate::error::Result;
use crate::live::{FlowsAnswer, FlowsResult, Insights, SavedReportResult};

/// The most rows that are asked for.
const MOST_ROWS: u32 = 3_000;

impl Client {
    /// Asks an insights report: one query.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a report that cannot be right;
    /// [`BadRequest`](crate::ErrorKind::BadRequest) with Mixpanel's objection; those of
    /// [`Client::json`].
    pub fn query_insights(&self, report: &InsightsReport) -> Result<SavedReportResult> {
        self.insights(report, InsightsReport::to_bookmark)
    }

    /// Asks a funnel: one query.
    ///
    /// # Errors
    ///
    /// As [`query_insights`](Self::query_insights).
    pub fn query_funnel(&self, report: &FunnelReport) -> Result<SavedReportResult> {
        self.insights(report, FunnelReport::to_bookmark)
    }

    /// Asks for retention: one query.
    ///
    /// # Errors
    ///
    /// As [`query_insights`](Self::query_insights).
    pub fn query_retention(&self, report: &RetentionReport) -> Result<SavedReportResult> {
        self.insights(report, RetentionReport::to_bookmark)
    }

    /// Asks for a flow: one query.
    ///
    /// # Errors
    ///
    /// As [`query_insights`](Self::query_insights).
    pub fn query_flow(&self, report: &FlowReport) -> Result<FlowsResult> {
        report.check()?;
        let body = self.with_project(json!({
            "bookmark": report.to_bookmark(),
            "query_type": report.query_type(),
        }));
        let answer: FlowsAnswer = self.json(&ApiRequest::query("arb_funnels").post_json(&body))?;
        let mut result = answer.into_result(None);
        if result.steps.is_empty() {
            result.unknown_names = self.unknown_of(report.events());
        }
        Ok(result)
    }

    fn insights<R: Check>(&self, report: &R, to_bookmark: impl Fn(&R) -> Value) -> Result<SavedReportResult> {
        report.check()?;
        let body = self.with_project(json!({
            "bookmark": to_bookmark(report),
            "queryLimits": {"limit": MOST_ROWS},
        }));
        let answer: Insights = self.json(&ApiRequest::query("insights").post_json(&body))?;
        let mut result = answer.into_result(None);
        if result.is_nothing() {
            result.unknown_names = self.unknown_of(report.events());
        }
        Ok(result)
    }

    /// The body names the project, too, if it is known.
    fn with_project(&self, mut body: Value) -> Value {
        if let Some(id) = self.project_id() {
            body["project_id"] = id.into();
        }
        body
    }
}
