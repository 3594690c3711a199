//! A private place to run `mp` in, and what came of it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mixpanel_sim::{Limits, SimConfig, Simulator};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// As long as anything may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program that is tested: the one of this build, or another that behaves alike, such as the
/// Python package's.
pub(crate) fn mp() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        std::env::var_os("MP_TEST_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_mp").into(), PathBuf::from)
    })
}

/// An empty home, an empty folder for temporary files, an empty folder to be in.
pub(crate) struct Place {
    root: TempDir,
    env: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["home", "tmp", "here"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        Place { root, env: Vec::new() }
    }

    /// A place whose environment leads to this simulator.
    pub(crate) fn at(simulator: &Simulator) -> Self {
        let config = simulator.config();
        Place::new()
            .with("MP_BASE_URL", simulator.base_url())
            .with("MP_PROJECT_ID", config.project_id)
            .with("MP_USERNAME", &config.username)
            .with("MP_SECRET", &config.secret)
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// A place with a configuration file, as `mp auth login` would make it.
    pub(crate) fn config(self, text: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let file = self.path("home/.config/mp/config.toml");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        for folder in ["home", "home/.config", "home/.config/mp"] {
            fs::set_permissions(self.path(folder), fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A file in the folder where `mp` runs.
    pub(crate) fn here(&self, name: &str) -> PathBuf {
        self.path("here").join(name)
    }

    pub(crate) fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = self.program(mp());
        command.args(args);
        command
    }

    /// Any program, in the same surroundings.
    pub(crate) fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.surround(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        listening(&mut command);
        command
    }

    /// Gives a command the environment of this place, and no other.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.path("here"));
    }

    pub(crate) fn start(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Running {
        Running::start(self.command(args))
    }

    #[track_caller]
    pub(crate) fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        Run::of(self.command(args).output().unwrap())
    }

    /// Runs a command that must succeed; gives its standard output.
    #[track_caller]
    pub(crate) fn ok(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{run:?}");
        run.stdout
    }

    /// The first cell of a query's result.
    #[track_caller]
    pub(crate) fn scalar(&self, db: &str, query: &str) -> Value {
        let text = self.ok(["sql", "--db", db, "--format", "jsonl", query]);
        let row: serde_json::Map<String, Value> = serde_json::from_str(text.trim()).unwrap();
        row.into_iter().next().unwrap().1
    }

    /// Every file and folder below the three folders, by path.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                found.insert(path.strip_prefix(root).unwrap().display().to_string());
                if path.is_dir() {
                    walk(&path, root, found);
                }
            }
        }
        let mut found = BTreeSet::new();
        for folder in ["home", "tmp", "here"] {
            walk(&self.path(folder), self.root.path(), &mut found);
        }
        found
    }
}

/// How a run of `mp` ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks that it failed as told: the exit code, words of the message, at most three lines, and
    /// nothing on standard output.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        // Clap shows the usage below its errors.
        assert!(code == 2 || self.stderr.lines().count() <= 3, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in {self:?}");
        }
    }
}

/// A small world, without limits.
pub(crate) fn small_world() -> Simulator {
    simulator(3, 60)
}

pub(crate) fn simulator(days: u32, events_per_day: u32) -> Simulator {
    let limits = Limits::off();
    Simulator::start(SimConfig { days, events_per_day, limits, ..SimConfig::default() }).unwrap()
}

/// The arguments that fetch all days of a simulator into `here/data.duckdb`.
pub(crate) fn fetch_all(simulator: &Simulator) -> Vec<String> {
    let world = simulator.world();
    let (from, to) = (world.first_day().to_string(), world.last_day().to_string());
    ["fetch", "events", "--from", &from, "--to", &to, "--db", DB].map(str::to_owned).to_vec()
}

pub(crate) const DB: &str = "data.duckdb";

/// Distinct events of a simulator's world.
pub(crate) fn unique_events(simulator: &Simulator) -> u64 {
    simulator.world().days().iter().map(|day| day.unique()).sum()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Lets the program be stopped by signals even if these tests were started with
/// signals ignored, as a shell does with what runs in the background.
pub(crate) fn listening(command: &mut Command) {
    use nix::sys::signal::{SigHandler, signal};
    use std::os::unix::process::CommandExt;
    let restore = || {
        for stop in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            // SAFETY: the default disposition has no handler that could be unsafe.
            unsafe { signal(stop, SigHandler::SigDfl) }?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only `signal` is called, which is allowed there.
    unsafe { command.pre_exec(restore) };
}

/// A running process, killed when it is forgotten.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Running(Some(command.spawn().unwrap()))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(self.id() as i32), signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child().try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Run {
        // Beyond what a pipe holds, a process waits until somebody reads.
        let stdout = drained(self.child().stdout.take());
        let stderr = drained(self.child().stderr.take());
        until("the end of the process", || self.has_ended().then_some(()));
        let status = self.0.take().unwrap().wait().unwrap();
        Run::of(Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() })
    }
}

/// Reads all that comes out of a pipe, on a thread of its own.
fn drained(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut all).unwrap();
        }
        all
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
