//! What a person at a terminal sees: `mp` in a pseudo-terminal.

use std::time::{Duration, Instant};

use expectrl::session::OsSession;
use expectrl::{ControlCode, Eof, Expect};

use crate::shell::program as session;
use crate::support::{DB, PATIENCE, Place, fetch_all, small_world, until};

/// Everything up to the end.
fn rest(session: &mut OsSession) -> String {
    let found = session.expect(Eof).unwrap();
    String::from_utf8_lossy(found.as_bytes()).into_owned()
}

#[test]
fn a_new_user_gets_from_nothing_to_an_answer() {
    let simulator = small_world();
    let config = simulator.config();
    let place = Place::new();
    // What is here to be done?
    let mut help = session(&place, &["help"]);
    assert!(rest(&mut help).contains("auth"));
    // Log in: user, project, region, secret; each asked for.
    let mut login = session(&place, &["auth", "login", "--base-url", &simulator.base_url()]);
    login.expect("User name of the service account: ").unwrap();
    login.send_line(&config.username).unwrap();
    login.expect("Project id: ").unwrap();
    login.send_line(config.project_id.to_string()).unwrap();
    login.expect("Region (us, eu or in; leave empty to detect it): ").unwrap();
    login.send_line("").unwrap();
    login.expect("Secret (not shown): ").unwrap();
    // Already now, however fast the answer is pasted.
    assert!(!login.get_process().get_echo().unwrap(), "the terminal would show the secret");
    login.send_line(&config.secret).unwrap();
    let told = rest(&mut login);
    assert!(told.contains("stored the account default") && told.contains("raw export"), "{told}");
    assert!(!told.contains(&config.secret), "the secret was shown: {told}");
    // Fetch, with a bar that ends.
    let (from, to) = (simulator.world().first_day().to_string(), simulator.world().last_day().to_string());
    let mut fetch = session(&place, &["fetch", "events", "--from", &from, "--to", &to]);
    let told = rest(&mut fetch);
    assert!(told.contains("rows in the table"), "{told}");
    // Ask: a table that fits, numbers to the right.
    let mut ask = session(
        &place,
        &["sql", "SELECT event_name, count(*) AS n FROM events GROUP BY ALL ORDER BY 2 DESC"],
    );
    let told = rest(&mut ask);
    assert!(told.contains("event_name") && told.contains("Page View"), "{told}");
}

#[test]
fn ctrl_c_ends_a_login_at_any_question() {
    let simulator = small_world();
    let place = Place::new();
    let url = simulator.base_url();
    let started = Instant::now();
    let mut login = session(&place, &["auth", "login", "--base-url", &url]);
    login.expect("User name of the service account: ").unwrap();
    login.send(ControlCode::EndOfText).unwrap();
    rest(&mut login);
    let ended = format!("{:?}", login.get_process().wait().unwrap());
    assert!(ended.contains("Signaled") && ended.contains("SIGINT"), "{ended}");

    // The secret is asked for without an echo, which is there again in the end.
    let words = ["--username", "u", "--project-id", "1", "--base-url", &url];
    let mut login = session(&place, &[&["auth", "login"], &words[..]].concat());
    login.get_process_mut().set_echo(true, None).unwrap();
    login.expect("Region (us, eu or in; leave empty to detect it): ").unwrap();
    login.send_line("us").unwrap();
    login.expect("Secret (not shown): ").unwrap();
    assert!(!login.get_process().get_echo().unwrap(), "the terminal would show the secret");
    login.send(ControlCode::EndOfText).unwrap();
    let told = rest(&mut login);
    assert!(told.contains("interrupted"), "{told}");
    assert!(login.get_process().get_echo().unwrap(), "the terminal stays silent");
    let ended = format!("{:?}", login.get_process().wait().unwrap());
    assert!(ended.contains("Exited") && ended.contains("130"), "{ended}");
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
}

#[test]
fn the_shell_completes_remembers_and_ends() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let mut shell = session(&place, &["shell", "--db", DB]);
    shell.expect("mp> ").unwrap();
    // Up to where `events` and `events_flat` part.
    shell.send("SELECT count(*) > 0 AS answer FROM even\t").unwrap();
    shell.send(";\r").unwrap();
    shell.expect("│ true").unwrap();
    shell.expect("mp> ").unwrap();
    shell.send_line(".mode csv").unwrap();
    shell.expect("mp> ").unwrap();
    shell.send_line("SELECT 40 + 2 AS x;").unwrap();
    shell.expect("42").unwrap();
    shell.expect("mp> ").unwrap();
    shell.send_line("SELECT nope;").unwrap();
    shell.expect("error").unwrap();
    shell.expect("mp> ").unwrap();
    // Ctrl-C stops a query and not the shell.
    shell.send_line("SELECT count(*) FROM range(100000) a, range(100000) b, range(1000) c;").unwrap();
    // It may not have begun yet.
    shell.set_expect_timeout(Some(Duration::from_millis(500)));
    until("the prompt", || {
        shell.send(ControlCode::EndOfText).unwrap();
        shell.expect("error").ok()
    });
    shell.set_expect_timeout(Some(PATIENCE));
    shell.expect("mp> ").unwrap();
    shell.send(ControlCode::EndOfTransmission).unwrap();
    shell.expect(Eof).unwrap();
    let history = std::fs::read_to_string(place.path("home/.local/state/mixpanel_data/history")).unwrap();
    assert!(history.contains("40 + 2"), "{history}");
}

#[test]
fn the_shell_goes_on_until_a_statement_is_whole() {
    let place = Place::new();
    let mut shell = session(&place, &["shell", "--memory"]);
    shell.expect("mp> ").unwrap();
    shell.send_line("SELECT 40").unwrap();
    shell.expect("..> ").unwrap();
    shell.send_line("+ 2 AS x;").unwrap();
    shell.expect("│ 42").unwrap();
    shell.expect("mp> ").unwrap();
    // Ctrl-C drops what has begun.
    shell.send_line("SELECT 'never").unwrap();
    shell.expect("..> ").unwrap();
    shell.send(ControlCode::EndOfText).unwrap();
    shell.expect("mp> ").unwrap();
    // Keywords are completed as they are typed: in small letters here.
    shell.send("sel\t 43 AS y;\r").unwrap();
    shell.expect("│ 43").unwrap();
    shell.expect("mp> ").unwrap();
    shell.send_line(".limit 2").unwrap();
    shell.expect("mp> ").unwrap();
    shell.send_line("FROM range(5);").unwrap();
    shell.expect(".limit N shows N, .limit 0 shows all").unwrap();
    shell.expect("mp> ").unwrap();
    shell.send_line("FROM nowhere;").unwrap();
    shell.expect(".tables lists the tables").unwrap();
    shell.expect("mp> ").unwrap();
    shell.send_line("SELECT $x;").unwrap();
    shell.expect("SET VARIABLE x").unwrap();
    shell.expect("mp> ").unwrap();
    shell.send_line("exit").unwrap();
    shell.expect(Eof).unwrap();
}

#[test]
fn the_shell_in_memory_leaves_nothing() {
    let place = Place::new();
    let mut shell = session(&place, &["shell", "--memory"]);
    shell.expect("mp> ").unwrap();
    shell.send_line("SELECT 6 * 7 AS x;").unwrap();
    shell.expect("42").unwrap();
    shell.expect("mp> ").unwrap();
    shell.send_line(".quit").unwrap();
    shell.expect(Eof).unwrap();
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[test]
fn a_terminal_gets_a_thousand_rows_and_is_told() {
    let place = Place::new();
    let mut many = session(&place, &["sql", "--memory", "SELECT range AS x FROM range(5000)"]);
    let told = rest(&mut many);
    assert!(told.contains(" 999 ") && !told.contains(" 1000 "), "{}", &told[told.len() - 400..]);
    assert!(told.contains("showing the first 1,000 rows"), "{}", &told[told.len() - 400..]);
    let mut all = session(&place, &["sql", "--memory", "--all", "SELECT range AS x FROM range(5000)"]);
    assert!(rest(&mut all).contains(" 4999 "));
}

#[test]
fn tables_fit_the_terminal_and_nothing_steers_it() {
    let place = Place::new();
    let query = "SELECT repeat('long ', 100) AS t, chr(27) || '[2J' AS c, 12345 AS n";
    let mut table = session(&place, &["sql", "--memory", "--color", "never", query]);
    let told = rest(&mut table);
    assert!(told.contains('…') && told.contains("12345"), "{told}");
    assert!(told.lines().all(|line| line.trim_end().chars().count() <= 80), "{told}");
    assert!(!told.contains('\u{1b}'), "{told:?}");
    for format in ["csv", "json", "plain", "vertical", "markdown"] {
        let mut shown = session(&place, &["sql", "--memory", "--color", "never", "--format", format, query]);
        let told = rest(&mut shown);
        assert!(!told.contains('\u{1b}'), "{format}: {told:?}");
    }
    let mut binary = session(&place, &["sql", "--memory", "--format", "parquet", "SELECT 1"]);
    assert!(rest(&mut binary).contains("a terminal cannot show parquet"));
}

#[test]
fn a_file_is_no_terminal_though_the_command_was_typed_at_one() {
    let place = Place::new();
    let long = "long ".repeat(100);
    let query = format!(
        "SELECT {} FROM range(1)",
        (0..20).map(|n| format!("'{long}' AS c{n}")).collect::<Vec<_>>().join(", ")
    );
    for (format, color, coloured) in [
        ("table", "auto", false),
        ("vertical", "auto", false),
        ("table", "always", true),
        ("vertical", "always", true),
    ] {
        let words =
            ["sql", "--memory", "--color", color, "--format", format, "--output", "report.txt", &query];
        rest(&mut session(&place, &words));
        let report = std::fs::read_to_string(place.here("report.txt")).unwrap();
        assert_eq!(report.matches(&long).count(), 20, "{format}");
        assert!(!report.contains('…'), "{format}");
        assert_eq!(report.contains('\u{1b}'), coloured, "{format} {color}");
    }
}

#[test]
fn what_cannot_be_undone_is_asked_for() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let answered = |words: &[&str], answer: &str| {
        let mut asking = session(&place, words);
        asking.expect(" [y/N]: ").unwrap();
        asking.send_line(answer).unwrap();
        rest(&mut asking)
    };
    let drop = ["inspect", "drop", "-t", "events", "--db", DB];
    for no in ["n", "", "yesterday"] {
        let told = answered(&drop, no);
        assert!(told.contains("nothing was removed"), "{told}");
    }
    assert_eq!(place.ok(["tables", "--db", DB]).lines().count(), 3);
    // Said in words, and not as an object: nobody has asked for one.
    let told = answered(&drop, "Y");
    assert!(told.contains("the table events is removed") && !told.contains("dropped"), "{told}");
    assert_eq!(place.ok(["tables", "--db", DB]), "[]\n");

    let words = ["auth", "add", "work", "-u", "u", "-p", "1", "--secret-file", "secret"];
    place.ok(words);
    assert!(answered(&["auth", "remove", "work"], "no").contains("nothing was removed"));
    let told = answered(&["auth", "remove", "work", "--format", "json"], "yes");
    assert!(told.contains("removed the account work") && told.contains("\"removed\": \"work\""), "{told}");
}

#[test]
fn an_account_is_added_as_its_users_know_it() {
    let place = Place::new();
    // The secret is asked for, and nothing else.
    let mut adding = session(&place, &["auth", "add", "work", "-u", "reader", "-p", "12"]);
    adding.expect("Secret (not shown): ").unwrap();
    adding.send_line("hush").unwrap();
    assert!(rest(&mut adding).contains("stored the account work"));
    // Everything, also where the environment has a secret.
    let place = place.with("MP_SECRET", "other");
    let mut adding = session(&place, &["auth", "add", "more", "--interactive"]);
    adding.expect("User name of the service account: ").unwrap();
    adding.send_line("writer").unwrap();
    adding.expect("Project id: ").unwrap();
    adding.send_line("13").unwrap();
    adding.expect("Secret (not shown): ").unwrap();
    adding.send_line("quiet").unwrap();
    assert!(rest(&mut adding).contains("stored the account more"));
    let file = std::fs::read_to_string(place.path("home/.config/mp/config.toml")).unwrap();
    assert!(file.contains("secret = \"hush\"") && file.contains("secret = \"quiet\""), "{file}");
}
