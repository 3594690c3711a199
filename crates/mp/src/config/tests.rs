use std::path::Path;

use mixpanel_client::Region;

use super::*;
use crate::args;
use crate::databases;
use crate::error::Error;
use crate::ui::Mask;

/// An environment of these variables, and no files.
fn around(env: &[(&str, &str)]) -> Surroundings {
    let env: Vec<(String, String)> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let find = move |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    Surroundings::new(find, Words::default(), None, Mask::default(), databases::none())
}

fn resolve(flags: &args::Connection, env: &[(&str, &str)]) -> Result<Connection, Error> {
    Connection::resolve(flags, &around(env))
}

const ACCOUNT: [(&str, &str); 3] = [("MP_USERNAME", "u"), ("MP_SECRET", "s"), ("MP_PROJECT_ID", "7")];

#[test]
fn flags_come_before_the_environment() {
    let flags = args::Connection {
        project_id: Some("8".into()),
        region: Some("EU".into()),
        ..args::Connection::default()
    };
    let env = [&ACCOUNT[..], &[("MP_REGION", "in")]].concat();
    let connection = resolve(&flags, &env).unwrap();
    assert_eq!((connection.project_id, connection.region), (Some(8), Region::Eu));
    let connection = resolve(&args::Connection::default(), &env).unwrap();
    assert_eq!((connection.project_id, connection.region), (Some(7), Region::In));
    assert!(connection.base_urls.export.contains("data-in."));
    assert_eq!(connection.budget, Some(None), "counted, by this process only: there is no HOME");
    let other = [&env[..], &[("MP_BASE_URL", "http://127.0.0.1:9"), ("HOME", "/h")]].concat();
    assert_eq!(resolve(&args::Connection::default(), &other).unwrap().budget, None);
    let home = [&env[..], &[("HOME", "/h")]].concat();
    let folder = resolve(&args::Connection::default(), &home).unwrap().budget.unwrap();
    assert_eq!(folder.as_deref(), Some(Path::new("/h/.local/state/mixpanel_data")));
}

#[test]
fn what_is_missing_is_named() {
    let error = resolve(&args::Connection::default(), &ACCOUNT[..1]).unwrap_err();
    assert!(matches!(error, Error::NoCredentials { missing } if missing == ["MP_SECRET", "MP_PROJECT_ID"]));
}

#[test]
fn a_project_secret_needs_no_project() {
    let connection = resolve(&args::Connection::default(), &[("MP_PROJECT_SECRET", "s")]).unwrap();
    assert!(!connection.credentials.needs_project_id());
    assert!(target_database(None, None, &around(&[])).is_err());
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (name, value) in
        [("MP_REGION", "uk"), ("MP_PROJECT_ID", "x1"), ("MP_TIMEZONE", "Mars/One"), ("MP_CLOCK_MODE", "odd")]
    {
        let env = [&[(name, value)], &ACCOUNT[..]].concat();
        let error = resolve(&args::Connection::default(), &env).unwrap_err();
        assert!(matches!(&error, Error::Setting { what, .. } if what.contains(value)), "{error}");
    }
}

#[test]
fn the_only_database_is_found_and_several_are_not_guessed() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("mixpanel_data");
    let env = around(&[("XDG_DATA_HOME", &home.path().display().to_string())]);
    assert!(matches!(existing_database(None, &env), Err(Error::NoDatabase { .. })));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("1.duckdb"), "").unwrap();
    std::fs::write(folder.join("notes.txt"), "").unwrap();
    assert_eq!(existing_database(None, &env).unwrap(), folder.join("1.duckdb"));
    std::fs::write(folder.join("2.duckdb"), "").unwrap();
    assert!(
        matches!(existing_database(None, &env), Err(Error::SeveralDatabases { found }) if found.len() == 2)
    );
    let flags = args::Connection { project_id: Some("2".into()), ..args::Connection::default() };
    let named = local_database(&args::Database::default(), &flags, &env).unwrap();
    assert_eq!(named, folder.join("2.duckdb"));
}
