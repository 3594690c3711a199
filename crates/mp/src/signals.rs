//! Ctrl-C and its relatives: stop what is running, let it clean up, and leave.
//!
//! The signals are blocked in every thread and one thread waits for them, so no code runs inside a
//! signal handler. The first signal cancels downloads and interrupts SQL; the program then ends the
//! usual way, with rollbacks and destructors. A second signal, eight seconds without an end, or a
//! signal while standard input is awaited removes temporary files and ends the process at once.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use mixpanel_client::CancelToken;
use mixpanel_data::{ErrorKind, Workspace};
use nix::sys::signal::{SigHandler, SigSet, Signal, raise};

/// How long an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// Between interrupts: the first may have come just before the statement began.
const AGAIN: Duration = Duration::from_millis(500);

/// The signals that end the program.
#[derive(Clone)]
pub(crate) struct Signals(Arc<Shared>);

struct Shared {
    received: AtomicI32,
    cancel: CancelToken,
    running: Mutex<Option<Weak<Workspace>>>,
    /// Whether SIGINT ends a statement and not the program.
    only_interrupts: AtomicBool,
    /// Whether standard input is awaited, a read that nothing interrupts.
    asking: AtomicBool,
}

impl Signals {
    /// Takes the signals over. To be called before any other thread exists.
    pub(crate) fn take_over() -> Self {
        let shared = Shared {
            received: AtomicI32::new(0),
            cancel: CancelToken::new(),
            running: Mutex::new(None),
            only_interrupts: AtomicBool::new(false),
            asking: AtomicBool::new(false),
        };
        let signals = Signals(Arc::new(shared));
        let mut ours = SigSet::empty();
        // What is ignored stays ignored: that is how `nohup` works.
        let wanted = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
        for signal in wanted.into_iter().filter(|signal| !is_ignored(*signal)) {
            use_default(signal);
            ours.add(signal);
        }
        use_default(Signal::SIGXFSZ);
        let mut blocked = ours;
        // A limit on file sizes becomes an error of the write, not the end of the process.
        blocked.add(Signal::SIGXFSZ);
        if blocked.thread_block().is_err() {
            // Then signals end the process without ceremony; the next start sweeps.
            return signals;
        }
        let waiting = signals.clone();
        let waiter = thread::Builder::new().name("signals".to_owned()).spawn(move || waiting.wait(&ours));
        if waiter.is_err() {
            let _ = blocked.thread_unblock();
        }
        signals
    }

    /// The token that the first signal cancels.
    pub(crate) fn cancel(&self) -> CancelToken {
        self.0.cancel.clone()
    }

    /// The number of the signal that came, if one did.
    pub(crate) fn received(&self) -> Option<i32> {
        Some(self.0.received.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    /// Fails once a signal has come.
    pub(crate) fn check(&self) -> mixpanel_data::Result<()> {
        if self.0.cancel.is_cancelled() { Err(ErrorKind::Cancelled.into()) } else { Ok(()) }
    }

    /// The error of a Ctrl-C that a terminal gave as a character, and not as a signal.
    pub(crate) fn typed(&self) -> mixpanel_data::Error {
        self.0.received.store(Signal::SIGINT as i32, Ordering::SeqCst);
        ErrorKind::Cancelled.into()
    }

    /// From now on, SIGINT ends the statement that is running, and not the program; or no longer so.
    pub(crate) fn only_interrupt(&self, on: bool) {
        self.0.only_interrupts.store(on, Ordering::SeqCst);
    }

    /// While this lives, a signal ends the program at once: somebody is asked, or standard input read.
    pub(crate) fn while_asking(&self) -> Asking<'_> {
        self.0.asking.store(true, Ordering::SeqCst);
        Asking(self)
    }

    /// Lets signals interrupt the SQL of this workspace.
    pub(crate) fn guard(&self, workspace: Workspace) -> Guarded {
        let workspace = Arc::new(workspace);
        *self.running() = Some(Arc::downgrade(&workspace));
        Guarded { signals: self.clone(), workspace }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Weak<Workspace>>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, ours: &SigSet) {
        let mut first = true;
        while let Ok(signal) = ours.wait() {
            if signal == Signal::SIGINT && self.0.only_interrupts.load(Ordering::SeqCst) {
                if let Some(workspace) = self.running().as_ref().and_then(Weak::upgrade) {
                    workspace.storage().interrupt();
                }
                continue;
            }
            if !first {
                end(signal);
            }
            first = false;
            self.0.received.store(signal as i32, Ordering::SeqCst);
            let signals = self.clone();
            let stop = move || signals.stop(signal);
            if thread::Builder::new().name("stopping".to_owned()).spawn(stop).is_err() {
                end(signal);
            }
        }
    }

    fn stop(&self, signal: Signal) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The statement first: a cancelled download leads to a rollback, which is to run through.
            // The lock is held meanwhile, so that the workspace does not end up being dropped here.
            if let Some(workspace) = self.running().as_ref().and_then(Weak::upgrade) {
                workspace.storage().interrupt();
            }
            self.0.cancel.cancel();
            if Instant::now() >= deadline || self.0.asking.load(Ordering::SeqCst) {
                end(signal);
            }
            thread::sleep(AGAIN);
        }
    }
}

/// A wait for standard input.
#[must_use]
pub(crate) struct Asking<'a>(&'a Signals);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.0.asking.store(false, Ordering::SeqCst);
    }
}

/// A workspace whose SQL signals interrupt.
pub(crate) struct Guarded {
    signals: Signals,
    workspace: Arc<Workspace>,
}

impl Deref for Guarded {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.workspace
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        *self.signals.running() = None;
        self.workspace.close();
    }
}

/// Ends the process as the signal does by itself, after removing what must not stay.
fn end(signal: Signal) -> ! {
    mixpanel_data::remove_ephemeral_files();
    let mut set = SigSet::empty();
    set.add(signal);
    let _ = set.thread_unblock();
    let _ = raise(signal);
    std::process::exit(128 + signal as i32)
}

/// An interpreter that runs this has handlers of its own: Python turns SIGINT into an exception, and
/// ignores SIGXFSZ, which programs started from here would inherit.
fn use_default(signal: Signal) {
    // SAFETY: the default disposition has no handler that could be unsafe.
    let _ = unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) };
}

fn is_ignored(signal: Signal) -> bool {
    use nix::libc::{SIG_IGN, sigaction};
    // SAFETY: all-zero bytes are a valid `sigaction`; with no new action given, the call only fills
    // in the old one, and all arguments live across it.
    unsafe {
        let mut old: sigaction = std::mem::zeroed();
        sigaction(signal as i32, std::ptr::null(), &mut old) == 0 && old.sa_sigaction == SIG_IGN
    }
}
