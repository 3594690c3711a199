//! A crash leaves no image of the memory behind: there may be a secret in it.

use nix::libc;

/// Tells the system to write no core dump of this process, wherever dumps go.
pub(crate) fn forbid() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is valid for the call, which changes nothing else.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
    // Programs that dumps are piped to are given them whatever the limit is.
    #[cfg(target_os = "linux")]
    // SAFETY: the call takes numbers only.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0)
    };
}
