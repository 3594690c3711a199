use super::log::{LONGEST_BLOCK, Log};
use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const EXPORT: ApiFamily = ApiFamily::Export;
const QUERY: ApiFamily = ApiFamily::Query;

/// A clock that sleeping moves.
#[derive(Clone, Debug, Default)]
struct Hands(Arc<AtomicU64>);

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000) + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration, _: &CancelToken) {
        self.0.fetch_add(duration.as_millis() as u64, Ordering::SeqCst);
    }
}

fn take(budget: &RequestBudget, clock: &Hands) {
    budget.take(EXPORT, clock, &CancelToken::new(), None, |_, _| {}).unwrap();
}

/// Whether any window of the length has more than the limit.
fn most_within(times: &[u64], window: u64) -> usize {
    times
        .iter()
        .map(|start| times.iter().filter(|at| (*start..start + window).contains(at)).count())
        .max()
        .unwrap()
}

#[test]
fn no_window_has_more_than_its_limit() {
    let (budget, clock) = (RequestBudget::in_memory(), Hands::default());
    let mut times = Vec::new();
    for _ in 0..150 {
        take(&budget, &clock);
        times.push(clock.0.load(Ordering::SeqCst));
    }
    assert_eq!(most_within(&times, 1_000), 3);
    assert_eq!(most_within(&times, 3_600_000), 60);
    // And none is wasted: the 61st goes an hour after the first.
    assert_eq!(times[60], 3_600_000);
    let state = budget.state(EXPORT, clock.now());
    assert_eq!((state.limit, state.window), (60, Duration::from_secs(3600)));
}

#[test]
fn processes_share_one_budget_and_damage_heals() {
    let folder = std::env::temp_dir().join(format!("mp-budget-{}", std::process::id()));
    let open = || RequestBudget::in_folder(&folder, "12345").unwrap();
    // Two handles on one file, as two processes have; real time, real locks.
    let clock = crate::retry::SystemClock::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let budget = open();
                for _ in 0..4 {
                    budget.take(EXPORT, &clock, &CancelToken::new(), None, |_, _| {}).unwrap();
                }
            });
        }
    });
    let times = open().store(EXPORT).update(|log| log.sent.clone()).unwrap();
    assert!(most_within(&times, 1_000) <= 3, "{times:?}");
    assert_eq!(open().state(EXPORT, clock.now()).used, 8);
    assert_eq!(RequestBudget::in_folder(&folder, "other").unwrap().state(EXPORT, clock.now()).used, 0);
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        assert!(!entry.file_name().to_string_lossy().contains("12345"));
        fs::write(entry.path(), "{damaged").unwrap();
    }
    assert_eq!(open().state(EXPORT, clock.now()).used, 0);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn many_at_once_lose_no_count() {
    let folder = std::env::temp_dir().join(format!("mp-budget-many-{}", std::process::id()));
    let open = || RequestBudget::in_folder(&folder, "1").unwrap();
    let clock = crate::retry::SystemClock::new();
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                let budget = open();
                for _ in 0..11 {
                    budget.take(QUERY, &clock, &CancelToken::new(), None, |_, _| {}).unwrap();
                }
            });
        }
    });
    assert_eq!(open().state(QUERY, clock.now()).used, 55);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_servers_word_comes_first() {
    let (budget, clock) = (RequestBudget::in_memory(), Hands::default());
    let hear = |said: Said| budget.heard(EXPORT, &said, clock.now());
    hear(Said { retry_after: Some(Duration::from_secs(90)), ..Said::default() });
    let mut waits = Vec::new();
    budget.take(EXPORT, &clock, &CancelToken::new(), None, |wait, why| waits.push((wait, why))).unwrap();
    assert_eq!(waits, [(Duration::from_secs(90), "the server asked to wait")]);
    assert_eq!(clock.monotonic(), Duration::from_secs(90));
    // Two left, says the server, whatever we have counted.
    hear(Said { left: Some((2, Some(Duration::from_secs(600)))), ..Said::default() });
    take(&budget, &clock);
    take(&budget, &clock);
    take(&budget, &clock);
    assert_eq!(clock.monotonic(), Duration::from_secs(690));
    // Another window than ours.
    hear(Said { policy: Some((5, Duration::from_secs(10))), ..Said::default() });
    let start = clock.monotonic();
    (0..11).for_each(|_| take(&budget, &clock));
    assert!((clock.monotonic() - start).as_secs() <= 21);
    let error = {
        hear(Said { retry_after: Some(Duration::from_secs(50)), ..Said::default() });
        budget.take(EXPORT, &clock, &CancelToken::new(), Some(Duration::from_secs(5)), |_, _| {}).unwrap_err()
    };
    assert!(matches!(error.kind(), ErrorKind::BudgetExhausted { .. }) && !error.is_retryable());
}

#[test]
fn a_clock_that_was_set_back_blocks_nobody_for_long() {
    let log = Log { sent: vec![5_000_000_000; 60], blocked_until: 9_000_000_000_000, ..Log::new(EXPORT) };
    let mut later = log.clone();
    later.tidy(1_000_000_000);
    assert!(later.sent.is_empty());
    assert!(later.wait(1_000_000_000, 3).0 <= LONGEST_BLOCK);
    // Corrected by little, nothing is forgotten.
    let mut corrected = log;
    corrected.tidy(5_000_000_000 - 900);
    assert_eq!(corrected.sent, [5_000_000_000 - 900; 60]);
}

#[test]
fn families_are_counted_apart() {
    let (budget, clock) = (RequestBudget::in_memory(), Hands::default());
    take(&budget, &clock);
    let used = |family| budget.state(family, clock.now()).used;
    assert_eq!(ApiFamily::ALL.map(used), [1, 0, 0]);
    let lexicon = budget.state(ApiFamily::Lexicon, clock.now());
    assert_eq!((lexicon.limit, lexicon.window), (5, Duration::from_secs(60)));
}

fn query(budget: &RequestBudget, clock: &Hands) -> Ticket {
    budget.take(QUERY, clock, &CancelToken::new(), None, |_, _| {}).unwrap()
}

#[test]
fn five_queries_run_at_once_and_the_sixth_waits_for_one_to_end() {
    let folder = std::env::temp_dir().join(format!("mp-slots-{}", std::process::id()));
    let shared = || RequestBudget::in_folder(&folder, "12345").unwrap();
    // Two handles on the same files are as good as two processes: the locks belong to open files.
    for (one, other) in [(shared(), Some(shared())), (RequestBudget::in_memory(), None)] {
        let other = other.as_ref().unwrap_or(&one);
        let clock = Hands::default();
        let mut running: Vec<Ticket> = (0..5).map(|_| query(&one, &clock)).collect();
        assert!(other.slot(QUERY).is_none());
        // A cancelled wait ends, and takes nothing.
        let cancel = CancelToken::new();
        cancel.cancel();
        assert!(other.take(QUERY, &clock, &cancel, None, |_, _| {}).is_err());
        running.pop();
        let sixth = query(other, &clock);
        assert!(one.slot(QUERY).is_none());
        assert_eq!(one.state(QUERY, clock.now()).used, 6);
        // The server grants more to this project.
        one.heard(QUERY, &Said { concurrent: Some(7), ..Said::default() }, clock.now());
        drop((query(other, &clock), query(&one, &clock), sixth));
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_hour_of_queries_holds_no_place() {
    let (budget, clock) = (RequestBudget::in_memory(), Hands::default());
    (0..60).for_each(|_| drop(query(&budget, &clock)));
    let patience = Some(Duration::from_secs(60));
    let error = budget.take(QUERY, &clock, &CancelToken::new(), patience, |_, _| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::BudgetExhausted { .. }), "{error}");
    let held: Vec<_> = std::iter::from_fn(|| budget.slot(QUERY)).collect();
    assert_eq!(held.len(), 5);
}

#[test]
fn refusals_that_mixpanel_does_not_count_are_given_back() {
    let (budget, clock) = (RequestBudget::in_memory(), Hands::default());
    let message = String::new;
    let free = [
        ErrorKind::Authentication { status: 401, message: message() },
        ErrorKind::PlanLimit { message: message() },
        ErrorKind::RateLimited { retry_after: None, message: message() },
    ];
    for kind in &free {
        budget.refused(query(&budget, &clock), kind);
    }
    assert_eq!(budget.state(QUERY, clock.now()).used, 0);
    budget.refused(query(&budget, &clock), &ErrorKind::BadRequest { status: 400, message: message() });
    assert_eq!(budget.state(QUERY, clock.now()).used, 1);
    let export = budget.take(EXPORT, &clock, &CancelToken::new(), None, |_, _| {}).unwrap();
    budget.refused(export, &free[0]);
    assert_eq!(budget.state(EXPORT, clock.now()).used, 1);
}
