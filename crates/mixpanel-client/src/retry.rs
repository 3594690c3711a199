//! The one retry loop, and the arithmetic of its waits.
//!
//! The loop serves two levels: one HTTP request until its first byte, and a whole chunk of an
//! export. An error that left the inner loop is no longer retryable for the outer one, so
//! attempts do not multiply. The server's own word (`Retry-After`) comes before our arithmetic.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Phase, Result};

/// How often and how long to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first one.
    pub max_retries: u32,
    /// The wait after the first failure. It doubles with every further failure. Mixpanel advises
    /// 2 s, doubling to 60 s (import reference).
    pub base: Duration,
    /// The longest wait of our own choosing.
    pub cap: Duration,
    /// The wait after the first refusal for too many requests, if the server does not name one.
    /// It is longer, because the export API counts requests by the hour and leaves out
    /// `Retry-After` at times.
    pub rate_limit_base: Duration,
    /// The longest wait of our own choosing after such a refusal.
    pub rate_limit_cap: Duration,
    /// The longest `Retry-After` that is obeyed. Beyond it, the error is returned and says when
    /// to come back.
    pub max_retry_after: Duration,
    /// No attempt begins later than this after the first one began.
    pub max_elapsed: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 5,
            base: Duration::from_secs(2),
            cap: Duration::from_secs(60),
            rate_limit_base: Duration::from_secs(30),
            rate_limit_cap: Duration::from_secs(300),
            max_retry_after: Duration::from_secs(10 * 60),
            max_elapsed: Duration::from_secs(30 * 60),
        }
    }
}

impl RetryPolicy {
    /// Never tries again.
    pub fn never() -> Self {
        Self { max_retries: 0, ..Self::default() }
    }

    /// Decides the wait before the next attempt, or `None` to give up.
    ///
    /// `retries` have been made so far, `elapsed` has passed since the first attempt began, and
    /// `random` lies in `0.0..1.0`. Half of each wait of our own is random, so that clients that
    /// failed together do not come back together, and none comes back at once. To a wait that the
    /// server asked for, up to [`base`](Self::base) is added for the same reason; it is never
    /// shortened.
    pub fn wait(&self, error: &Error, retries: u32, elapsed: Duration, random: f64) -> Option<Duration> {
        if retries >= self.max_retries || !error.is_retryable() {
            return None;
        }
        // Who was silent for as long as we would wait gets one more chance, not one for each retry.
        if let ErrorKind::Timeout { phase: Phase::FirstByte, after } = error.kind()
            && elapsed >= after.mul_f64(1.5)
        {
            return None;
        }
        // An answer of 0 or a date in the past says nothing about when to come back.
        let wait = match error.retry_after().filter(|wait| !wait.is_zero()) {
            Some(asked) if asked > self.max_retry_after => return None,
            Some(asked) => asked.saturating_add(self.base.mul_f64(random)),
            None => self.backoff(error.kind(), retries).mul_f64(0.5 + 0.5 * random),
        };
        (elapsed.saturating_add(wait) <= self.max_elapsed).then_some(wait)
    }

    fn backoff(&self, kind: &ErrorKind, retries: u32) -> Duration {
        let (base, cap) = match kind {
            ErrorKind::RateLimited { .. } => (self.rate_limit_base, self.rate_limit_cap),
            _ => (self.base, self.cap),
        };
        base.saturating_mul(2_u32.saturating_pow(retries)).min(cap)
    }
}

/// Time, as an argument: tests pass one that does not really wait.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time of day, UTC, to read dates in `Retry-After`.
    fn now(&self) -> SystemTime;
    /// Time since some fixed moment; it never runs backwards.
    fn monotonic(&self) -> Duration;
    /// Waits, or returns early when `cancel` is cancelled.
    fn sleep(&self, duration: Duration, cancel: &CancelToken);
    /// How long the machine has been running, asleep or not: time that goes on when the time of day
    /// is set, and is the same for all processes. `None` where that is not known.
    fn uptime(&self) -> Option<Uptime> {
        None
    }
}

/// How long a machine has been running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uptime {
    /// Tells this run of the machine from others.
    pub run: u64,
    /// How long it lasts so far.
    pub since: Duration,
}

/// The computer's own clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Makes a clock.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration, cancel: &CancelToken) {
        cancel.wait(duration);
    }

    #[cfg(target_os = "linux")]
    fn uptime(&self) -> Option<Uptime> {
        static RUN: OnceLock<Option<u64>> = OnceLock::new();
        let name = || std::fs::read("/proc/sys/kernel/random/boot_id").ok();
        let run = (*RUN.get_or_init(|| name().map(|name| xxhash_rust::xxh3::xxh3_64(&name))))?;
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Some(Uptime { run, since: since.try_into().ok()? })
    }
}

/// Random numbers for waits. Equal seeds give equal numbers; clones continue one sequence.
#[derive(Debug, Clone)]
pub struct Jitter {
    state: Arc<AtomicU64>,
}

impl Jitter {
    /// Starts a sequence.
    pub fn seeded(seed: u64) -> Self {
        Self { state: Arc::new(AtomicU64::new(seed)) }
    }

    /// The next number, in `0.0..1.0` (SplitMix64, which needs no more state than a counter).
    fn next(&self) -> f64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The upper 53 bits fill the mantissa.
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What a [`RetryObserver`] is told before each wait.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RetryNotice<'a> {
    /// Why the last attempt failed.
    pub error: &'a Error,
    /// How many attempts were made so far.
    pub attempts: u32,
    /// How long we wait now.
    pub wait: Duration,
}

/// Is told before each wait, so that a front end can show it.
#[derive(Clone)]
pub struct RetryObserver(Arc<dyn Fn(RetryNotice<'_>) + Send + Sync>);

impl RetryObserver {
    /// Wraps a function. It is called on the thread that made the request.
    pub fn new(function: impl Fn(RetryNotice<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    pub(crate) fn tell(&self, error: &Error, attempts: u32, wait: Duration) {
        (self.0)(RetryNotice { error, attempts, wait });
    }
}

impl fmt::Debug for RetryObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RetryObserver")
    }
}

thread_local! {
    /// How long this thread has waited for the request budget.
    static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Takes note that this thread waited for its turn: that is no time in which a request failed.
pub(crate) fn waited_for_turn(time: Duration) {
    WAITED.set(WAITED.get() + time);
}

/// The loop, with all it depends on.
#[derive(Debug, Clone)]
pub struct Retrier {
    /// How often and how long.
    pub policy: RetryPolicy,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub jitter: Jitter,
    /// Ends the loop and its waits.
    pub cancel: CancelToken,
    /// Is told before each wait.
    pub observer: Option<RetryObserver>,
}

impl Retrier {
    /// Calls `operation` until it succeeds, fails for good, or the policy is exhausted.
    ///
    /// # Errors
    ///
    /// The last error of `operation`, with the number of attempts, and no longer retryable; or
    /// [`ErrorKind::Cancelled`].
    pub fn run<T>(&self, mut operation: impl FnMut() -> Result<T>) -> Result<T> {
        let (start, waited) = (self.clock.monotonic(), WAITED.get());
        let mut retries = 0;
        loop {
            if self.cancel.is_cancelled() {
                return Err(ErrorKind::Cancelled.into());
            }
            let error = match operation() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let elapsed = self.clock.monotonic().saturating_sub(start);
            let elapsed = elapsed.saturating_sub(WAITED.get() - waited);
            let Some(wait) = self.policy.wait(&error, retries, elapsed, self.jitter.next()) else {
                return Err(error.after_attempts(retries + 1).give_up());
            };
            retries += 1;
            if let Some(observer) = &self.observer {
                observer.tell(&error, retries, wait);
            }
            self.clock.sleep(wait, &self.cancel);
        }
    }
}

/// Reads a `Retry-After` header: seconds, or an HTTP date seen from `now`. A date in the past
/// gives zero; anything else that makes no sense gives `None`.
pub(crate) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean "not in this life", and the caller's ceiling decides.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const SECOND: Duration = Duration::from_secs(1);

    fn server() -> Error {
        ErrorKind::Server { status: 503, message: String::new(), retry_after: None }.into()
    }

    fn limited(retry_after: Option<u64>) -> Error {
        let retry_after = retry_after.map(Duration::from_secs);
        ErrorKind::RateLimited { retry_after, message: String::new() }.into()
    }

    /// Records waits and passes the time without waiting.
    #[derive(Debug, Default)]
    struct FakeClock(Mutex<Vec<Duration>>);

    impl Clock for FakeClock {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
        fn monotonic(&self) -> Duration {
            self.0.lock().unwrap().iter().sum()
        }
        fn sleep(&self, duration: Duration, _: &CancelToken) {
            self.0.lock().unwrap().push(duration);
        }
    }

    fn retrier(policy: RetryPolicy) -> (Retrier, Arc<FakeClock>) {
        let clock = Arc::new(FakeClock::default());
        let cancel = CancelToken::new();
        let jitter = Jitter::seeded(1);
        (Retrier { policy, clock: clock.clone(), jitter, cancel, observer: None }, clock)
    }

    #[test]
    fn backoff_doubles_to_its_cap() {
        let policy =
            RetryPolicy { max_retries: u32::MAX, max_elapsed: Duration::MAX, ..RetryPolicy::default() };
        let waits =
            |random| [0, 1, 2, 4, 5, 40].map(|n| policy.wait(&server(), n, Duration::ZERO, random).unwrap());
        assert_eq!(waits(0.0), [1, 2, 4, 16, 30, 30].map(Duration::from_secs));
        assert_eq!(waits(1.0), [2, 4, 8, 32, 60, 60].map(Duration::from_secs));
    }

    #[test]
    fn waiting_for_a_turn_is_not_failing() {
        let (retrier, clock) = retrier(RetryPolicy::default());
        let mut turns = 0;
        let outcome = retrier.run(|| {
            turns += 1;
            if turns == 1 {
                // An hour until the budget has room, then an error that is worth another try.
                let hour = Duration::from_secs(3600);
                clock.sleep(hour, &CancelToken::new());
                waited_for_turn(hour);
                return Err(server());
            }
            Ok(turns)
        });
        assert_eq!(outcome.unwrap(), 2);
    }

    /// Ten minutes of silence are waited for twice, not six times.
    #[test]
    fn silence_is_waited_for_once_more() {
        let (retrier, clock) = retrier(RetryPolicy::default());
        let after = Duration::from_secs(600);
        let mut attempts = 0;
        let outcome: Result<()> = retrier.run(|| {
            attempts += 1;
            // A refusal that comes at once takes nothing from it.
            if attempts == 1 {
                return Err(server());
            }
            clock.sleep(after, &CancelToken::new());
            Err(ErrorKind::Timeout { phase: Phase::FirstByte, after }.into())
        });
        assert_eq!((attempts, outcome.unwrap_err().attempts()), (3, 3));
        assert!(clock.monotonic() < Duration::from_secs(1_210));
    }

    #[test]
    fn rate_limit_without_a_date_waits_longer() {
        let policy = RetryPolicy::default();
        let waits = [0, 1, 2, 3, 4].map(|n| policy.wait(&limited(None), n, Duration::ZERO, 1.0).unwrap());
        assert_eq!(waits, [30, 60, 120, 240, 300].map(Duration::from_secs));
    }

    #[test]
    fn retry_after_is_a_lower_bound_with_a_ceiling() {
        let policy = RetryPolicy::default();
        let wait = |asked, random| policy.wait(&limited(Some(asked)), 0, Duration::ZERO, random);
        assert_eq!(wait(90, 0.0), Some(90 * SECOND));
        assert_eq!(wait(90, 0.5), Some(91 * SECOND));
        assert_eq!(wait(600, 0.0), Some(600 * SECOND));
        assert_eq!(wait(601, 0.0), None);
        assert_eq!(wait(1_000_000_000, 0.0), None);
        assert_eq!(wait(0, 0.0), Some(15 * SECOND));
    }

    #[test]
    fn elapsed_time_ends_the_loop() {
        let policy = RetryPolicy { max_elapsed: 100 * SECOND, ..RetryPolicy::default() };
        assert_eq!(policy.wait(&limited(Some(60)), 0, 40 * SECOND, 0.0), Some(60 * SECOND));
        assert_eq!(policy.wait(&limited(Some(60)), 0, 41 * SECOND, 0.0), None);
        assert_eq!(policy.wait(&server(), 0, Duration::MAX, 0.0), None);
    }

    #[test]
    fn loop_stops_at_the_cap_and_does_not_nest() {
        let (retrier, clock) = retrier(RetryPolicy { max_retries: 3, ..RetryPolicy::default() });
        let mut calls = 0;
        let error = retrier
            .run(|| {
                retrier.run(|| -> Result<()> {
                    calls += 1;
                    Err(server())
                })
            })
            .unwrap_err();
        assert_eq!(calls, 4);
        assert_eq!(clock.0.lock().unwrap().len(), 3);
        assert!(error.is_transient() && !error.is_retryable());
    }

    #[test]
    fn permanent_errors_are_tried_once() {
        let (retrier, clock) = retrier(RetryPolicy::default());
        let kind = ErrorKind::BadRequest { status: 404, message: String::new() };
        let error = retrier.run(|| -> Result<()> { Err(kind.clone().into()) }).unwrap_err();
        assert_eq!(error.attempts(), 1);
        assert!(clock.0.lock().unwrap().is_empty());
    }

    #[test]
    fn observer_sees_each_wait() {
        let (mut retrier, clock) = retrier(RetryPolicy::default());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        retrier.observer = Some(RetryObserver::new(move |notice| {
            log.lock().unwrap().push((notice.attempts, notice.wait));
        }));
        let mut left = 2;
        let outcome = retrier.run(|| {
            if left == 0 {
                return Ok(7);
            }
            left -= 1;
            Err(server())
        });
        assert_eq!(outcome.unwrap(), 7);
        let waits = clock.0.lock().unwrap().clone();
        assert_eq!(*seen.lock().unwrap(), [(1, waits[0]), (2, waits[1])]);
    }

    #[test]
    fn cancel_ends_a_real_wait_at_once() {
        let (mut retrier, _) = retrier(RetryPolicy::default());
        retrier.clock = Arc::new(SystemClock::new());
        let remote = retrier.cancel.clone();
        let start = Instant::now();
        let error = retrier
            .run(|| -> Result<()> {
                let remote = remote.clone();
                std::thread::spawn(move || remote.cancel());
                Err(limited(Some(500)))
            })
            .unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Cancelled);
        assert!(start.elapsed() < 5 * SECOND);
    }

    #[test]
    fn jitter_is_uniform_and_repeatable() {
        let draw = |seed| {
            let jitter = Jitter::seeded(seed);
            (0..1000).map(|_| jitter.next()).collect::<Vec<_>>()
        };
        let numbers = draw(42);
        assert_eq!(numbers, draw(42));
        assert_ne!(numbers, draw(43));
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
        let mean = numbers.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }

    #[test]
    fn reads_retry_after() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let read = |text| parse_retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(read("120"), Some(120));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("1000000000"), Some(1_000_000_000));
        assert_eq!(read("99999999999999999999999"), Some(u64::from(u32::MAX)));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        for nonsense in ["", "-1", "1.5", "soon", "+3"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
