//! What a program can tell the system's allocator before it loads data.

/// Lets glibc keep freed memory for the next batch, in one place for each core.
///
/// By default it gives large blocks back to the system at once, and every batch
/// then waits for new pages to be cleared: a fifth of a load's time. And it spreads
/// blocks over eight arenas for each core, where what one thread freed is not found
/// by another: after 20 million events that took 100 MB (both measured, see
/// `docs/performance.md`). The price is that up to 512 MB of what was freed
/// stays with the process. For programs, to be called once at their start;
/// elsewhere than with glibc it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: these calls only set numbers inside of the allocator.
    unsafe {
        let arenas = std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 64) as i32);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 512 << 20);
        libc::mallopt(libc::M_ARENA_MAX, arenas);
    }
}
