//! The moment at which a request leaves: when its connection stands, and not when it begins to be made.
//!
//! A layer around what makes connections holds a finished one until its request may leave. Which
//! request that is, the task knows that makes both.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tower_layer::Layer;
use tower_service::Service;

use super::{RequestBudget, Ticket};
use crate::cancel::CancelToken;
use crate::retry::Clock;

/// The longest that a connection is held. Servers close what says nothing.
const LONGEST_HELD: Duration = Duration::from_secs(5);

tokio::task_local! {
    static DEPARTURE: Arc<Departure>;
}

/// A request that is about to leave.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) budget: Arc<RequestBudget>,
    pub(crate) ticket: Ticket,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cancel: CancelToken,
    left: AtomicBool,
    missed: AtomicBool,
}

impl Departure {
    pub(crate) fn new(
        budget: Arc<RequestBudget>,
        ticket: Ticket,
        clock: Arc<dyn Clock>,
        cancel: CancelToken,
    ) -> Arc<Self> {
        let (left, missed) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { budget, ticket, clock, cancel, left, missed })
    }

    /// Whether it was sent, as far as anybody knows.
    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    /// Whether it was not sent, because in the meantime the server asked to wait.
    pub(crate) fn is_missed(&self) -> bool {
        self.missed.load(Ordering::SeqCst)
    }

    /// Makes the request of `sending`, which leaves when this one may.
    pub(crate) async fn with<T>(departure: Option<&Arc<Self>>, sending: impl Future<Output = T>) -> T {
        match departure {
            Some(departure) => DEPARTURE.scope(departure.clone(), sending).await,
            None => sending.await,
        }
    }

    /// Waits for the moment. False when it is too far away.
    fn wait(&self) -> bool {
        let mut held = Duration::ZERO;
        loop {
            let Err(wait) = self.budget.leave(&self.ticket, &*self.clock) else {
                self.left.store(true, Ordering::SeqCst);
                return true;
            };
            held += wait;
            if held > LONGEST_HELD || self.cancel.is_cancelled() {
                self.missed.store(true, Ordering::SeqCst);
                return false;
            }
            self.clock.sleep(wait, &self.cancel);
        }
    }
}

/// The layer. It also limits the time that a connection may take: the HTTP client's own limit would
/// include the time that it is held.
#[derive(Clone, Debug)]
pub(crate) struct Departures {
    pub(crate) connect: Duration,
}

impl<S> Layer<S> for Departures {
    type Service = Held<S>;

    fn layer(&self, inner: S) -> Held<S> {
        Held { inner, connect: self.connect }
    }
}

/// What makes connections, and holds them.
#[derive(Clone, Debug)]
pub(crate) struct Held<S> {
    inner: S,
    connect: Duration,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = std::pin::Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

impl<S, R> Service<R> for Held<S>
where
    S: Service<R, Error = Failure>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = Failure;
    type Future = Connecting<S::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (connecting, limit) = (self.inner.call(request), self.connect);
        Box::pin(async move {
            let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
            let connection = timeout(limit, connecting).await.map_err(timed_out)??;
            if let Ok(departure) = DEPARTURE.try_with(Arc::clone) {
                // The records are files under a lock, and clocks wait as threads do. Where the system
                // gives no thread, tokio's own panic.
                let (sender, receiver) = oneshot::channel();
                let wait = move || {
                    // Whoever waited may have gone.
                    let _ = sender.send(departure.wait());
                };
                std::thread::Builder::new()
                    .name("mixpanel-turn".to_owned())
                    .spawn(wait)
                    .map_err(|error| io::Error::new(io::ErrorKind::OutOfMemory, error))?;
                if !receiver.await.unwrap_or(false) {
                    return Err("the server asked to wait before the request left".into());
                }
            }
            Ok(connection)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::Ready;
    use std::sync::Mutex;

    use super::super::tests::Hands;
    use super::super::{ApiFamily, Said};
    use super::*;

    /// Connects at once.
    #[derive(Clone)]
    struct Connector;

    impl Service<()> for Connector {
        type Response = ();
        type Error = Failure;
        type Future = Ready<Result<(), Failure>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            std::future::ready(Ok(()))
        }
    }

    fn taken(budget: &Arc<RequestBudget>, clock: &Hands) -> Arc<Departure> {
        let (family, cancel) = (ApiFamily::Export, CancelToken::new());
        let ticket = budget.take(family, Duration::ZERO, clock, &cancel, None, |_, _| {}).unwrap();
        Departure::new(budget.clone(), ticket, Arc::new(clock.clone()), cancel)
    }

    async fn connect(departure: &Arc<Departure>) -> Result<(), Failure> {
        let mut held = Departures { connect: Duration::from_secs(10) }.layer(Connector);
        Departure::with(Some(departure), held.call(())).await
    }

    #[test]
    fn a_connection_is_held_until_its_request_may_leave() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (budget, clock) = (Arc::new(RequestBudget::in_memory()), Hands::default());
        // All of them are on their way before the first handshake is done.
        let departures: Vec<_> = (0..9).map(|_| taken(&budget, &clock)).collect();
        let times = Mutex::new(Vec::new());
        runtime.block_on(async {
            for departure in &departures {
                connect(departure).await.unwrap();
                assert!(departure.has_left());
                times.lock().unwrap().push(clock.monotonic().as_millis() as u64);
            }
        });
        assert_eq!(*times.lock().unwrap(), [0, 0, 0, 1_100, 1_100, 1_100, 2_200, 2_200, 2_200]);
    }

    #[test]
    fn what_the_server_asked_meanwhile_is_heard() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (budget, clock) = (Arc::new(RequestBudget::in_memory()), Hands::default());
        let departure = taken(&budget, &clock);
        let said = Said { retry_after: Some(Duration::from_secs(90)), ..Said::default() };
        budget.heard(ApiFamily::Export, &said, &clock);
        assert!(runtime.block_on(connect(&departure)).is_err());
        assert!(departure.is_missed() && !departure.has_left());
        budget.give_back(&departure.ticket);
        assert_eq!(budget.state(ApiFamily::Export, clock.now()).used, 0);
    }
}
