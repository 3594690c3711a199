//! What a program can tell the system's allocator before it loads data.

/// Lets glibc keep freed memory for the next batch.
///
/// By default it gives large blocks back to the system at once, and every batch
/// then waits for new pages to be cleared: a fifth of a load's time (measured,
/// see `docs/performance.md`). The price is that up to 512 MB of what was freed
/// stays with the process. For programs, to be called once at their start;
/// elsewhere than with glibc it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: these calls only set numbers inside of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 512 << 20);
    }
}
