use super::log::{LONGEST_BLOCK, Log, WORD_HOLDS};
use super::*;
use crate::retry::Uptime;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::UNIX_EPOCH;

const EXPORT: ApiFamily = ApiFamily::Export;
const QUERY: ApiFamily = ApiFamily::Query;

/// A clock that sleeping moves, and that can be set.
#[derive(Clone, Debug, Default)]
pub(super) struct Hands {
    passed: Arc<AtomicU64>,
    /// By how much the time of day was set, in milliseconds.
    set: Arc<AtomicI64>,
}

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        let right = 1_700_000_000_000_u64 + self.passed.load(Ordering::SeqCst);
        UNIX_EPOCH + Duration::from_millis(right.saturating_add_signed(self.set.load(Ordering::SeqCst)))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.passed.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration, _: &CancelToken) {
        self.passed.fetch_add(duration.as_millis() as u64, Ordering::SeqCst);
    }

    fn uptime(&self) -> Option<Uptime> {
        Some(Uptime { run: 1, since: self.monotonic() })
    }
}

const LASTS: Duration = Duration::from_secs(180);

/// Takes a request and lets it leave.
fn take(budget: &RequestBudget, clock: &dyn Clock) {
    let ticket = budget.take(EXPORT, LASTS, clock, &CancelToken::new(), None, |_, _| {}).unwrap();
    while let Err(wait) = budget.leave(&ticket, clock) {
        clock.sleep(wait, &CancelToken::new());
    }
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
        times.push(clock.monotonic().as_millis() as u64);
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
                    take(&budget, &clock);
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
                    query(&budget, &clock).end();
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
    let hear = |said: Said| budget.heard(EXPORT, &said, &clock);
    hear(Said { retry_after: Some(Duration::from_secs(90)), ..Said::default() });
    let mut waits = Vec::new();
    budget
        .take(EXPORT, LASTS, &clock, &CancelToken::new(), None, |wait, why| waits.push((wait, why)))
        .unwrap();
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
    assert!((clock.monotonic() - start).as_secs() <= 23);
    let error = {
        hear(Said { retry_after: Some(Duration::from_secs(50)), ..Said::default() });
        let patience = Some(Duration::from_secs(5));
        budget.take(EXPORT, LASTS, &clock, &CancelToken::new(), patience, |_, _| {}).unwrap_err()
    };
    assert!(matches!(error.kind(), ErrorKind::BudgetExhausted { .. }) && !error.is_retryable());
}

#[test]
fn a_clock_that_was_set_back_blocks_nobody_for_long() {
    let sent = vec![5_000_000_000; 60];
    for ahead in [900, 4_000_000_000] {
        let mut log = Log { sent: sent.clone(), blocked_until: 9_000_000_000_000, ..Log::default() };
        let now = 5_000_000_000 - ahead;
        let at = |now| Moment::at(UNIX_EPOCH + Duration::from_millis(now));
        log.tidy(EXPORT, at(now));
        // Nothing was sent in the future: it was sent just now, and counts for its hour.
        assert_eq!(log.sent, [now; 60]);
        assert!(log.wait(EXPORT, now).0 <= LONGEST_BLOCK);
        log.tidy(EXPORT, at(now + LONGEST_BLOCK));
        assert_eq!(log.wait(EXPORT, now + LONGEST_BLOCK).0, 0);
    }
}

/// A virtual day with two processes that are started again 200 times each, and a time of day that is
/// set forth and back by seconds, hours and years: by the time that really passed, the server never
/// sees more than it allows.
#[test]
fn no_clock_and_no_restart_gives_more_than_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let open = || RequestBudget::in_folder(folder.path(), "12345").unwrap();
    let (clock, mut random) = (Hands::default(), 0x2545_f491_4f6c_dd1d_u64);
    let mut processes = [open(), open()];
    let (mut times, mut restarts, mut sets) = (Vec::new(), 0, 0);
    while clock.monotonic() < Duration::from_secs(24 * 3600) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let which = (random % 2) as usize;
        if random % 7 < 2 {
            processes[which] = open();
            restarts += 1;
        }
        if random % 5 == 0 {
            let far = [1_500, 3_600_000, 7_200_000, 86_400_000 * 400][(random >> 8) as usize % 4];
            clock.set.store(if random & 0x1_0000 == 0 { far } else { -far }, Ordering::SeqCst);
            sets += 1;
        }
        take(&processes[which], &clock);
        times.push(clock.monotonic().as_millis() as u64);
    }
    assert!(restarts >= 400 && sets >= 200, "{restarts} {sets}");
    assert_eq!((most_within(&times, 3_600_000), most_within(&times, 1_000)), (60, 3));
    // And what is allowed is there: none is lost to a clock.
    assert!(times.len() >= 24 * 60, "{}", times.len());
}

/// Where the machine does not say how long it has been running, a time of day that is set back gives
/// nothing away.
#[test]
fn a_time_of_day_alone_that_is_set_back_gives_no_more() {
    let mut log = Log::default();
    let at = |now: u64| Moment { wall: now, uptime: None };
    let mut granted = 0;
    // Ahead by two hours once, then right again.
    for now in [10_000_000_000, 10_000_000_000 - 7_200_000] {
        log.tidy(EXPORT, at(now));
        while log.wait(EXPORT, now).0 == 0 {
            log.count(now);
            granted += 1;
        }
    }
    assert_eq!(granted, 60);
}

#[test]
fn one_odd_word_of_a_server_does_not_last() {
    let day = Duration::from_secs(24 * 3600);
    for (odd, most) in [((1, day), 1), ((1_000_000, day), 1_000), ((1, Duration::from_secs(1)), 100)] {
        let (budget, clock) = (RequestBudget::in_memory(), Hands::default());
        budget.heard(EXPORT, &Said { policy: Some(odd), concurrent: Some(1), ..Said::default() }, &clock);
        assert_eq!(budget.state(EXPORT, clock.now()).limit, odd.0);
        let start = clock.monotonic();
        for _ in 0..most.min(2) {
            take(&budget, &clock);
        }
        assert!(clock.monotonic() - start <= Duration::from_millis(WORD_HOLDS), "{odd:?}");
        clock.sleep(Duration::from_millis(WORD_HOLDS), &CancelToken::new());
        let state = budget.state(EXPORT, clock.now());
        assert_eq!((state.limit, state.window), (60, Duration::from_secs(3600)), "{odd:?}");
    }
    // Once a day, says the header; the second request waits for an hour and not for a day.
    let (budget, clock) = (RequestBudget::in_memory(), Hands::default());
    budget.heard(EXPORT, &Said { policy: Some((1, day)), ..Said::default() }, &clock);
    take(&budget, &clock);
    assert_eq!(budget.state(EXPORT, clock.now()).next, Duration::from_millis(WORD_HOLDS));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever a file says: nothing panics, and nobody waits for longer than the longest block.
    #[test]
    fn no_file_makes_it_panic(
        sent in proptest::collection::vec(any::<u64>(), 0..70),
        numbers in proptest::array::uniform8(prop_oneof![Just(0), Just(u64::MAX), 1_600_000_000_000..1_800_000_000_000_u64]),
        limits in proptest::array::uniform3(prop_oneof![Just(0), Just(u32::MAX), 0..100_u32]),
        damage in proptest::option::of((0..400_usize, any::<u8>())),
    ) {
        let [blocked, window, told, left, places, wall, run, up] = numbers;
        let text = serde_json::json!({
            "sent": sent, "left_at": sent, "blocked_until": blocked,
            "told": {"limit": limits[0], "window": window, "until": told},
            "left": [limits[1], left], "places": [limits[2], places],
            "anchor": {"wall": wall, "uptime": [run, up]},
            "limit": limits[0], "window": window,
        });
        let mut bytes = text.to_string().into_bytes();
        if let Some((at, byte)) = damage {
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
        }
        let folder = tempfile::tempdir().unwrap();
        let budget = RequestBudget::in_folder(folder.path(), "1").unwrap();
        for entry in fs::read_dir(folder.path()).unwrap().flatten() {
            fs::write(entry.path(), &bytes).unwrap();
        }
        let clock = Hands::default();
        budget.state(EXPORT, clock.now());
        take(&budget, &clock);
        query(&budget, &clock).end();
        prop_assert!(clock.monotonic() <= Duration::from_millis(2 * LONGEST_BLOCK));
    }
}

/// Pipes, devices and files without end are no records of ours.
#[test]
fn nothing_but_a_small_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let budget = RequestBudget::in_folder(folder.path(), "1").unwrap();
    let clock = Hands::default();
    take(&budget, &clock);
    let path = fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path());
    let path = path.into_iter().find(|path| path.extension().is_some_and(|end| end == "json")).unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    assert_eq!(budget.state(EXPORT, clock.now()).used, 0);
    take(&budget, &clock);
    assert_eq!(budget.state(EXPORT, clock.now()).used, 1);
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

fn query(budget: &RequestBudget, clock: &dyn Clock) -> Ticket {
    budget.take(QUERY, LASTS, clock, &CancelToken::new(), None, |_, _| {}).unwrap()
}

#[test]
fn five_queries_run_at_once_and_the_sixth_waits_for_one_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let shared = || RequestBudget::in_folder(folder.path(), "12345").unwrap();
    // Two handles on the same files are as good as two processes: the locks belong to open files.
    for (one, other) in [(shared(), Some(shared())), (RequestBudget::in_memory(), None)] {
        let other = other.as_ref().unwrap_or(&one);
        let clock = Hands::default();
        let mut running: Vec<Ticket> = (0..5).map(|_| query(&one, &clock)).collect();
        assert!(other.place(QUERY, LASTS, &clock).is_err());
        // A cancelled wait ends, and takes nothing.
        let cancel = CancelToken::new();
        cancel.cancel();
        assert!(other.take(QUERY, LASTS, &clock, &cancel, None, |_, _| {}).is_err());
        running.pop().unwrap().end();
        let sixth = query(other, &clock);
        assert!(one.place(QUERY, LASTS, &clock).is_err());
        assert_eq!(one.state(QUERY, clock.now()).used, 6);
        // The server grants more to this project.
        one.heard(QUERY, &Said { concurrent: Some(7), ..Said::default() }, &clock);
        for ticket in [query(other, &clock), query(&one, &clock), sixth].into_iter().chain(running) {
            ticket.end();
        }
    }
}

/// The server goes on with a query whose client was killed or has hung up.
#[test]
fn a_query_that_was_broken_off_keeps_its_place_for_as_long_as_it_may_take() {
    let folder = tempfile::tempdir().unwrap();
    let shared = || RequestBudget::in_folder(folder.path(), "12345").unwrap();
    for (mut one, is_shared) in [(shared(), true), (RequestBudget::in_memory(), false)] {
        let clock = Hands::default();
        // What a killed process held: the system closes its files, and that is all.
        (0..5).for_each(|_| drop(query(&one, &clock)));
        if is_shared {
            one = shared();
        }
        let mut waits = Vec::new();
        let patience = Some(Duration::from_secs(5));
        let refused = one.take(QUERY, LASTS, &clock, &CancelToken::new(), patience, |_, _| {}).unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::BudgetExhausted { wait, .. } if *wait == LASTS));
        let ticket =
            one.take(QUERY, LASTS, &clock, &CancelToken::new(), None, |wait, why| waits.push((wait, why)));
        assert_eq!(waits, [(LASTS, "requests that were broken off may still be running")]);
        assert_eq!(clock.monotonic(), LASTS);
        // Of those that fail, only who got no answer leaves the server at work.
        let lost = ErrorKind::Timeout { phase: Phase::FirstByte, after: LASTS };
        let refused = ErrorKind::Connect { host: String::new() };
        for (kind, free) in [(refused, true), (lost, false), (ErrorKind::Cancelled, false)] {
            let held: Vec<Ticket> = (0..4).map(|_| query(&one, &clock)).collect();
            assert!(one.place(QUERY, LASTS, &clock).is_err());
            let mut held = held.into_iter();
            let last = held.next().unwrap();
            one.failed(&last, &kind);
            drop(last);
            assert_eq!(one.place(QUERY, LASTS, &clock).map(Place::free).is_ok(), free, "{kind:?}");
            held.for_each(|ticket| ticket.end());
            clock.sleep(LASTS, &CancelToken::new());
        }
        ticket.unwrap().end();
    }
}

#[test]
fn an_hour_of_queries_holds_no_place() {
    let (budget, clock) = (RequestBudget::in_memory(), Hands::default());
    (0..60).for_each(|_| query(&budget, &clock).end());
    let patience = Some(Duration::from_secs(60));
    let error = budget.take(QUERY, LASTS, &clock, &CancelToken::new(), patience, |_, _| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::BudgetExhausted { .. }), "{error}");
    let held: Vec<_> = std::iter::from_fn(|| budget.place(QUERY, LASTS, &clock).ok()).collect();
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
        budget.failed(&query(&budget, &clock), kind);
    }
    assert_eq!(budget.state(QUERY, clock.now()).used, 0);
    budget.failed(&query(&budget, &clock), &ErrorKind::BadRequest { status: 400, message: message() });
    assert_eq!(budget.state(QUERY, clock.now()).used, 1);
    let export = budget.take(EXPORT, LASTS, &clock, &CancelToken::new(), None, |_, _| {}).unwrap();
    budget.failed(&export, &free[0]);
    assert_eq!(budget.state(EXPORT, clock.now()).used, 1);
}

/// Two processes that share a project, for a day and more by a clock that goes as fast as it is slept
/// away. Each is started again now and then, also while it waits for its turn; and each sends when it may.
fn live_through(days: u64, restarts: u64) {
    let seed = std::env::var("MP_PROVE_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let folder = tempfile::tempdir().unwrap();
    let open = || RequestBudget::in_folder(folder.path(), "12345").unwrap();
    let (clock, mut processes) = (Hands::default(), [open(), open()]);
    let end = Duration::from_secs(86_400 * days);
    let each = end.as_millis() as u64 / restarts;
    let (mut times, mut restarted) = (Vec::new(), 0);
    while clock.monotonic() < end {
        let one = random() as usize % 2;
        if clock.monotonic().as_millis() as u64 / each > restarted {
            restarted += 1;
            if random().is_multiple_of(2) {
                // Killed between its turn and the request.
                let _ = processes[one].take(EXPORT, LASTS, &clock, &CancelToken::new(), None, |_, _| {});
            }
            processes[one] = open();
        }
        take(&processes[one], &clock);
        times.push(clock.monotonic().as_millis() as u64);
        clock.sleep(Duration::from_millis(random() % 400), &CancelToken::new());
    }
    let most = |window: u64, limit: usize| {
        let windows = times.iter().enumerate();
        windows
            .filter(|(at, time)| times[*at..].partition_point(|other| *other < **time + window) > limit)
            .count()
    };
    let exceeded = most(3_600_000, 60) + most(1_000, 3);
    println!(
        "\nfigure | the request budget over {days} days of two processes: never exceeded | trials {} | failures \
         {exceeded} | seed {seed} | requests, over {restarted} restarts",
        times.len()
    );
    assert_eq!(exceeded, 0);
    // It is used: a killed process costs a request at most.
    assert!(times.len() as u64 >= 24 * 60 * days - restarted, "{} requests", times.len());
}

#[test]
fn a_day_of_two_processes_and_their_restarts_stays_within_the_budget() {
    live_through(1, 20);
}

#[test]
#[ignore = "the large set: just prove"]
fn prove_budget() {
    live_through(2, 400);
}
