//! What happens when the system gives no more memory: an error with its code, and no abort.
//!
//! Rust ends a program whose allocation fails, by SIGABRT. The allocator here notes that one failed,
//! and the signal's handler then says so and leaves with the exit code for it. Files that are only
//! temporary are removed by the next start.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;

/// The system's allocator, which notes its failures.
pub(crate) struct Noting;

static FAILED: AtomicBool = AtomicBool::new(false);
static FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);

const EXIT: libc::c_int = 8;
const TOLD: &str =
    "error: out of memory: the system has no more\n  try: ask for fewer days, columns or rows at once\n";
const TOLD_TO_PROGRAMS: &str = "{\"error\":{\"code\":\"OUT_OF_MEMORY\",\"exit_code\":8,\"message\":\"out of memory: \
     the system gives no more\",\"cause\":null,\"hint\":\"ask for fewer days, columns or rows at once\",\
     \"retryable\":false,\"retry_after_seconds\":null}}\n";

fn noted(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        FAILED.store(true, Ordering::Relaxed);
    }
    memory
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        noted(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        noted(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        noted(unsafe { System.realloc(memory, layout, size) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Prepares for it. To be called before any other thread exists.
pub(crate) fn prepare() {
    let handler: extern "C" fn(libc::c_int) = leave;
    // SAFETY: the handler calls nothing but what is allowed in one.
    unsafe { libc::signal(libc::SIGABRT, handler as libc::sighandler_t) };
}

/// Errors are told to programs, as one JSON object.
pub(crate) fn tell_programs() {
    FOR_PROGRAMS.store(true, Ordering::Relaxed);
}

extern "C" fn leave(signal: libc::c_int) {
    if FAILED.load(Ordering::Relaxed) {
        let text = if FOR_PROGRAMS.load(Ordering::Relaxed) { TOLD_TO_PROGRAMS } else { TOLD };
        // SAFETY: both calls are allowed in a handler, and the text is static.
        unsafe {
            libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
            libc::_exit(EXIT);
        }
    }
    // Any other abort ends the program as it would have.
    // SAFETY: both calls are allowed in a handler.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn an_allocation_that_fails_is_an_error_with_its_code_and_no_abort() {
        const ROLE: &str = "MP_TEST_ALLOCATE";
        if let Ok(role) = std::env::var(ROLE) {
            prepare();
            if role == "json" {
                tell_programs();
            }
            // More than any address space has.
            std::hint::black_box(Vec::<u8>::with_capacity(1 << 60));
            return;
        }
        let test = "memory::tests::an_allocation_that_fails_is_an_error_with_its_code_and_no_abort";
        for (role, word) in [("text", "error: out of memory"), ("json", "\"code\":\"OUT_OF_MEMORY\"")] {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args([test, "--exact", "--nocapture"]).env(ROLE, role);
            let output = child.output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(EXIT), "{told}");
            assert!(told.contains(word), "{told}");
        }
    }

    #[test]
    fn what_programs_are_told_is_json() {
        let told: serde_json::Value = serde_json::from_str(TOLD_TO_PROGRAMS).unwrap();
        assert_eq!(told["error"]["exit_code"], EXIT);
    }
}
