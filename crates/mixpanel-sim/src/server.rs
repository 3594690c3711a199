//! Starting, asking and stopping a simulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::sync::oneshot;

use crate::app::{App, RequestLog, router};
use crate::config::SimConfig;
use crate::error::SimError;
use crate::faults::ScriptedFault;
use crate::world::World;

/// A running simulator. It serves from a thread of its own until it is dropped.
///
/// ```
/// use mixpanel_sim::{Fault, SimConfig, Simulator};
///
/// let simulator = Simulator::start(SimConfig { days: 7, events_per_day: 50, ..SimConfig::default() })?;
/// assert!(simulator.export_url().starts_with("http://127.0.0.1:"));
///
/// // The next export request will see its connection dropped half-way.
/// simulator.fault(Fault::CutConnection { fraction: 0.5 });
/// # Ok::<(), mixpanel_sim::SimError>(())
/// ```
#[derive(Debug)]
pub struct Simulator {
    app: Arc<App>,
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts on a free port of the loopback interface.
    pub fn start(config: SimConfig) -> Result<Simulator, SimError> {
        Simulator::start_on(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts on an address; port 0 takes a free one.
    pub fn start_on(config: SimConfig, addr: SocketAddr) -> Result<Simulator, SimError> {
        let threads = config.threads.max(1);
        let app = Arc::new(App::new(config)?);
        let bind = |source| SimError::Bind { addr, source };
        let listener = std::net::TcpListener::bind(addr).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("mixpanel-sim")
            .enable_all()
            .build()
            .map_err(|source| SimError::Runtime { source })?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(bind)?
        };
        let (stop, stopped) = oneshot::channel();
        let router = router(Arc::clone(&app));
        let serve = move || {
            runtime.block_on(async {
                // Small chunks must leave at once, or bodies would not arrive as they were cut.
                let listener = listener.tap_io(|stream| {
                    let _ = stream.set_nodelay(true);
                });
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
            // Open connections and running work end here, not when they like.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new()
            .name("mixpanel-sim".to_owned())
            .spawn(serve)
            .map_err(|source| SimError::Runtime { source })?;
        Ok(Simulator { app, addr, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The base below which the export endpoint is: the server's URL and `/api/2.0`.
    pub fn export_url(&self) -> String {
        format!("{}/api/2.0", self.base_url())
    }

    /// The base below which the Query API is.
    pub fn query_url(&self) -> String {
        format!("{}/api/query", self.base_url())
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it was started with.
    pub fn config(&self) -> &SimConfig {
        &self.app.config
    }

    /// The data it serves.
    pub fn world(&self) -> &World {
        &self.app.events.world
    }

    /// Adds events to the project's data, all or none. Each is one line, an object with `event` and `properties`,
    /// just as exports are to give it back; queries count it, too.
    pub fn add_events<L: AsRef<[u8]>>(&self, lines: &[L]) -> Result<(), String> {
        self.app.events.add(lines)
    }

    /// How many queries the hourly limit has counted in the last hour.
    pub fn queries_last_hour(&self) -> usize {
        self.app.query_limiter.usage(self.app.clock.elapsed()).0
    }

    /// The `data_group_id` of a group key. The profiles of the companies are those of the key `company_id`.
    pub fn data_group_id(&self, group_key: &str) -> u64 {
        crate::profiles::group_id(group_key)
    }

    /// Queues a fault for the requests to come, those for exports unless it names another endpoint.
    pub fn fault(&self, fault: impl Into<ScriptedFault>) {
        self.app.faults.push(fault.into());
    }

    /// Forgets the faults that still wait.
    pub fn clear_faults(&self) {
        self.app.faults.clear();
    }

    /// How many scripted faults still wait for a request.
    pub fn waiting_faults(&self) -> usize {
        self.app.faults.len()
    }

    /// All requests answered so far, except those to the control endpoints, in the order of their answers.
    pub fn requests(&self) -> Vec<RequestLog> {
        self.app.requests()
    }

    /// The time of the virtual clock.
    pub fn now(&self) -> jiff::Timestamp {
        self.app.clock.now()
    }

    /// Moves the virtual clock forward.
    pub fn advance(&self, by: Duration) {
        self.app.clock.advance(by);
    }

    /// Stops the server; connections that are open are dropped.
    pub fn shutdown(self) {
        drop(self);
    }

    /// Serves until the process is ended.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
