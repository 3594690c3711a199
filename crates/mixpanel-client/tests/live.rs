//! Discovery, live queries and reports: what is sent, and what is made of answers that follow
//! Mixpanel's documentation.

mod support;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use jiff::civil::date;
use mixpanel_client::discovery::{BookmarkType, EntityType, probe_region};
use mixpanel_client::live::{
    EngageStatsQuery, EventCountsQuery, FrequencyQuery, FunnelQuery, NumericQuery, PropertyCountsQuery,
    RetentionQuery, SavedReportType, SegmentationQuery, StatsAction,
};
use mixpanel_client::report::{FlowReport, InsightsReport, Math, Metric, TimeRange};
use mixpanel_client::{
    Amount, BaseUrls, Client, ClientOptions, CountType, ErrorKind, Region, Result, Tabular, TimeUnit,
};
use support::{Script, Server, Step, answer, options, refused, service_account};

fn ok(body: &str) -> Script {
    vec![Step::Send(answer("200 OK", "Content-Type: application/json\r\n", body))]
}

/// Asks a server that gives one answer; gives what was made of it, and the request.
fn ask<T>(body: &str, ask: impl FnOnce(&Client) -> Result<T>) -> (T, String) {
    let server = Server::start([ok(body)]);
    let client = Client::new(options(&server.base())).unwrap();
    let result = ask(&client).unwrap();
    let request = server.requests().remove(0);
    (result, decoded(request.split(" HTTP/1.1").next().unwrap()))
}

/// A request line as people read it.
fn decoded(line: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Asks for something that must be refused before anything is sent.
fn refusal<T: std::fmt::Debug>(ask: impl FnOnce(&Client) -> Result<T>) -> String {
    let server = Server::start([]);
    let error = ask(&Client::new(options(&server.base())).unwrap()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidRequest { .. }), "{error}");
    assert!(server.requests().is_empty());
    error.to_string()
}

fn columns(result: &impl Tabular) -> Vec<String> {
    result.to_batch().schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn days() -> (jiff::civil::Date, jiff::civil::Date) {
    (date(2024, 1, 1), date(2024, 1, 3))
}

fn segmentation() -> SegmentationQuery {
    SegmentationQuery::new("Sign, \"Up\"", days().0, days().1)
}

#[test]
fn segmentation_sorts_dates_and_fills_zeroes() {
    let body = r#"{"data": {"series": ["2024-01-03", "2024-01-01"],
        "values": {"Sign, \"Up\"": {"2024-01-03": 7, "2024-01-01": null}}}, "legend_size": 1}"#;
    let (result, request) = ask(body, |client| client.segmentation(&segmentation()));
    let expected = "&event=Sign, \"Up\"&from_date=2024-01-01&to_date=2024-01-03&unit=day&type=general";
    assert!(request.ends_with(expected), "{request}");
    let series = serde_json::to_string(&result.series["Sign, \"Up\""]).unwrap();
    assert_eq!(series, r#"{"2024-01-01":0,"2024-01-02":0,"2024-01-03":7}"#);
    assert_eq!((result.total, result.total_of.as_deref()), (Some(Amount(7.0)), Some("events")));
    assert_eq!(columns(&result), ["date", "segment", "count"]);
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!(
        (&json["from_date"], &json["type"], &json["total"]),
        (&"2024-01-01".into(), &"general".into(), &7.into())
    );
    let (empty, _) = ask(r#"{"data": {"series": [], "values": {}}, "legend_size": 0}"#, |client| {
        client.segmentation(&segmentation())
    });
    assert_eq!((empty.total, empty.to_batch().num_rows()), (Some(Amount(0.0)), 3));
}

#[test]
fn breakdowns_are_expressions_with_quotes_and_dots_in_names() {
    let mut query = segmentation();
    query.on = Some("plan.\"tier\"".into());
    query.where_ = Some(r#"properties["a"] == 1"#.into());
    query.count = CountType::Unique;
    query.limit = Some(10_000);
    let body =
        r#"{"data": {"series": ["2024-01-01"], "values": {"undefined": {"2024-01-01": 2}, "true": {}}}}"#;
    let (result, request) = ask(body, |client| client.segmentation(&query));
    assert!(
        request.ends_with(
            r#"&type=unique&on=properties["plan.\"tier\""]&where=properties["a"] == 1&limit=10000"#
        ),
        "{request}"
    );
    assert_eq!(result.to_batch().num_rows(), 6);
    assert_eq!(result.total_of.unwrap(), "unique users of each segment listed of each day, added up");
    query.count = CountType::Average;
    assert_eq!(ask(body, |client| client.segmentation(&query)).0.total, None);
}

#[test]
fn questions_that_cannot_be_right_are_not_sent() {
    let mut query = segmentation();
    query.limit = Some(10_001);
    query.on = Some("plan".into());
    assert!(refusal(|client| client.segmentation(&query)).contains("10001 is not between 1 and 10000"));
    query.limit = Some(5);
    query.on = None;
    assert!(refusal(|client| client.segmentation(&query)).contains("nothing is broken down"));
    let backwards = SegmentationQuery::new("a", days().1, days().0);
    assert!(refusal(|client| client.segmentation(&backwards)).contains("is after the last day"));
    let nameless = SegmentationQuery::new(" ", days().0, days().1);
    assert!(refusal(|client| client.segmentation(&nameless)).contains("is empty"));
    let mut hourly = segmentation();
    (hourly.unit, hourly.count) = (TimeUnit::Hour, CountType::Unique);
    assert!(refusal(|client| client.segmentation(&hourly)).contains("unique users by the hour"));
    let mut weekly = NumericQuery::new("a", "b", days().0, days().1);
    weekly.unit = TimeUnit::Week;
    assert!(refusal(|client| client.segmentation_sum(&weekly)).contains("hour or day, not week"));
    let mut both = RetentionQuery::new("a", "b", days().0, days().1);
    (both.unit, both.interval) = (Some(TimeUnit::Day), Some(1));
    assert!(refusal(|client| client.retention(&both)).contains("not both"));
    assert!(refusal(|client| client.property_values("p", None, 0)).contains("between 1 and 10000"));
    assert!(refusal(|client| client.top_events(CountType::General, Some(5_001))).contains("5000"));
    assert!(
        refusal(|client| client.event_counts(&EventCountsQuery::new([] as [&str; 0], days().0, days().1)))
            .contains("no event")
    );
    assert!(refusal(|client| client.activity_feed(&[], None, None)).contains("no user"));
    let percentile = EngageStatsQuery::new(StatsAction::Percentile("x".into(), 101.0));
    assert!(refusal(|client| client.engage_stats(&percentile)).contains("101"));
    let dated =
        |client: &Client| client.query_saved_report(1, SavedReportType::Insights, Some(days().0), None);
    assert!(refusal(dated).contains("saved with it"));
}

#[test]
fn counts_of_events_and_values() {
    let query = EventCountsQuery::new(["Sign, Up", "Buy"], days().0, days().1);
    let body =
        r#"{"data": {"series": ["2024-01-01"], "values": {"Buy": {"2024-01-02": 3}}}, "legend_size": 1}"#;
    let (result, request) = ask(body, |client| client.event_counts(&query));
    assert!(request.contains(r#"&event=["Sign, Up","Buy"]&"#), "{request}");
    assert_eq!((result.series.len(), result.to_batch().num_rows()), (2, 6));
    assert_eq!(columns(&result), ["date", "event", "count"]);
    let mut query = PropertyCountsQuery::new("Buy", "a.b", days().0, days().1);
    query.values = vec!["x,y".into()];
    let body = r#"{"data": {"series": ["2024-01-01"], "values": {"x,y": {"2024-01-01": 1}}}}"#;
    let (result, request) = ask(body, |client| client.property_counts(&query));
    assert!(request.contains(r#"&name=a.b&"#) && request.ends_with(r#"&values=["x,y"]"#), "{request}");
    assert_eq!(columns(&result), ["date", "value", "count"]);
}

#[test]
fn sums_have_zeroes_and_averages_have_none() {
    let query = NumericQuery::new("Buy", "amount", days().0, days().1);
    let body = r#"{"status": "ok", "computed_at": "x", "results": {"2024-01-02": 4.5}}"#;
    let (sum, request) = ask(body, |client| client.segmentation_sum(&query));
    assert!(
        request.contains("/api/query/segmentation/sum?") && request.contains(r#"&on=properties["amount"]"#)
    );
    assert_eq!(
        serde_json::to_string(&sum.results).unwrap(),
        r#"{"2024-01-01":0,"2024-01-02":4.5,"2024-01-03":0}"#
    );
    let (average, _) = ask(body, |client| client.segmentation_average(&query));
    assert_eq!(
        serde_json::to_string(&average.results).unwrap(),
        r#"{"2024-01-01":null,"2024-01-02":4.5,"2024-01-03":null}"#
    );
    let body = r#"{"data": {"series": ["2024-01-01"], "values": {"2,000 - 2,100": {"2024-01-01": 5}}}}"#;
    let (buckets, request) = ask(body, |client| client.segmentation_numeric(&query));
    assert!(request.contains("/segmentation/numeric?"));
    assert_eq!((columns(&buckets)[1].as_str(), buckets.to_batch().num_rows()), ("bucket", 3));
}

#[test]
fn funnels_take_their_name_from_what_is_known() {
    let list = r#"[{"funnel_id": 8, "name": "B"}, {"funnel_id": 7, "name": "A"}]"#;
    let steps = r#"{"meta": {"dates": ["2024-01-01"]}, "data": {"2024-01-01": {"steps": [
        {"count": 4, "avg_time": 2, "event": "a", "goal": "a"}, {"count": 1, "avg_time": 9, "event": "b", "goal": "b"}]}}}"#;
    let server = Server::start([ok(steps), ok(list), ok(steps)]);
    let client = Client::new(options(&server.base())).unwrap();
    let query = FunnelQuery::new(7, days().0, days().1);
    assert_eq!(client.funnel(&query).unwrap().funnel_name, None);
    assert_eq!(client.funnels().unwrap()[0].name, "A");
    let result = client.funnel(&query).unwrap();
    assert_eq!((result.funnel_name.as_deref(), result.conversion_rate), (Some("A"), 0.25));
    assert_eq!(result.steps[0].avg_time, None, "there is no step before the first");
    assert_eq!(columns(&result)[..4], ["step", "event", "count", "conversion_rate"]);
}

#[test]
fn retention_sends_a_unit_or_an_interval() {
    let body = r#"{"2024-01-01": {"counts": [2, 1], "first": 2}}"#;
    let mut query = RetentionQuery::new("a", "b", days().0, days().1);
    let (_, request) = ask(body, |client| client.retention(&query));
    assert!(
        request.ends_with("&retention_type=birth&born_event=a&event=b&interval_count=10&unit=day"),
        "{request}"
    );
    query.interval = Some(7);
    let (result, request) = ask(body, |client| client.retention(&query));
    assert!(request.ends_with("&interval_count=10&interval=7"), "{request}");
    assert_eq!(columns(&result), ["cohort_date", "cohort_size", "period_0", "period_1"]);
}

#[test]
fn frequency_has_a_row_for_each_day() {
    let query = FrequencyQuery::new(days().0, days().1);
    let body = r#"{"data": {"2024-01-02": [3, 1, 0]}}"#;
    let (result, request) = ask(body, |client| client.frequency(&query));
    assert!(request.ends_with("/retention/addiction?project_id=12345&from_date=2024-01-01&to_date=2024-01-03&unit=day&addiction_unit=hour"));
    let batch = result.to_batch();
    assert_eq!((batch.num_rows(), batch.num_columns()), (3, 25));
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().values(), &[0, 3, 0]);
}

#[test]
fn activity_is_sorted_and_its_properties_are_columns() {
    let body = r#"{"status": "ok", "results": {"events": [
        {"event": "b", "properties": {"time": 20, "$distinct_id": "u1", "n": 1.5}},
        {"event": "a", "properties": {"time": 10, "$distinct_id": 7, "n": 1, "event": "x"}}]}}"#;
    let (result, request) =
        ask(body, |client| client.activity_feed(&["u,1".into(), "7".into()], Some(days().0), Some(days().1)));
    assert!(request.contains(r#"&distinct_ids=["u,1","7"]&"#), "{request}");
    assert_eq!(result.events.iter().map(|event| event.event.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(columns(&result), ["event", "time", "distinct_id", "properties.event", "n"]);
    let (none, _) = ask(r#"{"status": "ok", "results": {"events": []}}"#, |client| {
        client.activity_feed(&["x".into()], None, Some(days().1))
    });
    assert_eq!((none.from_date, none.event_count), (date(2023, 12, 5), 0));
}

#[test]
fn saved_reports_of_all_kinds() {
    let insights = r#"{"computed_at": "x", "date_range": {"from_date": "2024-01-01T00:00:00-07:00", "to_date": "y"},
        "headers": ["$event"], "series": {"a": {"2024-01-02T00:00:00-07:00": 2, "2024-01-01T00:00:00-07:00": 1}}}"#;
    let report = |kind| move |client: &Client| client.query_saved_report(9, kind, None, None);
    let (result, request) = ask(insights, report(SavedReportType::Insights));
    assert!(request.ends_with("/api/query/insights?project_id=12345&bookmark_id=9"));
    assert_eq!(columns(&result), ["event", "date", "count"]);
    let (result, request) = ask(r#"{"data": {"2024-01-01": {"steps": []}}}"#, |client| {
        client.query_saved_report(9, SavedReportType::Funnels, Some(days().0), Some(days().1))
    });
    assert!(request.contains("/funnels?project_id=12345&funnel_id=9&from_date=2024-01-01"));
    assert_eq!(result.from_date.as_deref(), Some("2024-01-01"));
    let (result, request) =
        ask(r#"{"2024-01-01": {"counts": [1], "first": 1}}"#, report(SavedReportType::Retention));
    assert!(request.ends_with("/retention?project_id=12345&bookmark_id=9"));
    assert_eq!(result.headers, ["$retention"]);
    let flows = r#"{"computed_at": "x", "overallConversionRate": 0.5, "breakdowns": [],
        "steps": [{"nodes": [{"event": "a", "type": "NORMAL", "anchorType": "NORMAL", "totalCount": "12", "edges": []}]}]}"#;
    let (_, request) = ask(flows, report(SavedReportType::Flows));
    assert!(request.ends_with("/arb_funnels?project_id=12345&bookmark_id=9&query_type=flows_sankey"));
    let (result, _) = ask(flows, |client| client.query_flows(9));
    assert_eq!((result.overall_conversion_rate, result.to_batch().num_rows()), (Some(0.5), 1));
}

#[test]
fn figures_over_profiles() {
    let mut query = EngageStatsQuery::new(StatsAction::NumericSummary("a\"b".into()));
    query.where_ = Some("properties[\"plan\"] == \"pro\"".into());
    query.cohort_id = Some(5);
    let server =
        Server::start([ok(r#"{"results": {"count": 2, "mean": 1.5}, "status": "ok", "computed_at": "x"}"#)]);
    let result = Client::new(options(&server.base())).unwrap().engage_stats(&query).unwrap();
    let request = decoded(&server.requests()[0]);
    assert!(request.starts_with("POST /api/2.0/engage/stats?project_id=12345 "), "{request}");
    assert!(request.ends_with(r#"action=numeric_summary(properties["a\"b"])&selector=properties["plan"] == "pro"&filter_by_cohort={"id":5}&include_all_users=false"#), "{request}");
    assert_eq!(result.to_batch().num_rows(), 2);
}

#[test]
fn reports_are_posted_as_bookmarks() {
    let report = InsightsReport::new([Metric::new("a", Math::Total)], TimeRange::between(days().0, days().1));
    let answer = r#"{"headers": ["$event"], "series": {"a": {"2024-01-01": 1}}, "meta": {}}"#;
    let server = Server::start([
        ok(answer),
        ok(r#"{"error": "sections.show: Extra inputs are not permitted"}"#),
        ok(r#"{"steps": []}"#),
    ]);
    let client = Client::new(options(&server.base())).unwrap();
    let result = client.query_insights(&report).unwrap();
    assert_eq!(
        (result.bookmark_id, columns(&result)),
        (None, vec!["event".into(), "date".into(), "count".into()])
    );
    let error = client.query_insights(&report).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::BadRequest { status: 200, .. }), "{error}");
    client.query_flow(&FlowReport::after("a", TimeRange::last_days(7))).unwrap();
    let requests = server.requests();
    let body: serde_json::Value =
        serde_json::from_str(requests[0].split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&body["project_id"], &body["queryLimits"]["limit"]), (&12345.into(), &3000.into()));
    assert!(body["bookmark"]["sections"]["show"][0]["behavior"]["name"] == "a");
    assert!(requests[2].starts_with("POST /api/query/arb_funnels?project_id=12345 "));
}

#[test]
fn events_are_all_of_them_and_kept() {
    let server = Server::start([ok(r#"["b", "a", "b"]"#), ok(r#"["c"]"#)]);
    let client = Client::new(options(&server.base())).unwrap();
    assert_eq!(client.events().unwrap(), ["a", "b"]);
    assert_eq!(client.clone().events().unwrap(), ["a", "b"]);
    assert!(server.requests()[0].contains("&limit=5000&from_date=2000-01-01&to_date="));
    client.clear_discovery_cache();
    assert_eq!(client.events().unwrap(), ["c"]);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_plan_with_less_history_names_recent_events() {
    let gate = refused("403 Forbidden", "", r#"{"error": "Date range exceeds 90 days into the past"}"#);
    let server = Server::start([gate, ok(r#"["a"]"#)]);
    assert_eq!(Client::new(options(&server.base())).unwrap().events().unwrap(), ["a"]);
    assert!(!server.requests()[1].contains("from_date"));
    let server = Server::start([refused("402 Payment Required", "", r#"{"error": "no API"}"#)]);
    let error = Client::new(options(&server.base())).unwrap().events().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PlanLimit { .. }));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn unknown_events_are_answered_with_similar_ones() {
    let names = r#"["Sign Up", "Page View", "sign-in"]"#;
    for first in [refused("400 Bad Request", "", r#"{"error": "unknown event"}"#), ok("{}")] {
        let server = Server::start([first, ok(names)]);
        let error = Client::new(options(&server.base())).unwrap().properties("sign up").unwrap_err();
        let ErrorKind::EventNotFound { event, similar } = error.kind() else { panic!("{error}") };
        assert_eq!(
            (event.as_str(), similar.as_slice()),
            ("sign up", &["Sign Up".to_owned(), "sign-in".to_owned()][..])
        );
        assert_eq!(error.to_string(), "there is no event `sign up`; similar names are `Sign Up`, `sign-in`");
    }
    // An event that is there has no properties; that is no error.
    let server = Server::start([ok("{}"), ok(names)]);
    assert!(Client::new(options(&server.base())).unwrap().properties("Sign Up").unwrap().is_empty());
    let (properties, request) =
        ask(r#"{"b": {"count": 2}, "a": {}}"#, |client| client.properties("Sign, Up"));
    assert_eq!(properties, ["a", "b"]);
    assert!(request.ends_with("&event=Sign, Up&limit=5000"), "{request}");
}

#[test]
fn saved_things_are_listed() {
    let cohorts = r#"[{"id": 2, "name": "b", "count": 150, "description": "", "created": "2019-03-19 23:49:51", "is_visible": 1, "project_id": 1},
        {"id": 1, "name": "a", "is_visible": false}]"#;
    let (cohorts, request) = ask(cohorts, Client::cohorts);
    assert!(request.starts_with("POST /api/query/cohorts/list?project_id=12345"));
    assert_eq!((cohorts[0].name.as_str(), cohorts[1].is_visible, cohorts[0].count), ("a", true, None));
    let bookmark = r#"{"id": 1, "name": "x", "type": "insights", "project_id": 1, "params": {"big": true}}"#;
    for body in [
        format!(r#"{{"results": [{bookmark}]}}"#),
        format!(r#"{{"status": "ok", "results": {{"results": [{bookmark}]}}}}"#),
    ] {
        let (found, request) = ask(&body, |client| client.list_bookmarks(Some(BookmarkType::Insights)));
        assert!(request.ends_with("/api/app/projects/12345/bookmarks?v=2&type=insights"), "{request}");
        assert_eq!((found.len(), found.to_batch().num_rows()), (1, 1));
    }
    let (top, _) = ask(
        r#"{"events": [{"amount": 75, "event": "pages", "percent_change": -0.2}], "type": "unique"}"#,
        |client| client.top_events(CountType::Unique, None),
    );
    assert_eq!((top[0].count, top[0].percent_change), (Amount(75.0), Some(-0.2)));
}

#[test]
fn the_lexicon_is_read_whatever_is_missing() {
    let list = r#"{"results": [{"entityType": "profile", "name": "$user", "schemaJson": {}},
        {"entityType": "event", "name": "Buy", "schemaJson": {"description": "d", "properties": {"amt": {"type": "number"}, "x": {}},
         "metadata": {"com.mixpanel": {"$source": "api", "displayName": "Purchase", "tags": ["t"], "hidden": true}}}}], "status": "ok"}"#;
    let (schemas, request) = ask(list, |client| client.lexicon_schemas(None));
    assert!(request.ends_with("/api/app/projects/12345/schemas"));
    assert_eq!(schemas[0].name, "Buy");
    let definition = &schemas[0].schema_json;
    assert_eq!(
        (definition.properties["amt"].kind.as_str(), definition.properties["x"].kind.as_str()),
        ("number", "string")
    );
    let metadata = definition.metadata.as_ref().unwrap();
    assert_eq!((metadata.display_name.as_deref(), metadata.hidden), (Some("Purchase"), true));
    let one = r#"{"results": {"description": "d", "properties": {}}, "status": "ok"}"#;
    let (schema, request) = ask(one, |client| client.lexicon_schema(EntityType::Event, "a/b c"));
    assert!(request.ends_with("/schemas/event/a/b c"), "{request}");
    assert_eq!(schema.schema_json.description.as_deref(), Some("d"));
    let server =
        Server::start([refused("404 Not Found", "", r#"{"status": "error", "error": "no schema"}"#)]);
    let error =
        Client::new(options(&server.base())).unwrap().lexicon_schema(EntityType::Event, "x").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound { .. }), "{error}");
}

#[test]
fn annotations_have_camel_case_dates() {
    let body = r#"{"status": "ok", "results": [{"id": 2, "date": "2024-01-02T12:00:00+01:00", "description": "b", "user": {"id": 1, "first_name": "A", "last_name": "B"}, "tags": [{"id": 1, "name": "t"}]},
        {"id": 1, "date": "2024-01-01 12:00:00", "description": "a"}]}"#;
    let (found, request) = ask(body, |client| client.annotations(Some(days())));
    assert!(request.ends_with("/annotations?fromDate=2024-01-01&toDate=2024-01-03"), "{request}");
    assert_eq!((found[0].description.as_str(), found[1].tags[0].name.as_str()), ("a", "t"));
}

const ME: &str = r#"{"status": "ok", "results": {"user_id": 1, "user_email": "a@b.c", "user_name": "A", "organizations": {"7": {"name": "O"}},
    "projects": {"12345": {"name": "P", "organization_id": 7, "timezone": "Europe/Berlin", "domain": "eu.mixpanel.com"}}}}"#;

#[test]
fn the_project_knows_its_time_zone_and_region() {
    let server = Server::start([ok(ME)]);
    let client = Client::new(options(&server.base())).unwrap();
    let project = client.project_info().unwrap();
    assert_eq!((project.timezone.as_deref(), project.region()), (Some("Europe/Berlin"), Some(Region::Eu)));
    assert_eq!(client.me().unwrap().organizations[0].name, "O");
    assert_eq!(server.requests().len(), 1);
    let other = Server::start([ok(ME)]);
    let mut options = options(&other.base());
    options.project_id = Some(1);
    let error = Client::new(options).unwrap().project_info().unwrap_err();
    assert_eq!(error.to_string(), "not found: project 1 is not among those of a@b.c");
}

#[test]
fn the_region_is_the_first_that_knows_the_project() {
    let stranger = || refused("401 Unauthorized", "", r#"{"error": "who?", "status": "error"}"#);
    let servers = [Server::start([stranger()]), Server::start([ok(ME)]), Server::start([])];
    let at = |region: Region| BaseUrls::single_host(&servers[region as usize].base());
    let mut options = ClientOptions::new(service_account());
    options.retry = mixpanel_client::retry::RetryPolicy::never();
    options.project_id = Some(12345);
    let found = probe_region(&options, at).unwrap();
    assert_eq!((found.region, found.to_string().as_str()), (Region::Eu, "project 12345 (P) lives in EU"));
    assert!(servers[2].requests().is_empty());

    let servers = [Server::start([stranger()]), Server::start([stranger()]), Server::start([stranger()])];
    let at = |region: Region| BaseUrls::single_host(&servers[region as usize].base());
    let error = probe_region(&options, at).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Authentication { .. }), "{error}");
    assert!(error.to_string().contains("no region (us, eu and in) accepts"), "{error}");

    // An account that may not see the project, in the only region that knows it.
    let servers = [Server::start([stranger()]), Server::start([ok(ME)]), Server::start([stranger()])];
    let at = |region: Region| BaseUrls::single_host(&servers[region as usize].base());
    options.project_id = Some(1);
    let error = probe_region(&options, at).unwrap_err();
    assert_eq!(error.to_string(), "not found: a@b.c lives in eu and may not see project 1");
}
