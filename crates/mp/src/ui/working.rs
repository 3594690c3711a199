//! That something takes long, and how far it is: for queries, which do not know how much there is to do.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::progress::{JSON_EVERY, TEXT_EVERY, time};
use super::{ProgressMode, Ui, counted};

/// Most queries are over before anybody wonders.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running query. What is shown of it ends with this, and nothing is shown of one that is soon over.
#[derive(Debug, Default)]
pub(crate) struct Working {
    rows: Arc<AtomicU64>,
    showing: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Working {
    pub(super) fn new(ui: &Ui) -> Self {
        let mode = match ui.talk.progress {
            ProgressMode::Auto if ui.is_quiet() || !io::stderr().is_terminal() => ProgressMode::None,
            mode => mode,
        };
        let rows = Arc::new(AtomicU64::new(0));
        if mode == ProgressMode::None {
            return Working { rows, showing: None };
        }
        let (end, ended) = mpsc::channel::<()>();
        let (ui, seen) = (ui.clone(), Arc::clone(&rows));
        let show = move || {
            let began = Instant::now();
            let rows = || seen.load(Ordering::Relaxed);
            let waited = |time: Duration| ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
            match mode {
                ProgressMode::Auto if waited(PATIENCE) => {
                    let bar = drawn(&ui);
                    loop {
                        bar.set_message(summary(began.elapsed(), rows()));
                        if !waited(Duration::from_millis(120)) {
                            return bar.finish_and_clear();
                        }
                    }
                }
                ProgressMode::Plain => {
                    while waited(TEXT_EVERY) {
                        ui.write(&summary(began.elapsed(), rows()));
                    }
                }
                ProgressMode::Json => {
                    while waited(JSON_EVERY) {
                        let seconds = began.elapsed().as_secs_f64();
                        let line = json!({"progress": {"elapsed_seconds": seconds, "rows": rows()}});
                        ui.write(&line.to_string());
                    }
                }
                _ => {}
            }
        };
        // Without a thread to show it, the query runs all the same.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show).ok();
        Working { rows, showing: thread.map(|thread| (end, thread)) }
    }

    /// So many rows more have come, and gone where they are wanted.
    pub(crate) fn rows(&self, more: usize) {
        self.rows.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// Shows nothing any more, for instance because a terminal is needed for the rows.
    pub(crate) fn end(&mut self) {
        if let Some((end, thread)) = self.showing.take() {
            drop(end);
            // It panics nowhere; and if it did, that would be told by then.
            let _ = thread.join();
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.end();
    }
}

fn drawn(ui: &Ui) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    ui.drawn.set(&bar);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn summary(elapsed: Duration, rows: u64) -> String {
    let rows = if rows > 0 { format!("  {}", counted(rows, "row")) } else { String::new() };
    // Full seconds, as a clock shows them.
    format!("running for {}{rows}", time(elapsed.saturating_sub(Duration::from_secs(1))))
}
