//! Memory mode opens no file for writing. Proven by the kernel: a process that
//! would be killed for trying loads 200,000 events over HTTP, runs a query
//! larger than its memory, and lives.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use mixpanel_client::time::ProjectClock;
use mixpanel_client::{BaseUrls, Client, ClientOptions, Credentials};
use mixpanel_data::{ErrorKind, FetchEvents, MemoryOptions, Project, Value, Workspace};
use mixpanel_sim::{SimConfig, Simulator};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::bad_input::{child, role};
use crate::support::{everything_below, print_figure, setting};

/// From here on the kernel ends this process when any of its threads opens a
/// file for writing, or makes, renames, links, shortens or removes one.
fn forbid_writing_files() {
    let any: Vec<SeccompRule> = Vec::new();
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    rules.insert(libc::SYS_openat, opened_for_writing(2));
    #[cfg(target_arch = "x86_64")]
    {
        rules.insert(libc::SYS_open, opened_for_writing(1));
        for call in [
            libc::SYS_creat,
            libc::SYS_mkdir,
            libc::SYS_rename,
            libc::SYS_link,
            libc::SYS_symlink,
            libc::SYS_unlink,
            libc::SYS_rmdir,
            libc::SYS_mknod,
        ] {
            rules.insert(call, any.clone());
        }
    }
    for call in [
        // Its flags are behind a pointer, so all of it is forbidden.
        libc::SYS_openat2,
        libc::SYS_mkdirat,
        libc::SYS_renameat,
        libc::SYS_renameat2,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_unlinkat,
        libc::SYS_mknodat,
        libc::SYS_truncate,
        libc::SYS_ftruncate,
        libc::SYS_fallocate,
        libc::SYS_memfd_create,
    ] {
        rules.insert(call, any.clone());
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::KillProcess,
        std::env::consts::ARCH.try_into().unwrap(),
    )
    .unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter_all_threads(&program).unwrap();
}

/// Rules that match an open call whose flags, argument `at`, ask for more than
/// reading.
fn opened_for_writing(at: u8) -> Vec<SeccompRule> {
    let masked = |mask: i32, value: i32| {
        let op = SeccompCmpOp::MaskedEq(mask as u64);
        let condition = SeccompCondition::new(at, SeccompCmpArgLen::Dword, op, value as u64).unwrap();
        SeccompRule::new(vec![condition]).unwrap()
    };
    vec![
        masked(libc::O_ACCMODE, libc::O_WRONLY),
        masked(libc::O_ACCMODE, libc::O_RDWR),
        masked(libc::O_CREAT, libc::O_CREAT),
        masked(libc::O_TRUNC, libc::O_TRUNC),
    ]
}

const EVENTS: u64 = 200_000;

fn world() -> SimConfig {
    SimConfig { days: 10, total_events: Some(EVENTS), users: Some(10_000), ..SimConfig::default() }
}

/// Loads and queries in the child; `spill` is a folder, or empty.
fn load(url: &str, spill: &str) {
    forbid_writing_files();
    let config = world();
    let mut options =
        ClientOptions::new(Credentials::service_account(config.username.clone(), config.secret.clone()));
    options.project_id = Some(config.project_id);
    options.base_urls = BaseUrls::single_host(url);
    let project = Project {
        client: Client::new(options).unwrap(),
        project_id: String::new(),
        region: String::new(),
        account: None,
        clock: ProjectClock::default(),
    };
    let mut memory = MemoryOptions::new().memory_limit(1 << 30).threads(2);
    if !spill.is_empty() {
        memory = memory.spill_to(spill);
    }
    let workspace = Workspace::builder().project(project).memory_with(&memory).unwrap();
    let result = workspace.fetch_events(&FetchEvents::days(config.first_day(), config.today)).unwrap();
    println!("\nlines {}", result.lines);
    let larger = "CREATE TABLE larger AS SELECT * FROM events, range(1000)";
    let error = workspace.sql(larger).unwrap_err();
    println!("query: {error}");
    assert!(matches!(error.kind(), ErrorKind::OutOfMemory { spilling: false, .. }), "{error:?}");
    let sorted =
        "SELECT count(*) FROM (SELECT * FROM events, range(1000) ORDER BY properties, range OFFSET 7)";
    assert!(matches!(workspace.sql(sorted).unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
    // What was there is there, and can be asked.
    assert_eq!(
        workspace.sql_scalar("SELECT count(*) FROM events").unwrap(),
        Value::Integer(result.rows.into())
    );
    assert!(workspace.sql_scalar("SELECT count(DISTINCT plan) FROM events_flat").unwrap().as_i64() > Some(1));
    println!("done");
}

fn run_child(test: &str, spill: &str, nowhere: &std::path::Path) -> Output {
    let simulator = Simulator::start(world()).unwrap();
    child(test, &simulator.base_url(), spill)
        .current_dir(nowhere)
        .env("HOME", nowhere)
        .env("TMPDIR", nowhere)
        .env_remove("XDG_CACHE_HOME")
        .output()
        .unwrap()
}

#[test]
fn memory_mode_opens_no_file_for_writing() {
    if let Some((url, spill)) = role() {
        return load(&url, &spill);
    }
    load_without_files();
}

#[test]
#[ignore = "the large set: just prove"]
fn prove_memory_mode() {
    let trials = setting("MP_PROVE_MEMORY", 10) as usize;
    (0..trials).for_each(|_| load_without_files());
    let note = format!("processes that the kernel would have ended, {EVENTS} events each");
    print_figure("memory mode: files opened for writing, bytes written", trials, 0, 0, &note);
}

fn load_without_files() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = run_child("no_files::memory_mode_opens_no_file_for_writing", "", nowhere.path());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{:?} {text} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains(&format!("\nlines {EVENTS}\n")) && text.contains("\ndone\n"), "{text}");
    assert!(text.contains("query: out of memory, and spilling to disk is off"), "{text}");
    assert_eq!(everything_below(nowhere.path()), Vec::<std::path::PathBuf>::new());
}

/// The proof proves something: with leave to spill, the same run is killed.
#[test]
fn the_proof_notices_a_process_that_spills() {
    if let Some((url, spill)) = role() {
        return load(&url, &spill);
    }
    let folder = tempfile::tempdir().unwrap();
    let spill = folder.path().to_str().unwrap();
    let output = run_child("no_files::the_proof_notices_a_process_that_spills", spill, folder.path());
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{}", String::from_utf8_lossy(&output.stdout));
}
