//! `mp query`: one question to Mixpanel, and its answer.

use std::path::Path;

use mixpanel_client::live::{
    EngageStatsQuery, EventCountsQuery, FrequencyQuery, FunnelQuery, NumericQuery, PropertyCountsQuery,
    RetentionQuery, SegmentationQuery, StatsAction,
};
use mixpanel_client::report::{FlowReport, FunnelReport, InsightsReport, RetentionReport};
use serde::Deserialize;

use super::Reader;
use super::ask::{Asker, result};
use crate::args::query::{self as words, Live, Query};
use crate::error::Error;
use crate::signals::Signals;
use crate::text;

pub(crate) fn run(query: &Query, reader: Reader<'_>) -> Result<(), Error> {
    match query {
        Query::Segmentation(words) => segmentation(words, reader),
        Query::Funnel(words) => funnel(words, reader),
        Query::Retention(words) => retention(words, reader),
        Query::EventCounts(words) => event_counts(words, reader),
        Query::PropertyCounts(words) => property_counts(words, reader),
        Query::ActivityFeed(words) => activity_feed(words, reader),
        Query::SavedReport(words) => ask(&words.live, reader, |asker| {
            let (from, to) = (words.from.map(|day| asker.day(day)), words.to.map(|day| asker.day(day)));
            asker.client.query_saved_report(words.id, words.kind, from, to)
        }),
        Query::Flows(words) => ask(&words.live, reader, |asker| asker.client.query_flows(words.id)),
        Query::Frequency(words) => frequency(words, reader),
        Query::SegmentationNumeric(words) => ask(&words.numeric.live, reader, |asker| {
            let mut query = numeric(&words.numeric, asker);
            query.count = words.count;
            asker.client.segmentation_numeric(&query)
        }),
        Query::SegmentationSum(words) => {
            ask(&words.live, reader, |asker| asker.client.segmentation_sum(&numeric(words, asker)))
        }
        Query::SegmentationAverage(words) => {
            ask(&words.live, reader, |asker| asker.client.segmentation_average(&numeric(words, asker)))
        }
        Query::EngageStats(words) => engage_stats(words, reader),
        Query::Report(words) => report(words, reader),
        Query::Sql(words) if words.scalar => super::sql::scalar(&words.sql, reader),
        Query::Sql(words) => super::sql::run(&words.sql, reader),
        Query::Jql(_) => Err(Error::setting(
            "Mixpanel has ended JQL",
            "`mp sql` asks fetched events; `mp inspect distribution`, numeric, daily, engagement and \
             coverage count them as the old helpers did",
        )),
    }
}

fn ask<T: mixpanel_client::Tabular>(
    live: &Live,
    reader: Reader<'_>,
    question: impl FnOnce(&Asker) -> mixpanel_client::Result<T>,
) -> Result<(), Error> {
    let asker = Asker::new(&live.connection, reader)?;
    let answer = question(&asker)?;
    result(&live.output, &live.plot, reader.ui, &answer)
}

fn segmentation(words: &words::Segmentation, reader: Reader<'_>) -> Result<(), Error> {
    ask(&words.live, reader, |asker| {
        let (from, to) = (asker.day(words.of.range.from), asker.day(words.of.range.to));
        let mut query = SegmentationQuery::new(words.of.event.clone(), from, to);
        query.on = words.cut.on.clone();
        query.unit = words.counting.unit;
        query.where_ = words.cut.condition.where_.clone();
        query.count = words.counting.count;
        query.limit = words.limit;
        asker.client.segmentation(&query)
    })
}

fn funnel(words: &words::Funnel, reader: Reader<'_>) -> Result<(), Error> {
    ask(&words.live, reader, |asker| {
        let (from, to) = (asker.day(words.range.from), asker.day(words.range.to));
        let mut query = FunnelQuery::new(words.id, from, to);
        query.unit = words.unit;
        query.on = words.cut.on.clone();
        query.where_ = words.cut.condition.where_.clone();
        query.length = words.length.map(|length| (length, words.length_unit));
        asker.client.funnel(&query)
    })
}

fn retention(words: &words::Retention, reader: Reader<'_>) -> Result<(), Error> {
    ask(&words.live, reader, |asker| {
        let (from, to) = (asker.day(words.range.from), asker.day(words.range.to));
        let mut query = RetentionQuery::new(words.born.clone(), words.return_.clone(), from, to);
        query.born_where = words.born_where.clone();
        query.return_where = words.return_where.clone();
        query.unit = words.unit;
        // One day, or one of whatever unit.
        query.interval = words.interval.filter(|interval| *interval != 1 || words.unit.is_none());
        query.interval_count = words.intervals;
        query.kind = words.kind;
        asker.client.retention(&query)
    })
}

fn event_counts(words: &words::EventCounts, reader: Reader<'_>) -> Result<(), Error> {
    if words.events.names().is_empty() {
        return Err(Error::setting("no event is named", "--events A,B, or -e NAME for each"));
    }
    ask(&words.live, reader, |asker| {
        let (from, to) = (asker.day(words.range.from), asker.day(words.range.to));
        let mut query = EventCountsQuery::new(words.events.names(), from, to);
        query.count = words.counting.count;
        query.unit = words.counting.unit;
        asker.client.event_counts(&query)
    })
}

fn property_counts(words: &words::PropertyCounts, reader: Reader<'_>) -> Result<(), Error> {
    ask(&words.live, reader, |asker| {
        let (from, to) = (asker.day(words.of.range.from), asker.day(words.of.range.to));
        let mut query = PropertyCountsQuery::new(words.of.event.clone(), words.property.clone(), from, to);
        query.count = words.counting.count;
        query.unit = words.counting.unit;
        query.values = words.value.clone();
        query.limit = Some(words.limit);
        asker.client.property_counts(&query)
    })
}

fn activity_feed(words: &words::ActivityFeed, reader: Reader<'_>) -> Result<(), Error> {
    ask(&words.live, reader, |asker| {
        let (from, to) = (words.from.map(|day| asker.day(day)), words.to.map(|day| asker.day(day)));
        let users: Vec<String> = words.users.iter().chain(&words.user).cloned().collect();
        asker.client.activity_feed(&users, from, to)
    })
}

fn frequency(words: &words::Frequency, reader: Reader<'_>) -> Result<(), Error> {
    ask(&words.live, reader, |asker| {
        let mut query = FrequencyQuery::new(asker.day(words.range.from), asker.day(words.range.to));
        query.event = words.event.clone();
        query.unit = words.unit;
        query.addiction_unit = words.addiction_unit;
        query.where_ = words.condition.where_.clone();
        asker.client.frequency(&query)
    })
}

fn numeric(words: &words::Numeric, asker: &Asker) -> NumericQuery {
    let (from, to) = (asker.day(words.of.range.from), asker.day(words.of.range.to));
    let mut query = NumericQuery::new(words.of.event.clone(), words.on.clone(), from, to);
    query.unit = words.unit;
    query.where_ = words.condition.where_.clone();
    query
}

fn engage_stats(words: &words::EngageStats, reader: Reader<'_>) -> Result<(), Error> {
    let property = words.property.clone().unwrap_or_default();
    let action = match words.action {
        words::StatsAction::Count => StatsAction::Count,
        words::StatsAction::Extremes => StatsAction::Extremes(property),
        words::StatsAction::Percentile => {
            StatsAction::Percentile(property, words.percentile.unwrap_or_default())
        }
        words::StatsAction::NumericSummary => StatsAction::NumericSummary(property),
    };
    let mut query = EngageStatsQuery::new(action);
    query.where_ = words.where_.clone();
    query.cohort_id = words.cohort;
    ask(&words.live, reader, |asker| asker.client.engage_stats(&query))
}

/// A report in a file.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Definition {
    Insights(InsightsReport),
    Funnel(FunnelReport),
    Retention(RetentionReport),
    Flow(FlowReport),
}

fn report(words: &words::Report, reader: Reader<'_>) -> Result<(), Error> {
    let text = read(&words.file, reader.signals)?;
    let definition: Definition = serde_json::from_str(&text).map_err(|error| {
        let hint = "{\"insights\": {…}}, or funnel, retention or flow: see `mp query report --help`";
        Error::setting(format!("{} is no report: {error}", words.file.display()), hint)
    })?;
    let live = &words.live;
    match definition {
        Definition::Insights(report) => ask(live, reader, |asker| asker.client.query_insights(&report)),
        Definition::Funnel(report) => ask(live, reader, |asker| asker.client.query_funnel(&report)),
        Definition::Retention(report) => ask(live, reader, |asker| asker.client.query_retention(&report)),
        Definition::Flow(report) => ask(live, reader, |asker| asker.client.query_flow(&report)),
    }
}

fn read(file: &Path, signals: &Signals) -> Result<String, Error> {
    if file.as_os_str() != "-" {
        return text::read(file);
    }
    let _asking = signals.while_asking();
    text::read_all(std::io::stdin().lock()).map_err(|source| Error::Read { path: file.to_owned(), source })
}
