//! Configurations that are broken, each with its message and exit code.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use mixpanel_sim::Simulator;
use serde_json::json;

use crate::support::{DB, Place, Run, small_world};

const FILE: &str = "home/.config/mp/config.toml";

fn fetch(place: &Place) -> Run {
    place.run(["fetch", "events", "--from", "2025-06-29", "--to", "2025-06-29", "--db", DB])
}

/// An account that works, with `more` in it.
fn account(simulator: &Simulator, more: &str) -> String {
    let config = simulator.config();
    format!(
        "[accounts.main]\nusername = \"{}\"\nproject_id = {}\nbase_url = \"{}\"\n{more}",
        config.username,
        config.project_id,
        simulator.base_url()
    )
}

fn good(simulator: &Simulator) -> String {
    account(simulator, &format!("secret = \"{}\"\n", simulator.config().secret))
}

fn mode(place: &Place, path: &str, mode: u32) {
    fs::set_permissions(place.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_good_one_works() {
    let simulator = small_world();
    let run = fetch(&Place::new().config(&good(&simulator)));
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn files_that_others_can_reach() {
    let simulator = small_world();
    let place = Place::new().config(&good(&simulator));
    mode(&place, FILE, 0o644);
    fetch(&place).fails(2, &["can be read by others (mode 644)", "chmod 600 ", FILE]);
    let place = place.with("MP_ALLOW_INSECURE_CONFIG", "1");
    assert_eq!(fetch(&place).code, Some(0));
    let place = Place::new().config(&good(&simulator));
    mode(&place, "home/.config/mp", 0o777);
    fetch(&place).fails(2, &["others can write in", "chmod go-w "]);
}

#[test]
fn things_that_are_not_a_file() {
    let simulator = small_world();
    let place = Place::new().config(&good(&simulator));
    fs::remove_file(place.path(FILE)).unwrap();
    fs::create_dir(place.path(FILE)).unwrap();
    fetch(&place).fails(2, &["not a regular file"]);
    fs::remove_dir(place.path(FILE)).unwrap();
    symlink(place.path("home/gone.toml"), place.path(FILE)).unwrap();
    fetch(&place).fails(4, &["cannot read", "config.toml"]);
    // Somebody else's link. Only root can make one.
    fs::write(place.path("home/target.toml"), good(&simulator)).unwrap();
    mode(&place, "home/target.toml", 0o600);
    fs::remove_file(place.path(FILE)).unwrap();
    symlink(place.path("home/target.toml"), place.path(FILE)).unwrap();
    assert_eq!(fetch(&place).code, Some(0), "a link of our own is fine");
    if std::os::unix::fs::lchown(place.path(FILE), Some(65534), Some(65534)).is_ok() {
        fetch(&place).fails(2, &["a link that belongs to somebody else", "rm "]);
    }
}

#[test]
fn text_that_is_not_a_configuration() {
    let simulator = small_world();
    let broken = |text: &str| fetch(&Place::new().config(text));
    broken("default = \n").fails(2, &["config.toml, line 1", "mp help config"]);
    broken("[accounts.main]\nsecrt = \"x\"\n").fails(2, &["unknown field `secrt`"]);
    broken("[accounts.main]\nsecret = 5\n").fails(2, &["line 2"]);
    broken(&account(&simulator, "region = \"uk\"\nsecret = \"x\"\n")).fails(2, &["\"uk\"", "account main"]);
    let text = good(&simulator).replace("project_id = ", "project_id = \"x\" # ");
    broken(&text).fails(2, &["\"x\" is not a number", "account main"]);
}

#[test]
fn accounts_that_cannot_be_told() {
    let simulator = small_world();
    let two = format!("{}\n{}", good(&simulator), good(&simulator).replace("main", "other"));
    let place = Place::new().config(&two);
    fetch(&place).fails(2, &["several accounts", "main, other", "mp auth switch"]);
    let place = Place::new().config(&format!("default = \"gone\"\n{}", good(&simulator)));
    fetch(&place).fails(4, &["no account \"gone\"", "main"]);
    let place = place.with("MP_ACCOUNT", "nobody");
    fetch(&place).fails(4, &["no account \"nobody\""]);
    let place = Place::new();
    let mut words = vec!["--config", "none.toml"];
    words.extend(["fetch", "events", "--from", "2025-06-29", "--to", "2025-06-29"]);
    place.run(words).fails(4, &["there is no file ", "none.toml", "without --config"]);
}

#[test]
fn secrets_that_are_missing_or_no_longer_good() {
    let simulator = small_world();
    let with = |more: &str| fetch(&Place::new().config(&account(&simulator, more)));
    with("").fails(6, &["account main has no secret", "mp auth login"]);
    with("secret = \"expired-1234\"\n").fails(6, &["401", "mp auth status"]);
    with("secret_file = \"/nonexistent/secret\"\n").fails(4, &["/nonexistent/secret"]);
    with("secret_command = [\"false\"]\n").fails(6, &["`false` gave no secret"]);
    with("secret_command = [\"no-such-program\"]\n").fails(6, &["no-such-program"]);
    with("keyring = true\n").fails(6, &["keyring", "MP_SECRET"]);
}

#[test]
fn project_files_that_say_too_much() {
    let simulator = small_world();
    let place = Place::new().config(&good(&simulator));
    for (text, word) in [
        ("base_url = \"https://evil.example\"\n", "`base_url`"),
        ("secret = \"x\"\n", "`secret`"),
        ("db = \"../../other.duckdb\"\n", "not below this folder"),
        ("color = \"red\"\n", "unknown field `color`"),
    ] {
        fs::write(place.here("mp.toml"), text).unwrap();
        fetch(&place).fails(2, &[word, "mp.toml"]);
    }
    fs::write(place.here("mp.toml"), "db = \"data/mine.duckdb\"\n").unwrap();
    place.ok(["fetch", "events", "--from", "2025-06-29", "--to", "2025-06-29"]);
    assert!(place.here("data/mine.duckdb").is_file());
}

/// The file of the Python original, with the mode that it gives it.
fn originals(place: &Place, text: &str, bits: u32) {
    fs::create_dir(place.path("home/.mp")).unwrap();
    fs::write(place.path("home/.mp/config.toml"), text).unwrap();
    mode(place, "home/.mp/config.toml", bits);
}

#[test]
fn the_file_of_the_original_is_read_and_what_others_can_read_is_said() {
    let simulator = small_world();
    let text = format!("default = \"main\"\n{}", good(&simulator));
    let place = Place::new();
    originals(&place, &text, 0o600);
    let run = fetch(&place);
    assert_eq!((run.code, run.stderr.contains("warning")), (Some(0), false), "{run:?}");

    let place = Place::new();
    originals(&place, &text, 0o644);
    let run = fetch(&place);
    assert_eq!(run.code, Some(0), "{run:?}");
    let said = ["warning: ", "can be read by others (mode 644)", "chmod 600 ", "`mp auth import`"];
    assert!(said.iter().all(|word| run.stderr.contains(word)), "{run:?}");
    // What needs no account needs no warning either.
    let run = place.run(["sql", "--memory", "SELECT 1"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    // A change of it makes it private.
    let run = place.run(["auth", "switch", "main"]);
    assert_eq!((run.code, run.stderr.contains("warning")), (Some(0), false), "{run:?}");
    let found = fs::metadata(place.path("home/.mp/config.toml")).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o600);

    // Others may not have written it, and our own file has to be private as ever.
    let place = Place::new();
    originals(&place, &text, 0o666);
    fetch(&place).fails(2, &["can be written by others (mode 666)", "chmod 600 "]);
    let named = Place::new().with("MP_CONFIG_PATH", place.path("home/.mp/config.toml").display());
    mode(&place, "home/.mp/config.toml", 0o644);
    fetch(&named).fails(2, &["can be read by others (mode 644)", "chmod 600 "]);
}

#[test]
fn the_accounts_of_the_original_are_imported() {
    let simulator = small_world();
    let text = format!(
        "default = \"main\"\n{}[accounts.odd]\ntype = \"oauth_browser\"\nregion = \"us\"\n",
        good(&simulator)
    );
    let place = Place::new();
    let next = ["`mp auth import FILE`", "`mp auth login`"];
    for words in [&["auth", "import"][..], &["auth", "import", "none/config.toml"]] {
        let run = place.run(words);
        let file = if words.len() == 2 { "home/.mp/config.toml" } else { "none/config.toml" };
        run.fails(4, &["error: there is no file ", file, next[0], next[1]]);
        assert!(!run.stderr.contains("entity"), "{run:?}");
    }
    originals(&place, &text, 0o644);
    let run = place.run(["auth", "import"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let told: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&told["imported"], &told["left_out"]), (&json!(["main"]), &json!(["odd"])));
    assert_eq!(told["default"], "main");
    for said in ["imported 1 account into ", "odd", "others can read it (mode 644): rm "] {
        assert!(run.stderr.contains(said), "{said:?}: {run:?}");
    }
    let ours = place.path(FILE);
    assert_eq!(fs::metadata(&ours).unwrap().permissions().mode() & 0o777, 0o600);
    // Ours is in use from now on, and nothing is said any more.
    let run = place.run(["auth", "list", "--jq", "map(.name)"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    // The same again changes nothing; another account of the name is not replaced unasked.
    let again: serde_json::Value = serde_json::from_str(&place.ok(["auth", "import"])).unwrap();
    assert_eq!((&again["imported"], &again["unchanged"]), (&json!([]), &json!(["main"])));
    fs::write(
        place.here("other.toml"),
        "[accounts.main]\nusername = \"x\"\nsecret = \"canary-7\"\nproject_id = \"9\"\n",
    )
    .unwrap();
    let before = fs::read_to_string(&ours).unwrap();
    let run = place.run(["auth", "import", "other.toml"]);
    run.fails(2, &["other accounts of the same name already: main", "--replace"]);
    assert_eq!(fs::read_to_string(&ours).unwrap(), before);
    let run = place.run(["auth", "import", "other.toml", "--replace"]);
    assert!(
        run.code == Some(0) && !run.stdout.contains("canary-7") && !run.stderr.contains("canary-7"),
        "{run:?}"
    );
    assert_eq!(place.ok(["auth", "show", "main", "--jq", ".project_id"]), "\"9\"\n");
    let same = ours.display().to_string();
    place.run(["auth", "import", &same]).fails(2, &["is the file in use already", "chmod 600"]);
}

#[test]
fn an_account_beside_one_that_we_do_not_understand_goes_into_a_file_of_ours() {
    let simulator = small_world();
    let place = Place::new().with("MP_SECRET", "s");
    originals(
        &place,
        &format!("[active]\naccount = \"main\"\n{}", good(&simulator).replace("base_url", "# base_url")),
        0o600,
    );
    let run = place.run(["auth", "add", "new", "-u", "u", "-p", "7"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("1 account of ") && run.stderr.contains("was imported into"), "{run:?}");
    let names = place.ok(["auth", "list", "--jq", "map(.name)"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&names).unwrap(), json!(["main", "new"]));
    assert_eq!(place.ok(["auth", "show", "--jq", ".name"]), "\"main\"\n");
    assert!(fs::read_to_string(place.path("home/.mp/config.toml")).unwrap().starts_with("[active]"));
}
