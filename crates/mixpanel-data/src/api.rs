//! What Mixpanel answers for a workspace's project: discovery, live queries and reports.
//!
//! Each method asks the client's method of the same name and turns its error into one of ours.
//! Nothing is stored. Without a project they fail with
//! [`NoCredentials`](crate::ErrorKind::NoCredentials); every other failure is
//! [`InvalidArgument`](crate::ErrorKind::InvalidArgument), [`Cancelled`](crate::ErrorKind::Cancelled)
//! or [`Api`](crate::ErrorKind::Api) with the client's error as [`api`](crate::Error::api).

use jiff::civil::Date;
use mixpanel_client::discovery::{
    Annotation, BookmarkInfo, BookmarkType, EntityType, FunnelInfo, LexiconSchema, Me, ProjectInfo,
    SavedCohort, TopEvent,
};
use mixpanel_client::live::{
    ActivityFeedResult, EngageStatsQuery, EngageStatsResult, EventCountsQuery, EventCountsResult,
    FlowsResult, FrequencyQuery, FrequencyResult, FunnelQuery, FunnelResult, NumericAverageResult,
    NumericBucketResult, NumericQuery, NumericSumResult, PropertyCountsQuery, PropertyCountsResult,
    RetentionQuery, RetentionResult, SavedReportResult, SavedReportType, SegmentationQuery,
    SegmentationResult,
};
use mixpanel_client::report::{FlowReport, FunnelReport, InsightsReport, RetentionReport};
use mixpanel_client::{Client, CountType};

use crate::error::{ErrorKind, Result};
use crate::fetch::api_error;
use crate::workspace::Workspace;

impl Workspace {
    /// The client of the workspace's project, for everything that has no method here.
    ///
    /// # Errors
    /// [`NoCredentials`](ErrorKind::NoCredentials).
    pub fn client(&self) -> Result<&Client> {
        Ok(&self.project().ok_or(ErrorKind::NoCredentials)?.client)
    }

    fn ask<T>(&self, what: &str, ask: impl FnOnce(&Client) -> mixpanel_client::Result<T>) -> Result<T> {
        ask(self.client()?).map_err(|error| api_error(what.to_owned(), error))
    }

    /// The names of all events, sorted; see [`Client::events`].
    pub fn events(&self) -> Result<Vec<String>> {
        self.ask("the list of events", Client::events)
    }

    /// The names of all properties of an event, sorted; see [`Client::properties`].
    pub fn properties(&self, event: &str) -> Result<Vec<String>> {
        self.ask("the list of properties", |client| client.properties(event))
    }

    /// Values of a property; see [`Client::property_values`].
    pub fn property_values(&self, property: &str, event: Option<&str>, limit: u32) -> Result<Vec<String>> {
        self.ask("the list of values", |client| client.property_values(property, event, limit))
    }

    /// The events of today; see [`Client::top_events`].
    pub fn top_events(&self, kind: CountType, limit: Option<u32>) -> Result<Vec<TopEvent>> {
        self.ask("the list of top events", |client| client.top_events(kind, limit))
    }

    /// The saved funnels, sorted by name; see [`Client::funnels`].
    pub fn funnels(&self) -> Result<Vec<FunnelInfo>> {
        self.ask("the list of funnels", Client::funnels)
    }

    /// The saved cohorts, sorted by name; see [`Client::cohorts`].
    pub fn cohorts(&self) -> Result<Vec<SavedCohort>> {
        self.ask("the list of cohorts", Client::cohorts)
    }

    /// The saved reports; see [`Client::list_bookmarks`].
    pub fn list_bookmarks(&self, kind: Option<BookmarkType>) -> Result<Vec<BookmarkInfo>> {
        self.ask("the list of bookmarks", |client| client.list_bookmarks(kind))
    }

    /// The schemas of the Lexicon; see [`Client::lexicon_schemas`].
    pub fn lexicon_schemas(&self, kind: Option<EntityType>) -> Result<Vec<LexiconSchema>> {
        self.ask("the list of schemas", |client| client.lexicon_schemas(kind))
    }

    /// One schema of the Lexicon; see [`Client::lexicon_schema`].
    pub fn lexicon_schema(&self, kind: EntityType, name: &str) -> Result<LexiconSchema> {
        self.ask("the schema", |client| client.lexicon_schema(kind, name))
    }

    /// The annotations of a range of days, or all; see [`Client::annotations`].
    pub fn annotations(&self, range: Option<(Date, Date)>) -> Result<Vec<Annotation>> {
        self.ask("the list of annotations", |client| client.annotations(range))
    }

    /// Who the credentials belong to, and what they may see; see [`Client::me`].
    pub fn me(&self) -> Result<Me> {
        self.ask("the question who we are", Client::me)
    }

    /// The project's name, time zone and region; see [`Client::project_info`].
    pub fn project_info(&self) -> Result<ProjectInfo> {
        self.ask("the question about the project", Client::project_info)
    }

    /// Forgets what discovery has learnt.
    pub fn clear_discovery_cache(&self) {
        if let Ok(client) = self.client() {
            client.clear_discovery_cache();
        }
    }

    /// Counts an event; see [`Client::segmentation`].
    pub fn segmentation(&self, query: &SegmentationQuery) -> Result<SegmentationResult> {
        self.ask("the segmentation", |client| client.segmentation(query))
    }

    /// Counts an event by ranges of a number; see [`Client::segmentation_numeric`].
    pub fn segmentation_numeric(&self, query: &NumericQuery) -> Result<NumericBucketResult> {
        self.ask("the segmentation", |client| client.segmentation_numeric(query))
    }

    /// Adds a property up; see [`Client::segmentation_sum`].
    pub fn segmentation_sum(&self, query: &NumericQuery) -> Result<NumericSumResult> {
        self.ask("the sum", |client| client.segmentation_sum(query))
    }

    /// Averages a property; see [`Client::segmentation_average`].
    pub fn segmentation_average(&self, query: &NumericQuery) -> Result<NumericAverageResult> {
        self.ask("the average", |client| client.segmentation_average(query))
    }

    /// Counts several events; see [`Client::event_counts`].
    pub fn event_counts(&self, query: &EventCountsQuery) -> Result<EventCountsResult> {
        self.ask("the count of events", |client| client.event_counts(query))
    }

    /// Counts an event by the values of a property; see [`Client::property_counts`].
    pub fn property_counts(&self, query: &PropertyCountsQuery) -> Result<PropertyCountsResult> {
        self.ask("the count of values", |client| client.property_counts(query))
    }

    /// How far users went in a saved funnel; see [`Client::funnel`].
    pub fn funnel(&self, query: &FunnelQuery) -> Result<FunnelResult> {
        self.ask("the funnel", |client| client.funnel(query))
    }

    /// Who came back; see [`Client::retention`].
    pub fn retention(&self, query: &RetentionQuery) -> Result<RetentionResult> {
        self.ask("the question about retention", |client| client.retention(query))
    }

    /// How often users do something; see [`Client::frequency`].
    pub fn frequency(&self, query: &FrequencyQuery) -> Result<FrequencyResult> {
        self.ask("the question about frequency", |client| client.frequency(query))
    }

    /// What some users did; see [`Client::activity_feed`].
    pub fn activity_feed(
        &self,
        distinct_ids: &[String],
        from: Option<Date>,
        to: Option<Date>,
    ) -> Result<ActivityFeedResult> {
        self.ask("the activity feed", |client| client.activity_feed(distinct_ids, from, to))
    }

    /// Asks a saved report; see [`Client::query_saved_report`].
    pub fn query_saved_report(
        &self,
        bookmark_id: u64,
        kind: SavedReportType,
        from: Option<Date>,
        to: Option<Date>,
    ) -> Result<SavedReportResult> {
        self.ask("the saved report", |client| client.query_saved_report(bookmark_id, kind, from, to))
    }

    /// Asks a saved flows report; see [`Client::query_flows`].
    pub fn query_flows(&self, bookmark_id: u64) -> Result<FlowsResult> {
        self.ask("the saved flows", |client| client.query_flows(bookmark_id))
    }

    /// Computes a figure over profiles; see [`Client::engage_stats`].
    pub fn engage_stats(&self, query: &EngageStatsQuery) -> Result<EngageStatsResult> {
        self.ask("the figure over profiles", |client| client.engage_stats(query))
    }

    /// Asks an insights report; see [`Client::query_insights`].
    pub fn query_insights(&self, report: &InsightsReport) -> Result<SavedReportResult> {
        self.ask("the insights report", |client| client.query_insights(report))
    }

    /// Asks a funnel that is not saved; see [`Client::query_funnel`].
    pub fn query_funnel(&self, report: &FunnelReport) -> Result<SavedReportResult> {
        self.ask("the funnel report", |client| client.query_funnel(report))
    }

    /// Asks for retention that is not saved; see [`Client::query_retention`].
    pub fn query_retention(&self, report: &RetentionReport) -> Result<SavedReportResult> {
        self.ask("the retention report", |client| client.query_retention(report))
    }

    /// Asks for a flow that is not saved; see [`Client::query_flow`].
    pub fn query_flow(&self, report: &FlowReport) -> Result<FlowsResult> {
        self.ask("the flow report", |client| client.query_flow(report))
    }
}
