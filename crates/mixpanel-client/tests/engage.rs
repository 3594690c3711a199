//! Pages of profiles over scripted connections: what is sent, when it ends, and what is noticed.

mod support;

use std::sync::Arc;

use mixpanel_client::budget::{ApiFamily, RequestBudget};
use mixpanel_client::engage::{EngageRequest, ProfilePages};
use mixpanel_client::retry::Clock as _;
use mixpanel_client::{Client, ErrorKind, Result};
use support::{FakeClock, Script, Server, Step, answer, client, options, refused};

const JSON: &str = "Content-Type: application/json\r\n";

/// A page with results that are numbered ids.
fn page(total: Option<u64>, size: u64, ids: std::ops::Range<u64>) -> Script {
    let results: Vec<String> =
        ids.map(|id| format!(r#"{{"$distinct_id":{id},"$properties":{{"a":"x"}}}}"#)).collect();
    let total = total.map(|total| format!(r#""total":{total},"#)).unwrap_or_default();
    let body = format!(
        r#"{{"page":0,"page_size":{size},"session_id":"s-1","status":"ok",{total}"results":[{}]}}"#,
        results.join(",")
    );
    vec![Step::Send(answer("200 OK", JSON, body))]
}

/// Reads all pages, one after the other; gives how many results came, and the requests.
fn read(scripts: impl IntoIterator<Item = Script>, request: &EngageRequest) -> (Result<u64>, Vec<String>) {
    let server = Server::start(scripts);
    let outcome = client(&server.base()).profiles(request, 1).and_then(all);
    let sent = server.requests();
    let bodies = sent.iter().map(|sent| sent.split_once("\r\n\r\n").unwrap().1.to_owned());
    (outcome, bodies.collect())
}

fn all(pages: ProfilePages) -> Result<u64> {
    let mut expected = 1;
    for page in pages {
        for (number, _) in page?.results() {
            assert_eq!(number, expected);
            expected += 1;
        }
    }
    Ok(expected - 1)
}

fn everybody() -> EngageRequest {
    EngageRequest::default()
}

#[test]
fn a_short_page_is_the_last_one() {
    let (results, sent) =
        read([page(Some(5), 2, 0..2), page(None, 2, 2..4), page(None, 2, 4..5)], &everybody());
    assert_eq!(results.unwrap(), 5);
    assert_eq!(sent, ["", "session_id=s-1&page=1", "session_id=s-1&page=2"]);
    let (results, sent) = read([page(None, 2, 0..1)], &everybody());
    assert_eq!((results.unwrap(), sent.len()), (1, 1));
    let (results, sent) = read([page(Some(0), 1000, 0..0)], &everybody());
    assert_eq!((results.unwrap(), sent.len()), (0, 1));
}

#[test]
fn a_full_last_page_takes_another_look() {
    let (results, sent) =
        read([page(Some(4), 2, 0..2), page(None, 2, 2..4), page(None, 2, 4..4)], &everybody());
    assert_eq!((results.unwrap(), sent.len()), (4, 3));
    // The server may know of more than it said.
    let (results, _) = read([page(Some(2), 2, 0..2), page(None, 2, 2..4), page(None, 2, 4..5)], &everybody());
    assert_eq!(results.unwrap(), 5);
}

#[test]
fn a_short_page_in_between_is_not_the_end_when_more_were_promised() {
    let scripts = [page(Some(5), 2, 0..2), page(None, 2, 2..3), page(None, 2, 3..5), page(None, 2, 5..5)];
    let (results, _) = read(scripts, &everybody());
    assert_eq!(results.unwrap(), 5);
    let scripts = [page(Some(5), 2, 0..2), page(None, 2, 2..3), page(None, 2, 3..3)];
    let (results, _) = read(scripts, &everybody());
    let error = results.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::MissingResults { received: 3, total: 5 });
    assert!(error.is_retryable());
}

#[test]
fn a_session_that_is_gone_says_so_and_a_refusal_of_the_first_page_does_not() {
    let gone =
        || refused("400 Bad Request", "", r#"{"error": "request for page in uncached query for params"}"#);
    let (results, _) = read([page(Some(4), 2, 0..2), gone()], &everybody());
    let error = results.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::SessionExpired { page: 1, .. }), "{error}");
    assert!(error.is_retryable());
    let (results, _) = read([gone()], &everybody());
    assert!(matches!(results.unwrap_err().kind(), ErrorKind::BadRequest { status: 400, .. }));
    let (results, _) = read([refused("402 Payment Required", "", "plan")], &everybody());
    assert!(matches!(results.unwrap_err().kind(), ErrorKind::PlanLimit { .. }));
    let (results, _) = read([page(Some(4), 2, 0..2), refused("403 Forbidden", "", "no")], &everybody());
    assert!(matches!(results.unwrap_err().kind(), ErrorKind::Forbidden { .. }));
}

#[test]
fn what_is_no_page_is_an_error() {
    for body in ["{}", "[]", r#"{"results":[{]"#, "please log in"] {
        let (results, _) = read([vec![Step::Send(answer("200 OK", JSON, body))]], &everybody());
        assert!(matches!(results.unwrap_err().kind(), ErrorKind::NotJson { .. }), "{body}");
    }
    let body = r#"{"error": "no such cohort"}"#;
    let (results, _) = read([vec![Step::Send(answer("200 OK", JSON, body))]], &everybody());
    let expected = ErrorKind::BadRequest { status: 200, message: "no such cohort".into() };
    assert_eq!(*results.unwrap_err().kind(), expected);
}

#[test]
fn every_batch_of_ids_is_a_query_of_its_own() {
    let ids = (0..4_001).map(|id| id.to_string()).collect();
    let request = EngageRequest { distinct_ids: Some(ids), ..everybody() };
    let scripts = [page(Some(2), 1000, 0..2), page(Some(0), 1000, 0..0), page(Some(1), 1000, 2..3)];
    let (results, sent) = read(scripts, &request);
    assert_eq!((results.unwrap(), sent.len()), (3, 3));
    assert!(sent.iter().all(|body| body.starts_with("distinct_ids=%5B%22") && !body.contains("session_id")));
    let nobody = EngageRequest { distinct_ids: Some(Vec::new()), ..everybody() };
    let (results, sent) = read([], &nobody);
    assert_eq!((results.unwrap(), sent.len()), (0, 0));
}

#[test]
fn only_first_pages_are_counted() {
    let server = Server::start([page(Some(4), 2, 0..2), page(None, 2, 2..4), page(None, 2, 4..4)]);
    let (clock, budget) = (Arc::new(FakeClock::default()), Arc::new(RequestBudget::in_memory()));
    let mut options = options(&server.base());
    options.clock = clock.clone();
    options.budget = Some(budget.clone());
    let client = Client::new(options).unwrap();
    assert_eq!(all(client.profiles(&everybody(), 1).unwrap()).unwrap(), 4);
    assert_eq!((client.requests_sent(), budget.state(ApiFamily::Query, clock.now()).used), (3, 1));
}

#[test]
fn nothing_is_sent_for_a_request_that_makes_no_sense() {
    let request = EngageRequest { include_all_users: true, ..everybody() };
    let (results, sent) = read([], &request);
    assert!(matches!(results.unwrap_err().kind(), ErrorKind::InvalidRequest { .. }));
    assert!(sent.is_empty());
}
