//! What is sent, to whom, how often, and what a refusal turns into.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::date;
use mixpanel_client::budget::{ApiFamily, RequestBudget};
use mixpanel_client::export::ExportRequest;
use mixpanel_client::retry::{Clock, RetryPolicy};
use mixpanel_client::{
    BaseUrls, CancelToken, Client, Credentials, Error, ErrorKind, MinRate, Phase, RequestObserver,
};
use support::{
    CANARY, FakeClock, Script, Server, Step, all_texts, answer, client, gzip, new_year, ok, options, refused,
    send,
};

const EVENT: &[u8] = b"{\"event\":\"a\",\"properties\":{}}\n";

/// Makes a client that retries on a clock of its own.
fn patient(base: &str) -> (Client, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::default());
    let mut options = options(base);
    options.retry = RetryPolicy { max_retries: 3, ..RetryPolicy::default() };
    options.clock = clock.clone();
    (Client::new(options).unwrap(), clock)
}

fn failure(script: Script) -> Error {
    let server = Server::start([script]);
    client(&server.base()).export(&new_year()).unwrap_err()
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

#[test]
fn service_account_names_its_project() {
    let server = Server::start([ok(EVENT)]);
    client(&server.base()).export(&new_year()).unwrap();
    let request = &server.requests()[0];
    let line = "GET /api/2.0/export?project_id=12345&from_date=2024-01-01&to_date=2024-01-01&time_in_ms=true HTTP/1.1\r\n";
    assert!(request.starts_with(line), "{request}");
    let basic = format!("Basic {}", STANDARD.encode(format!("ann:{CANARY}")));
    assert_eq!(header(request, "authorization"), Some(&*basic));
    assert_eq!(header(request, "accept-encoding"), Some("gzip"));
    assert!(header(request, "user-agent").unwrap().starts_with("mixpanel-data/"));
}

#[test]
fn an_observer_hears_of_each_request_and_of_no_secret() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let server =
        Server::start([refused("503 Service Unavailable", "", &format!("busy {CANARY}")), ok(EVENT)]);
    let mut options = options(&server.base());
    options.retry = RetryPolicy { max_retries: 1, ..RetryPolicy::default() };
    options.clock = Arc::new(FakeClock::default());
    let telling = heard.clone();
    options.request_observer = Some(RequestObserver::new(move |notice| {
        let outcome = notice.error.map_or_else(|| "answered".to_owned(), ToString::to_string);
        telling.lock().unwrap().push(format!("{} {} {outcome}", notice.method, notice.url));
    }));
    Client::new(options).unwrap().export(&new_year()).unwrap();
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].starts_with("GET http") && heard[0].contains("503"), "{heard:?}");
    assert!(heard[1].contains("/export?") && heard[1].ends_with(" answered"), "{heard:?}");
    assert!(heard.iter().all(|line| !line.contains(CANARY)), "{heard:?}");
}

#[test]
fn project_secret_goes_without_project_and_password() {
    let server = Server::start([ok(EVENT)]);
    let mut options = options(&server.base());
    options.credentials = Credentials::project_secret(CANARY);
    options.user_agent = Some("tests/1".into());
    Client::new(options).unwrap().export(&new_year()).unwrap();
    let request = &server.requests()[0];
    assert!(request.starts_with("GET /api/2.0/export?from_date="), "{request}");
    let basic = format!("Basic {}", STANDARD.encode(format!("{CANARY}:")));
    assert_eq!(header(request, "authorization"), Some(&*basic));
    assert_eq!(header(request, "user-agent"), Some("tests/1"));
}

#[test]
fn parameters_are_encoded() {
    let server = Server::start([ok(EVENT)]);
    let mut request = ExportRequest::days(date(2024, 1, 1), date(2024, 1, 2));
    request.events = vec!["Sign & Up".into()];
    request.where_ = Some("properties[\"a\"] == \"b+c\"".into());
    request.limit = Some(5);
    request.time_in_ms = true;
    let body = client(&server.base()).export(&request).unwrap();
    let expected = "&event=%5B%22Sign+%26+Up%22%5D&where=properties%5B%22a%22%5D+%3D%3D+%22b%2Bc%22&limit=5&time_in_ms=true HTTP";
    assert!(server.requests()[0].contains(expected), "{:?}", server.requests());
    assert!(body.url().as_str().ends_with("&event=***&where=***&limit=5&time_in_ms=true"), "{}", body.url());
}

#[test]
fn faults_of_the_caller_are_found_before_anything_is_sent() {
    let server = Server::start([]);
    let backwards = ExportRequest::days(date(2024, 1, 2), date(2024, 1, 1));
    let error = client(&server.base()).export(&backwards).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidRequest { .. }));
    let mut no_project = options(&server.base());
    no_project.project_id = None;
    let mut plain_http = options(&server.base());
    plain_http.base_urls = BaseUrls::single_host("http://data.mixpanel.com");
    let mut no_secret = options(&server.base());
    no_secret.credentials = Credentials::project_secret("");
    for bad in [no_project, plain_http, no_secret] {
        assert!(matches!(Client::new(bad).unwrap_err().kind(), ErrorKind::InvalidRequest { .. }));
    }
    let mut bad_proxy = options(&server.base());
    bad_proxy.proxy = Some(format!("http://u:{CANARY}@ h").into());
    let error = Client::new(bad_proxy).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Setup { .. }));
    assert!(!all_texts(&error).contains(CANARY));
    assert!(server.requests().is_empty());
}

#[test]
fn refusals_are_typed_and_permanent_ones_tried_once() {
    type Test = fn(&ErrorKind) -> bool;
    let cases: [(&str, &str, Test); 9] = [
        ("400 Bad Request", r#"{"error": "bad date"}"#, |kind| {
            *kind == ErrorKind::BadRequest { status: 400, message: "bad date".into() }
        }),
        (
            "400 Bad Request",
            "to_date cannot be later than today",
            |kind| matches!(kind, ErrorKind::BadRequest { message, .. } if message.ends_with("than today")),
        ),
        ("400 Bad Request", "Unable to authenticate request", |kind| {
            matches!(kind, ErrorKind::Authentication { status: 400, .. })
        }),
        ("401 Unauthorized", r#"{"error": "no", "status": "error"}"#, |kind| {
            matches!(kind, ErrorKind::Authentication { status: 401, .. })
        }),
        ("402 Payment Required", r#"{"error": "plan"}"#, |kind| {
            *kind == ErrorKind::PlanLimit { message: "plan".into() }
        }),
        ("403 Forbidden", r#"{"error": "Date range exceeds 90 days into the past"}"#, |kind| {
            matches!(kind, ErrorKind::Forbidden { history_days: Some(90), .. })
        }),
        ("403 Forbidden", "", |kind| matches!(kind, ErrorKind::Forbidden { history_days: None, .. })),
        ("404 Not Found", "<html>", |kind| matches!(kind, ErrorKind::NotFound { .. })),
        ("501 Not Implemented", "", |kind| matches!(kind, ErrorKind::Server { status: 501, .. })),
    ];
    for (status, body, test) in cases {
        let server = Server::start([refused(status, "", body)]);
        let (client, clock) = patient(&server.base());
        let error = client.export(&new_year()).unwrap_err();
        assert!(test(error.kind()), "{status}: {error:?}");
        assert!(!error.is_transient());
        assert_eq!((server.requests().len(), clock.waits().len(), error.attempts()), (1, 0, 1), "{status}");
    }
}

#[test]
fn compressed_refusals_can_be_read() {
    let body = gzip(br#"{"request": "/api/2.0/export", "error": "bad where"}"#);
    let error = failure(vec![Step::Send(answer("400 Bad Request", "Content-Encoding: gzip\r\n", body))]);
    assert_eq!(*error.kind(), ErrorKind::BadRequest { status: 400, message: "bad where".into() });
}

#[test]
fn cut_refusals_keep_their_status() {
    let error = failure(vec![send("HTTP/1.1 401 No\r\nContent-Length: 500\r\n\r\nbad cred")]);
    assert_eq!(*error.kind(), ErrorKind::Authentication { status: 401, message: "bad cred".into() });
}

#[test]
fn rate_limit_waits_as_told() {
    // The fake clock stands at 2024-01-01 00:00:00 UTC, plus nothing.
    let limited = |headers: &str| refused("429 Too Many Requests", headers, r#"{"error": "slow down"}"#);
    let server = Server::start([
        limited("Retry-After: 7\r\n"),
        limited("Retry-After: Mon, 01 Jan 2024 00:00:40 GMT\r\n"),
        limited(""),
        ok(EVENT),
    ]);
    let (client, clock) = patient(&server.base());
    client.export(&new_year()).unwrap();
    let seconds: Vec<f64> = clock.waits().iter().map(Duration::as_secs_f64).collect();
    assert!((7.0..9.0).contains(&seconds[0]), "{seconds:?}");
    assert!((40.0..42.0).contains(&seconds[1]), "{seconds:?}");
    // The third wait of its kind without advice: 30 s, doubled twice, half of it random.
    assert!((60.0..120.0).contains(&seconds[2]), "{seconds:?}");
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn rate_limit_beyond_the_ceiling_is_handed_up() {
    let server = Server::start([refused("429 Too Many Requests", "Retry-After: 3600\r\n", "slow down")]);
    let (client, clock) = patient(&server.base());
    let error = client.export(&new_year()).unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(error.to_string(), "rate limit reached, try again in 3600 s: slow down");
    assert!(clock.waits().is_empty());
}

#[test]
fn transient_failures_are_tried_again() {
    let server = Server::start([
        refused("500 Internal Server Error", "", "<html>oops</html>"),
        refused("503 Service Unavailable", "Retry-After: 5\r\n", ""),
        vec![],
        ok(EVENT),
    ]);
    let (client, clock) = patient(&server.base());
    client.export(&new_year()).unwrap();
    assert_eq!(clock.waits().len(), 3);
    assert!(clock.waits()[1] >= Duration::from_secs(5));
    let lost = [vec![send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")], vec![Step::Reset], ok(EVENT)];
    let server = Server::start(lost);
    let (client, _) = patient(&server.base());
    client.export(&new_year()).unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn attempts_are_counted_and_capped() {
    let server = Server::start((0..9).map(|_| refused("502 Bad Gateway", "", "no")));
    let (client, clock) = patient(&server.base());
    let error = client.export(&new_year()).unwrap_err();
    assert_eq!((server.requests().len(), clock.waits().len(), error.attempts()), (4, 3, 4));
    assert_eq!(error.to_string(), "the server failed (HTTP 502): no (tried 4 times)");
    assert!(error.is_transient() && !error.is_retryable());
    assert!(error.url().unwrap().as_str().contains("/api/2.0/export?"));
}

#[test]
fn refused_connection_is_tried_again_and_names_the_host() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (client, clock) = patient(&format!("http://{address}"));
    let error = client.export(&new_year()).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Connect { host: address.to_string() });
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(clock.waits().len(), 3);
}

#[test]
fn plain_server_on_a_tls_port_is_not_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options("");
    options.base_urls = BaseUrls::single_host(&format!("https://{}", listener.local_addr().unwrap()));
    // Without any certificate store there is no client to test with.
    let Ok(client) = Client::new(options) else { return };
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = vec![0; 4096];
        let size = stream.read(&mut seen).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        seen.truncate(size);
        stream.read_to_end(&mut seen).unwrap_or_default();
        String::from_utf8_lossy(&seen).into_owned()
    });
    let error = client.export(&new_year()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Tls { .. }), "{error:?}");
    assert!(!error.is_transient());
    assert!(!server.join().unwrap().contains("uthorization"));
}

#[test]
fn redirects_are_never_followed() {
    for status in
        ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent", "304 Not Modified"]
    {
        let canary = Server::start([ok(EVENT)]);
        let targets = [
            format!("{}/api/2.0/export", canary.base()),
            format!("http://ann:CANARY@{}/?CANARY", canary.address),
            "/api/2.0/export/".to_owned(),
        ];
        for target in &targets {
            let server = Server::start([refused(status, &format!("Location: {target}\r\n"), "")]);
            let (client, clock) = patient(&server.base());
            let error = client.export(&new_year()).unwrap_err();
            let expected = if target.starts_with('/') { server.address } else { canary.address };
            let ErrorKind::Redirected { host, .. } = error.kind() else { panic!("{error:?}") };
            assert_eq!(host.as_deref(), Some(&*expected.to_string()));
            assert!(!all_texts(&error).contains("CANARY"));
            assert_eq!((server.requests().len(), clock.waits().len()), (1, 0));
        }
        assert!(canary.requests().is_empty(), "{:?}", canary.requests());
    }
}

#[test]
fn secrets_are_in_no_error() {
    let basic = STANDARD.encode(format!("ann:{CANARY}"));
    let echo = format!("you sent Authorization: Basic {basic}, that is {CANARY}, or CANARY-7f3a%2F%2Bx");
    // The echo also stands where the text is cut, so that half a secret would remain.
    let long = format!("{}{CANARY}", "x".repeat(495));
    let json = format!("{{\"error\": \"{echo}\"}}");
    let mut scripts: Vec<Script> = Vec::new();
    for body in [&echo, &long, &json] {
        for status in ["400 A", "401 B", "402 C", "403 D", "404 E", "429 F", "500 G", "204 H"] {
            scripts.push(refused(status, "", body));
        }
        scripts.push(ok(format!("<html>{body}")));
        scripts.push(ok(json.clone()));
        scripts.push(vec![Step::Send(answer(
            "200 OK",
            &format!("Content-Type: text/html; {CANARY}\r\n"),
            body,
        ))]);
        scripts.push(vec![Step::Send(answer("200 OK", &format!("Content-Encoding: {CANARY}\r\n"), body))]);
        scripts.push(vec![send(format!("HTTP/1.1 {CANARY}\r\n\r\n"))]);
    }
    let count = scripts.len();
    let server = Server::start(scripts);
    let client = client(&server.base());
    for _ in 0..count {
        let outcome =
            client.export(&new_year()).and_then(|body| body.into_lines().collect::<Result<Vec<_>, _>>());
        let shown = all_texts(&outcome.unwrap_err());
        for needle in [CANARY, &basic, "CANARY-7f3a%2F%2Bx", "CANAR"] {
            assert!(!shown.contains(needle), "{shown}");
        }
    }
    let shown = format!("{client:?} {:?}", options(&server.base()));
    assert!(!shown.contains("CANAR") && !shown.contains(&basic), "{shown}");
}

/// A clock that sleeping moves.
#[derive(Debug, Default)]
struct Hands(FakeClock);

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        self.0.now() + self.0.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration, cancel: &CancelToken) {
        self.0.sleep(duration, cancel);
    }
}

/// Every attempt is counted, and what the server says about its limits is kept for the next one.
#[test]
fn attempts_are_counted_and_the_servers_limits_are_believed() {
    let full = "RateLimit: \"project\";r=0;t=600\r\nRateLimit-Policy: \"project\";q=60;w=3600\r\n";
    let server = Server::start([refused("429 Too Many Requests", full, "{}"), ok(EVENT), ok(EVENT)]);
    let clock = Arc::new(Hands::default());
    let budget = Arc::new(RequestBudget::in_memory());
    let mut options = options(&server.base());
    options.clock = clock.clone();
    options.retry = RetryPolicy { max_retries: 3, ..RetryPolicy::default() };
    options.budget = Some(budget.clone());
    let client = Client::new(options).unwrap();
    client.export(&new_year()).unwrap();
    client.export(&new_year()).unwrap();
    assert_eq!((client.requests_sent(), budget.state(ApiFamily::Export, clock.now()).used), (3, 3));
    let waited: Duration = clock.monotonic();
    assert!(waited >= Duration::from_secs(600), "{waited:?}");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_body_that_drips_is_given_up() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut steps = vec![send(head)];
    for _ in 0..60 {
        steps.push(send("1\r\n{\r\n"));
        steps.push(Step::Delay(Duration::from_millis(20)));
    }
    let server = Server::start([steps]);
    let mut options = options(&server.base());
    options.min_rate = MinRate { bytes_per_second: 1_000, over: Duration::from_millis(1_000) };
    let mut body = Client::new(options).unwrap().export(&new_year()).unwrap();
    let error = body.find_map(|block| block.err()).expect("too slow");
    assert!(matches!(error.kind(), ErrorKind::Timeout { phase: Phase::MinRate, .. }), "{error:?}");
    assert!(error.is_retryable());
}
