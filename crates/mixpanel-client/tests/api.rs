//! Requests that are answered in JSON: what is sent, how it counts, and what an answer must be.

mod support;

use std::sync::Arc;
use std::time::Duration;

use mixpanel_client::api::ApiRequest;
use mixpanel_client::budget::{ApiFamily, RequestBudget};
use mixpanel_client::retry::{Clock as _, RetryPolicy};
use mixpanel_client::{CancelToken, Client, Credentials, Error, ErrorKind, Phase, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use support::{
    CANARY, FakeClock, Script, Server, Step, all_texts, answer, chunked, client, gzip, options, refused, send,
};

const JSON: &str = "Content-Type: application/json\r\n";

fn ok(body: impl AsRef<[u8]>) -> Script {
    vec![Step::Send(answer("200 OK", JSON, body))]
}

fn names() -> ApiRequest {
    ApiRequest::query("events/names").param("type", "general")
}

/// Asks one server for one thing.
fn ask<T: serde::de::DeserializeOwned>(script: Script) -> Result<T> {
    let server = Server::start([script]);
    client(&server.base()).json(&names())
}

fn failure(script: Script) -> Error {
    ask::<Value>(script).unwrap_err()
}

/// The request line and the body of what was sent for a request.
fn sent(request: &ApiRequest) -> (String, String) {
    let server = Server::start([ok("[]")]);
    client(&server.base()).json::<Value>(request).unwrap();
    let request = &server.requests()[0];
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn each_api_has_its_address_and_its_way_to_name_the_project() {
    let line = |request: ApiRequest| sent(&request).0.lines().next().unwrap().to_owned();
    assert_eq!(line(names()), "GET /api/query/events/names?project_id=12345&type=general HTTP/1.1");
    let page = ApiRequest::engage("").post_form([]);
    assert_eq!(line(page), "POST /api/2.0/engage?project_id=12345 HTTP/1.1");
    assert_eq!(line(ApiRequest::engage("stats")), "GET /api/2.0/engage/stats?project_id=12345 HTTP/1.1");
    assert_eq!(line(ApiRequest::app("me")), "GET /api/app/me HTTP/1.1");
    let bookmarks = ApiRequest::project("bookmarks").param("v", 2);
    assert_eq!(line(bookmarks), "GET /api/app/projects/12345/bookmarks?v=2 HTTP/1.1");
}

#[test]
fn lists_keep_commas_and_quotes_in_names() {
    let request = names().list("event", ["Sign, Up", "say \"hi\""]).maybe("limit", None::<u8>);
    let (head, _) = sent(&request);
    assert!(head.contains("&event=%5B%22Sign%2C+Up%22%2C%22say+%5C%22hi%5C%22%22%5D HTTP"), "{head}");
}

#[test]
fn bodies_are_json_or_forms() {
    let (head, body) = sent(&ApiRequest::query("insights").post_json(&json!({"bookmark": {"a": "ü"}})));
    assert!(head.starts_with("POST /api/query/insights?project_id=12345 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
    assert_eq!(body, r#"{"bookmark":{"a":"ü"}}"#);
    let fields = [("where".to_owned(), "a & b".to_owned()), ("page".to_owned(), "1".to_owned())];
    let (head, body) = sent(&ApiRequest::engage("").post_form(fields));
    assert!(head.to_ascii_lowercase().contains("application/x-www-form-urlencoded"), "{head}");
    assert_eq!(body, "where=a+%26+b&page=1");
}

#[test]
fn a_project_secret_stands_for_its_project_except_in_addresses() {
    let server = Server::start([ok("[]")]);
    let mut options = options(&server.base());
    options.credentials = Credentials::project_secret(CANARY);
    options.project_id = None;
    let client = Client::new(options).unwrap();
    client.json::<Value>(&names()).unwrap();
    assert!(server.requests()[0].starts_with("GET /api/query/events/names?type=general "));
    let error = client.json::<Value>(&ApiRequest::project("bookmarks")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidRequest { what } if what.contains("project id")));
    let error = client.json::<Value>(&ApiRequest::app("..")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidRequest { .. }));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn answers_come_plain_compressed_and_in_chunks() {
    let body = serde_json::to_vec(&vec!["naïve"; 20_000]).unwrap();
    let zipped = gzip(&body);
    let length = format!("{JSON}Content-Encoding: gzip\r\n");
    for script in [
        ok(&body),
        vec![Step::Send(answer("200 OK", &length, &zipped))],
        vec![Step::Send(chunked(&length, &zipped, 777))],
        vec![Step::Send(chunked(JSON, &body, 1000))],
    ] {
        assert_eq!(ask::<Vec<String>>(script).unwrap().len(), 20_000);
    }
    let text = ask::<Box<RawValue>>(ok("{\"a\": 1e400}")).unwrap();
    assert_eq!(text.get(), "{\"a\": 1e400}");
}

#[test]
fn what_is_incomplete_or_no_json_is_tried_again() {
    let cut = vec![send(format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 90\r\n\r\n[1,2"))];
    assert!(matches!(failure(cut).kind(), ErrorKind::Truncated { .. }));
    let mut zipped = gzip(b"[1,2,3]");
    zipped.truncate(zipped.len() - 3);
    let cut = vec![Step::Send(answer("200 OK", "Content-Encoding: gzip\r\n", zipped))];
    assert!(matches!(failure(cut).kind(), ErrorKind::Truncated { .. }));
    for body in ["[1,2", "", "please log in"] {
        let error = failure(ok(body));
        assert!(matches!(error.kind(), ErrorKind::NotJson { .. }), "{body}: {error}");
        assert!(error.is_transient());
    }
    let page = vec![Step::Send(answer("200 OK", "Content-Type: text/html\r\n", "<html>Welcome"))];
    let error = failure(page);
    assert_eq!(error.to_string(), "the answer is not JSON (text/html): <html>Welcome");

    let clock = Arc::new(FakeClock::default());
    let server = Server::start([ok("<html>"), vec![], ok("[\"a\"]")]);
    let mut options = options(&server.base());
    options.retry = RetryPolicy { max_retries: 3, ..RetryPolicy::default() };
    options.clock = clock.clone();
    let client = Client::new(options).unwrap();
    assert_eq!(client.json::<Vec<String>>(&names()).unwrap(), ["a"]);
    assert_eq!((client.requests_sent(), clock.waits().len()), (3, 2));
}

#[test]
fn another_shape_is_an_error_that_shows_what_came() {
    #[derive(Debug, Deserialize)]
    struct Wanted {
        #[expect(dead_code, reason = "only its absence matters")]
        data: Value,
    }
    let error = ask::<Wanted>(ok(r#"{"dta": 1}"#)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnexpectedAnswer { .. }), "{error:?}");
    assert!(error.to_string().contains("missing field `data`") && error.to_string().contains("dta"));
    assert!(!error.is_transient());
    assert!(error.url().unwrap().as_str().contains("/api/query/events/names"));
}

#[test]
fn answers_beyond_the_limit_are_refused_whatever_their_length_says() {
    let large = format!("[\"{}\"]", "x".repeat(100_000));
    let request = names().limit_body(50_000);
    for script in [
        ok(&large),
        vec![Step::Send(chunked(JSON, large.as_bytes(), 1000))],
        vec![Step::Send(answer("200 OK", "Content-Encoding: gzip\r\n", gzip(large.as_bytes())))],
    ] {
        let server = Server::start([script]);
        let error = client(&server.base()).json::<Value>(&request).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::TooLarge { limit: 50_000 });
        assert_eq!(error.to_string(), "the answer is larger than 50000 bytes");
    }
}

#[test]
fn errors_within_status_200_are_errors() {
    let kind = |body: &str| failure(ok(body)).kind().clone();
    assert_eq!(
        kind(r#"{"error": "Extra inputs are not permitted"}"#),
        ErrorKind::BadRequest { status: 200, message: "Extra inputs are not permitted".into() }
    );
    assert!(matches!(
        kind(r#"{"request": "/api/2.0/x", "error": "Date range exceeds 365 days into the past"}"#),
        ErrorKind::Forbidden { status: 200, history_days: Some(365), .. }
    ));
    assert!(matches!(
        kind(r#"{"error": "Query rate limit exceeded for project_id: 1."}"#),
        ErrorKind::RateLimited { .. }
    ));
    // An event property may have that name.
    let properties: Value = ask(ok(r#"{"error": {"count": 1}}"#)).unwrap();
    assert_eq!(properties["error"]["count"], 1);
}

#[test]
fn refusals_are_typed() {
    type Test = fn(&ErrorKind) -> bool;
    let cases: [(&str, &str, Test); 6] = [
        ("402 Payment Required", r#"{"error": "plan"}"#, |kind| {
            *kind == ErrorKind::PlanLimit { message: "plan".into() }
        }),
        ("403 Forbidden", r#"{"error": "Date range exceeds 90 days into the past"}"#, |kind| {
            matches!(kind, ErrorKind::Forbidden { history_days: Some(90), status: 403, .. })
        }),
        ("403 Forbidden", r#"{"status": "error", "error": "no"}"#, |kind| {
            matches!(kind, ErrorKind::Forbidden { history_days: None, .. })
        }),
        ("404 Not Found", r#"{"error": "no funnel 7"}"#, |kind| {
            *kind == ErrorKind::NotFound { message: "no funnel 7".into() }
        }),
        ("400 Bad Request", r#"{"request": "/api", "error": "bad where"}"#, |kind| {
            *kind == ErrorKind::BadRequest { status: 400, message: "bad where".into() }
        }),
        ("422 No", "", |kind| matches!(kind, ErrorKind::BadRequest { status: 422, .. })),
    ];
    for (status, body, test) in cases {
        let error = failure(refused(status, "", body));
        assert!(test(error.kind()) && !error.is_transient(), "{status}: {error:?}");
    }
}

#[test]
fn secrets_are_in_no_error() {
    let long = format!("{}{CANARY}", "x".repeat(495));
    for body in [CANARY, &long] {
        let reports = [format!("{{\"error\": \"{body}\"}}"), format!("\"{body}\""), body.to_owned()];
        for report in reports {
            let error = ask::<Vec<String>>(ok(&report)).unwrap_err();
            assert!(!all_texts(&error).contains("CANAR"), "{}", all_texts(&error));
        }
        let kind = format!("Content-Type: text/html {CANARY}\r\n");
        let error = failure(vec![Step::Send(answer("200 OK", &kind, body))]);
        assert!(!all_texts(&error).contains("CANAR"));
    }
    let request = names().param("where", CANARY).post_form([("a".to_owned(), CANARY.to_owned())]);
    let server = Server::start([refused("400 Bad Request", "", "no")]);
    let error = client(&server.base()).json::<Value>(&request).unwrap_err();
    assert!(!all_texts(&error).contains("CANAR"));
}

#[test]
fn silence_ends_at_the_limit_and_a_cancelled_request_at_once() {
    for (script, phase) in [
        (vec![Step::Stall], Phase::FirstByte),
        (
            vec![send(format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 9\r\n\r\n[1")), Step::Stall],
            Phase::WholeBody,
        ),
    ] {
        let server = Server::start([script]);
        let mut options = options(&server.base());
        options.query_timeout = Duration::from_millis(200);
        let error = Client::new(options).unwrap().json::<Value>(&names()).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Timeout { phase, after: Duration::from_millis(200) });
    }
    let server = Server::start([vec![Step::Stall]]);
    let cancel = CancelToken::new();
    let client = client(&server.base()).with_cancel(cancel.clone());
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| client.json::<Value>(&names()).unwrap_err());
        while server.requests().is_empty() {
            std::thread::yield_now();
        }
        cancel.cancel();
        assert_eq!(*asking.join().unwrap().kind(), ErrorKind::Cancelled);
    });
}

#[test]
fn what_counts_against_what() {
    let refusal = || refused("402 Payment Required", "", "plan");
    let server = Server::start((0..6).map(|_| ok("[]")).chain([refusal(), refused("400 Bad", "", "no")]));
    let clock = Arc::new(FakeClock::default());
    let budget = Arc::new(RequestBudget::in_memory());
    let mut options = options(&server.base());
    options.clock = clock.clone();
    options.budget = Some(budget.clone());
    let client = Client::new(options).unwrap();
    let used = || ApiFamily::ALL.map(|family| budget.state(family, clock.now()).used);
    let ask = |request: ApiRequest| client.json::<Value>(&request);
    ask(names()).unwrap();
    ask(ApiRequest::engage("")).unwrap();
    assert_eq!(used(), [0, 2, 0]);
    ask(ApiRequest::engage("").param("session_id", "x").uncounted()).unwrap();
    ask(ApiRequest::app("me")).unwrap();
    ask(ApiRequest::project("annotations")).unwrap();
    assert_eq!(used(), [0, 2, 0]);
    ask(ApiRequest::project("schemas").counted_as(ApiFamily::Lexicon)).unwrap();
    assert_eq!(used(), [0, 2, 1]);
    ask(names()).unwrap_err();
    assert_eq!(used(), [0, 2, 1], "a plan without the API is not counted");
    ask(names()).unwrap_err();
    assert_eq!(used(), [0, 3, 1], "other refusals are");
}

/// Five run at once, whatever the number of threads; checked from the server's side.
#[test]
fn no_more_than_five_queries_run_at_once() {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    const ALL: usize = 12;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options(&format!("http://{}", listener.local_addr().unwrap()));
    options.budget = Some(Arc::new(RequestBudget::in_memory()));
    let client = Client::new(options).unwrap();
    std::thread::scope(|scope| {
        let ask = || scope.spawn(|| client.json::<Value>(&names()).unwrap());
        let askers: Vec<_> = (0..ALL).map(|_| ask()).collect();
        let mut held = Vec::new();
        for count in 1..=ALL {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            held.push(stream);
            let ended = count.saturating_sub(5);
            assert!(client.requests_sent() as usize <= 5 + ended, "{ended} have ended");
            // Five are held, so that they do overlap; then each answer lets one more in.
            if count >= 5 {
                held.remove(0).write_all(&answer("200 OK", JSON, "[]")).unwrap();
            }
        }
        for mut stream in held {
            stream.write_all(&answer("200 OK", JSON, "[]")).unwrap();
        }
        for asker in askers {
            asker.join().unwrap();
        }
    });
    assert_eq!(client.requests_sent() as usize, ALL);
}
