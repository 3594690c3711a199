//! Profiles from the simulator's engage endpoint into tables.

use std::path::Path;
use std::sync::Arc;

use mixpanel_client::budget::{ApiFamily, RequestBudget};
use mixpanel_client::{CancelToken, ErrorKind as Api};
use mixpanel_data::{
    EngageRequest, Error, ErrorKind, FetchProfiles, OnReject, ProfilesResult, StorageEngine, Value, Workspace,
};
use mixpanel_sim::{Fault, ScriptedFault, SimConfig, Simulator};
use serde_json::json;

use crate::support::{now_of, project_with, small_world, workspace};

/// A project with this many profiles.
pub(crate) fn crowd(profiles: u32) -> SimConfig {
    SimConfig { users: Some(300), profiles: Some(profiles), ..small_world() }
}

fn start(config: SimConfig) -> Simulator {
    Simulator::start(config).unwrap()
}

fn in_memory(simulator: &Simulator) -> Workspace {
    workspace(simulator, StorageEngine::memory().unwrap())
}

/// The same database as seen through another project's simulator.
pub(crate) fn at(simulator: &Simulator, path: &Path) -> Workspace {
    workspace(simulator, StorageEngine::open(path).unwrap())
}

fn count(workspace: &Workspace, sql: &str) -> i64 {
    workspace.sql_scalar(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).as_i64().unwrap()
}

fn some(request: EngageRequest) -> FetchProfiles {
    FetchProfiles { request, ..FetchProfiles::default() }
}

/// What tells one state of a table from another.
pub(crate) fn state(workspace: &Workspace) -> Vec<String> {
    let rows =
        "SELECT count(*), bit_xor(hash(distinct_id, CAST(properties AS VARCHAR), last_seen)) FROM profiles";
    [rows, "SELECT count(*), max(fetched_at) FROM _ledger", "SELECT count(*), 0 FROM _vanished_profiles"]
        .iter()
        .flat_map(|sql| workspace.sql_rows(sql).unwrap().rows.remove(0))
        .map(|value| value.to_text())
        .collect()
}

/// The reason of the API behind an error.
fn api(error: &Error) -> &Api {
    error.api().unwrap_or_else(|| panic!("{error:?}")).kind()
}

/// An answer with these results.
fn answer(total: usize, results: &[serde_json::Value]) -> ScriptedFault {
    let body = json!({"page": 0, "page_size": 1000, "session_id": "s", "status": "ok", "total": total, "results": results});
    Fault::ReplaceBody(body.to_string().into()).on_endpoint("engage")
}

fn balanced(result: &ProfilesResult) {
    assert_eq!(result.results, result.rows + result.duplicates + result.rejects, "{result:?}");
}

#[test]
fn a_snapshot_has_every_profile_and_costs_one_query() {
    let simulator = start(crowd(2_500));
    let budget = Arc::new(RequestBudget::in_memory());
    let counted = budget.clone();
    let project = project_with(&simulator, CancelToken::new(), move |options| options.budget = Some(counted));
    let now = now_of(&simulator);
    let workspace = Workspace::builder().project(project).now(move || now).memory().unwrap();
    let result = workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
    balanced(&result);
    assert_eq!((result.results, result.rows, result.pages, result.requests), (2_500, 2_500, 3, 3));
    assert!(result.snapshot && result.updated == 0 && result.vanished == 0);
    assert_eq!(budget.state(ApiFamily::Query, std::time::SystemTime::now()).used, 1);
    assert_eq!(simulator.queries_last_hour(), 1);

    let columns: Vec<String> =
        workspace.table_schema("profiles").unwrap().columns.into_iter().map(|column| column.name).collect();
    assert_eq!(columns, ["distinct_id", "properties", "last_seen"]);
    assert_eq!(count(&workspace, "SELECT count(DISTINCT distinct_id) FROM profiles"), 2_500);
    // The typed view says what the text says, and so does `last_seen`.
    let wrong = r#"SELECT count(*) FROM profiles p JOIN profiles_flat f USING (distinct_id)
        WHERE p.properties->>'$.plan' IS DISTINCT FROM f.plan
           OR TRY_CAST(p.properties->>'/$last_seen' AS TIMESTAMP) IS DISTINCT FROM f.last_seen"#;
    assert_eq!(count(&workspace, wrong), 0);
    assert!(count(&workspace, "SELECT count(*) FROM profiles_flat WHERE plan IS NOT NULL") > 100);
    assert!(count(&workspace, "SELECT count(*) FROM profiles WHERE last_seen IS NOT NULL") > 100);
    let ledger = workspace.sql_rows("SELECT state, row_count, rejects, filters FROM _ledger").unwrap().rows;
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(ledger, [[text("complete"), Value::Integer(2_500), Value::Integer(0), text("no filters")]]);
}

#[test]
fn the_next_snapshot_replaces_all_and_remembers_who_vanished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let (more, fewer) = (start(crowd(2_500)), start(crowd(2_400)));
    at(&more, &path).fetch_profiles(&FetchProfiles::default()).unwrap();

    let workspace = at(&fewer, &path);
    let result = workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
    balanced(&result);
    assert_eq!((result.rows, result.updated, result.vanished, result.total_rows), (2_400, 2_400, 100, 2_400));
    assert_eq!(count(&workspace, "SELECT count(*) FROM profiles"), 2_400);
    let remembered = "SELECT count(*) FROM _vanished_profiles WHERE table_name = 'profiles'
        AND properties->>'$.plan' IS NOT NULL OR last_seen IS NOT NULL";
    assert!(count(&workspace, remembered) > 0);
    let both =
        "SELECT count(*) FROM _vanished_profiles WHERE distinct_id IN (SELECT distinct_id FROM profiles)";
    assert_eq!(count(&workspace, both), 0);
    assert_eq!(count(&workspace, "SELECT count(*) FROM _ledger"), 1);
    drop(workspace);

    // Who comes back has not vanished.
    let workspace = at(&more, &path);
    let result = workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
    assert_eq!((result.rows, result.updated, result.vanished), (2_500, 2_400, 0));
    assert_eq!(count(&workspace, "SELECT count(*) FROM _vanished_profiles"), 0);
    workspace.drop(&["profiles"]).unwrap();
    assert_eq!(count(&workspace, "SELECT count(*) FROM _ledger"), 0);
}

#[test]
fn a_selection_replaces_what_it_finds_and_leaves_the_rest() {
    let simulator = start(crowd(1_200));
    let workspace = in_memory(&simulator);
    workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
    let before = state(&workspace);
    // As if they were from yesterday.
    workspace.storage().execute("UPDATE _profiles SET properties = '{}', plan = NULL").unwrap();
    let pro =
        some(EngageRequest { where_: Some(r#"properties["plan"] == "pro""#.into()), ..Default::default() });
    let result = workspace.fetch_profiles(&pro).unwrap();
    balanced(&result);
    assert!(!result.snapshot && result.rows > 50);
    assert_eq!((result.updated, result.vanished, result.total_rows), (result.rows, 0, 1_200));
    let fresh = count(&workspace, "SELECT count(*) FROM profiles WHERE properties->>'$.plan' = 'pro'");
    assert_eq!(fresh as u64, result.rows);
    assert_eq!(
        count(&workspace, "SELECT count(*) FROM profiles_flat WHERE plan IS NOT NULL") as u64,
        result.rows
    );
    let ledger = "SELECT count(*) FROM _ledger WHERE state = 'partial' AND filters LIKE 'where properties%'";
    assert_eq!(count(&workspace, ledger), 1);
    // A fetch of all beside it, without loss.
    let all = FetchProfiles { append: true, ..FetchProfiles::default() };
    assert_eq!(workspace.fetch_profiles(&all).unwrap().total_rows, 1_200);
    assert_eq!(state(&workspace)[..2], before[..2]);
    // And the whole table for a selection, when that is wanted.
    let swapped = workspace.fetch_profiles(&FetchProfiles { replace: true, ..pro }).unwrap();
    assert_eq!((swapped.total_rows, swapped.vanished), (result.rows, 0));
}

#[test]
fn a_table_keeps_one_kind_of_profiles_with_the_same_properties() {
    let simulator = start(crowd(400));
    let workspace = in_memory(&simulator);
    workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
    let before = state(&workspace);
    let group = simulator.data_group_id("company_id").to_string();
    let companies = EngageRequest { data_group_id: Some(group.clone()), ..Default::default() };
    let plans = EngageRequest { output_properties: vec!["plan".into()], ..Default::default() };
    for request in [companies.clone(), plans.clone()] {
        let error = workspace.fetch_profiles(&some(request)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::FilterMismatch { .. }), "{error:?}");
    }
    assert_eq!(state(&workspace), before);

    let table =
        |name: &str, request: &EngageRequest| FetchProfiles { table: name.into(), ..some(request.clone()) };
    let fetched = workspace.fetch_profiles(&table("companies", &companies)).unwrap();
    assert!(fetched.rows > 0);
    assert_eq!(workspace.storage().get_metadata("companies").unwrap().filter_group_id, Some(group));
    workspace.fetch_profiles(&table("plans", &plans)).unwrap();
    let others = "SELECT count(*) FROM plans, json_each(properties) WHERE key <> 'plan'";
    assert_eq!(count(&workspace, others), 0);
    assert!(count(&workspace, "SELECT count(*) FROM plans_flat WHERE plan = 'pro'") > 0);
    // Groups in the place of users did not make the users vanish.
    let swapped = workspace.fetch_profiles(&FetchProfiles { replace: true, ..some(companies) }).unwrap();
    assert_eq!((swapped.total_rows, swapped.vanished), (fetched.rows, 0));
    assert_eq!(count(&workspace, "SELECT count(*) FROM _vanished_profiles"), 0);
}

#[test]
fn many_ids_take_one_query_for_each_two_thousand() {
    let simulator = start(crowd(3_000));
    let workspace = in_memory(&simulator);
    workspace.fetch_profiles(&FetchProfiles { table: "all_of_them".into(), ..Default::default() }).unwrap();
    let ids = workspace
        .sql_rows("SELECT distinct_id FROM all_of_them ORDER BY hash(distinct_id) LIMIT 2500")
        .unwrap();
    let ids: Vec<String> = ids.rows.iter().map(|row| row[0].to_text()).chain(["nobody".to_owned()]).collect();
    let before = simulator.queries_last_hour();
    let result = workspace
        .fetch_profiles(&some(EngageRequest { distinct_ids: Some(ids), ..Default::default() }))
        .unwrap();
    balanced(&result);
    assert_eq!((result.rows, simulator.queries_last_hour() - before), (2_500, 2));
    let same = "SELECT count(*) FROM profiles JOIN all_of_them a USING (distinct_id)
        WHERE CAST(a.properties AS VARCHAR) = CAST(profiles.properties AS VARCHAR)";
    assert_eq!(count(&workspace, same), 2_500);
    let one = some(EngageRequest { distinct_id: Some("nobody".into()), ..Default::default() });
    assert_eq!(workspace.fetch_profiles(&one).unwrap().total_rows, 2_500);
}

#[test]
fn nobody_makes_an_empty_table_and_takes_nothing_away() {
    let simulator = start(crowd(100));
    let workspace = in_memory(&simulator);
    let empty_cohort = some(EngageRequest { cohort: Some("4004".into()), ..Default::default() });
    let result = workspace.fetch_profiles(&empty_cohort).unwrap();
    assert_eq!((result.rows, result.total_rows), (0, 0));
    assert_eq!(count(&workspace, "SELECT count(*) FROM profiles_flat"), 0);
    workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
    let sent = simulator.requests().len();
    let nobody = some(EngageRequest { distinct_ids: Some(Vec::new()), ..Default::default() });
    for fetch in [empty_cohort, nobody] {
        assert_eq!(workspace.fetch_profiles(&fetch).unwrap().total_rows, 100);
    }
    assert_eq!(simulator.requests().len(), sent + 1, "an empty list of ids asks for nothing");
}

#[test]
fn odd_profiles_are_stored_or_put_aside_and_counted() {
    let simulator = start(crowd(10));
    let workspace = in_memory(&simulator);
    let results = [
        json!({"$distinct_id": 17, "$properties": {"plan": "pro", "time": 5}}),
        json!({"$distinct_id": "a", "$properties": {"$last_seen": "2024-01-02T03:04:05", "plan": "old"}}),
        json!({"$distinct_id": "a", "$properties": {"$last_seen": "2024-03-02T03:04:05", "plan": "new"}}),
        json!({"$distinct_id": "a", "$properties": {"$last_seen": "2024-02-02T03:04:05", "plan": "between"}}),
        json!({"$distinct_id": "b", "$properties": {"$last_seen": "yesterday"}}),
        json!({"$distinct_id": "b", "$properties": {"$last_seen": 17, "plan": 5}}),
        json!({"$distinct_id": ["c"], "$properties": {}}),
        json!(null),
        json!({"$properties": {}}),
    ];
    simulator.fault(answer(results.len(), &results));
    let result = workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
    balanced(&result);
    assert_eq!((result.results, result.rows, result.duplicates, result.rejects), (9, 3, 3, 3));
    let rows = workspace
        .sql_rows(
            "SELECT distinct_id, plan, CAST(last_seen AS VARCHAR), time FROM profiles_flat ORDER BY ALL",
        )
        .unwrap()
        .rows;
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(rows[0], [text("17"), text("pro"), Value::Null, Value::Integer(5)]);
    assert_eq!(rows[1], [text("a"), text("new"), text("2024-03-02 03:04:05"), Value::Null]);
    assert_eq!(
        rows[2],
        [text("b"), text("5"), Value::Null, Value::Null],
        "of two without a time, the later one"
    );
    let kept =
        workspace.sql_rows("SELECT line, reason FROM _quarantine WHERE chunk = 'profiles' ORDER BY line");
    let kept: Vec<String> =
        kept.unwrap().rows.iter().map(|row| format!("{} {}", row[0].to_text(), row[1].to_text())).collect();
    assert_eq!(kept, ["7 bad_distinct_id", "8 no_distinct_id", "9 no_distinct_id"]);

    let before = state(&workspace);
    simulator.fault(answer(results.len(), &results));
    let strict = FetchProfiles { on_reject: OnReject::Fail, ..FetchProfiles::default() };
    let error = workspace.fetch_profiles(&strict).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Rejected { line: 7, .. }), "{error:?}");
    assert_eq!(state(&workspace), before);
}

#[test]
fn an_expired_session_begins_again_and_doubles_nothing() {
    let simulator = start(crowd(2_500));
    let workspace = in_memory(&simulator);
    let gone = || Fault::status(400).on_endpoint("engage");
    simulator.fault(gone().after(2));
    let result = workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
    balanced(&result);
    assert_eq!((result.rows, result.duplicates, result.total_rows), (2_500, 0, 2_500));
    assert_eq!(simulator.queries_last_hour(), 2);

    let before = state(&workspace);
    simulator.fault(gone().after(1).times(1));
    let short = FetchProfiles { concurrency: Some(1), ..FetchProfiles::default() };
    assert_eq!(workspace.fetch_profiles(&short).unwrap().total_rows, 2_500);
    assert_eq!(state(&workspace)[..2], before[..2]);
}

#[test]
fn what_fails_leaves_the_last_snapshot_as_it_was() {
    type Test = fn(&Api) -> bool;
    let cases: [(Vec<ScriptedFault>, Test); 5] = [
        // A page that fails for good.
        (vec![Fault::status(500).on_endpoint("engage").after(1).times(60)], |kind| {
            matches!(kind, Api::Server { .. })
        }),
        // Sessions that expire each time.
        ((0..12).map(|_| Fault::status(404).on_endpoint("engage").after(1)).collect(), |kind| {
            matches!(kind, Api::SessionExpired { .. } | Api::NotFound { .. })
        }),
        // Fewer than promised, each time.
        ((0..8).map(|_| answer(5, &[])).collect(), |kind| {
            *kind == Api::MissingResults { received: 0, total: 5 }
        }),
        (vec![Fault::HtmlPage.on_endpoint("engage").times(60)], |kind| matches!(kind, Api::NotJson { .. })),
        (vec![Fault::status(402).on_endpoint("engage")], |kind| matches!(kind, Api::PlanLimit { .. })),
    ];
    for (number, (faults, expected)) in cases.into_iter().enumerate() {
        let simulator = start(crowd(2_500));
        let path = tempfile::tempdir().unwrap();
        let path = path.path().join("data.duckdb");
        let workspace = at(&simulator, &path);
        workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
        let known = state(&workspace);
        faults.into_iter().for_each(|fault| simulator.fault(fault));
        let error = workspace.fetch_profiles(&FetchProfiles::default()).unwrap_err();
        assert!(expected(api(&error)), "case {number}: {error:?}");
        assert_eq!(state(&workspace), known, "case {number}");
        drop(workspace);
        assert_eq!(state(&at(&simulator, &path)), known, "case {number}, opened again");
    }
}

#[test]
fn connections_that_break_off_are_tried_again() {
    let simulator = start(crowd(2_500));
    let workspace = in_memory(&simulator);
    for fraction in [0.0, 0.3, 0.99] {
        simulator.fault(Fault::CutConnection { fraction }.on_endpoint("engage"));
    }
    let result = workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
    assert_eq!((result.rows, result.requests), (2_500, 6));
}

#[test]
fn a_plan_without_the_api_says_so_and_makes_no_table() {
    let simulator = start(SimConfig { has_query_api: false, ..crowd(10) });
    let workspace = in_memory(&simulator);
    let error = workspace.fetch_profiles(&FetchProfiles::default()).unwrap_err();
    assert!(matches!(api(&error), Api::PlanLimit { .. }));
    assert!(workspace.tables().unwrap().is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_before_it_is_sent() {
    let simulator = start(crowd(10));
    let workspace = in_memory(&simulator);
    let refused = |fetch: FetchProfiles| workspace.fetch_profiles(&fetch).unwrap_err();
    let usual = FetchProfiles::default;
    let behaviors = vec![json!({"window": "30d"})];
    for fetch in [
        FetchProfiles { append: true, replace: true, ..usual() },
        FetchProfiles { concurrency: Some(6), ..usual() },
        some(EngageRequest { behaviors, ..Default::default() }),
        some(EngageRequest { as_of_timestamp: Some(i64::MAX), ..Default::default() }),
        some(EngageRequest { include_all_users: true, ..Default::default() }),
    ] {
        let error = refused(fetch);
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument { .. }), "{error:?}");
    }
    assert!(matches!(
        refused(FetchProfiles { table: "vanished_profiles".into(), ..usual() }).kind(),
        ErrorKind::InvalidTableName { .. }
    ));
    workspace.storage().execute("CREATE TABLE profiles (a INTEGER)").unwrap();
    assert!(matches!(refused(usual()).kind(), ErrorKind::TableExists { .. }));
    assert!(simulator.requests().is_empty());
}

#[test]
fn behaviors_and_cohorts_select_as_mixpanel_does() {
    let simulator = start(crowd(500));
    let workspace = in_memory(&simulator);
    let rows = |request: EngageRequest| workspace.fetch_profiles(&some(request)).unwrap().results;
    let behaviors = vec![json!({"window": "30d", "name": "b", "event_selectors": [{"event": "Purchase"}]})];
    let bought = EngageRequest {
        where_: Some(r#"(behaviors["b"] > 0)"#.into()),
        behaviors,
        as_of_timestamp: Some(now_of(&simulator).as_second()),
        page_size: Some(10),
        ..Default::default()
    };
    let (bought, cohort) =
        (rows(bought), EngageRequest { cohort: Some("4002".into()), ..Default::default() });
    assert!(bought > 10, "several pages: {bought}");
    assert!(rows(cohort) > 10);
}
