/* Preloaded into a process, between it and the C library: counts the calls that
   change files below one folder, and lets one of them fail, or stop half-way and
   end the process. Or writes down all of them, for a replay.

   FAULTS_DIR    the folder
   FAULTS_AT     which call, from 1; 0 or absent: none
   FAULTS_HOW    kill:N    so many bytes are written, then SIGKILL
                 kill:-N   all but so many bytes
                 kill:half the first half
                 once:E    this call fails with error number E
                 from:E    this call and all later ones that need room do
   FAULTS_COUNT  a file that gets the number of calls so far
   FAULTS_TRACE  a file that gets each call

   Names that begin with "ack-" are traced and not counted. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE = 1, TRUNCATE, SYNC, CREATE, UNLINK, RENAME, LINK };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[4096];
static size_t folder_length;
static long target, counted;
static int count_file = -1, trace_file = -1, failing;
static const char *how = "";

static void raw_write(int file, const void *bytes, size_t length) {
    const char *from = bytes;
    while (length > 0) {
        long done = syscall(SYS_write, file, from, length);
        if (done <= 0) return;
        from += done;
        length -= done;
    }
}

__attribute__((constructor)) static void begin(void) {
    const char *value = getenv("FAULTS_DIR");
    if (!value || !realpath(value, folder)) return;
    folder_length = strlen(folder);
    if ((value = getenv("FAULTS_AT"))) target = atol(value);
    if ((value = getenv("FAULTS_HOW"))) how = value;
    if ((value = getenv("FAULTS_COUNT")))
        count_file = syscall(SYS_openat, AT_FDCWD, value, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if ((value = getenv("FAULTS_TRACE")))
        trace_file = syscall(SYS_openat, AT_FDCWD, value, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static int inside(const char *path) {
    return folder_length && strncmp(path, folder, folder_length) == 0 && path[folder_length] == '/';
}

static int is_ack(const char *path) {
    const char *name = strrchr(path, '/');
    return name && strncmp(name + 1, "ack-", 4) == 0;
}

/* The path of an open file, if it is below the folder, or the folder itself. */
static int path_of(int file, char *path) {
    if (!folder_length) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, 4095);
    if (length <= 0) return 0;
    path[length] = 0;
    return inside(path) || strcmp(path, folder) == 0;
}

static int path_at(int at, const char *name, char *path) {
    if (!folder_length) return 0;
    char base[4096];
    if (name[0] == '/') snprintf(path, 4096, "%s", name);
    else if (at == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
        snprintf(path, 4096, "%.2000s/%.2000s", base, name);
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        long length = syscall(SYS_readlinkat, AT_FDCWD, link, base, 4095);
        if (length <= 0) return 0;
        base[length] = 0;
        snprintf(path, 4096, "%.2000s/%.2000s", base, name);
    }
    return inside(path);
}

static void trace(uint32_t what, const char *path, const char *other, uint64_t at, const void *bytes, uint64_t length) {
    if (trace_file < 0) return;
    uint32_t head[3] = {what, strlen(path), strlen(other)};
    uint64_t numbers[2] = {at, bytes ? length : 0};
    raw_write(trace_file, head, sizeof head);
    raw_write(trace_file, numbers, sizeof numbers);
    raw_write(trace_file, path, head[1]);
    raw_write(trace_file, other, head[2]);
    if (bytes) raw_write(trace_file, bytes, length);
}

/* Counts a call. -1: go on; else so many of the bytes are to be written before
   the end; or errno is set and the call is to fail (-2). */
static long decide(const char *path, int needs_room, uint64_t length) {
    if (is_ack(path)) return -1;
    counted++;
    if (count_file >= 0) {
        char text[32];
        int digits = snprintf(text, sizeof text, "%ld\n", counted);
        (void)!syscall(SYS_pwrite64, count_file, text, digits, 0);
    }
    if (failing && needs_room) {
        errno = failing;
        return -2;
    }
    if (counted != target) return -1;
    if (strncmp(how, "kill:", 5) == 0) {
        if (strcmp(how + 5, "half") == 0) return length / 2;
        long bytes = atol(how + 5);
        if (bytes < 0) bytes += length;
        if (bytes < 0) bytes = 0;
        return (uint64_t)bytes > length ? (long)length : bytes;
    }
    if (strncmp(how, "once:", 5) == 0) {
        errno = atoi(how + 5);
        return -2;
    }
    if (strncmp(how, "from:", 5) == 0 && needs_room) {
        errno = failing = atoi(how + 5);
        return -2;
    }
    if (strncmp(how, "from:", 5) == 0) target++;
    return -1;
}

static void end(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static ssize_t do_write(int file, const void *bytes, size_t length, off_t at, int placed) {
    char path[4096];
    if (!path_of(file, path)) {
        return placed ? syscall(SYS_pwrite64, file, bytes, length, at) : syscall(SYS_write, file, bytes, length);
    }
    pthread_mutex_lock(&lock);
    if (!placed) {
        struct stat meta;
        int appends = (fcntl(file, F_GETFL) & O_APPEND) != 0;
        at = appends ? (fstat(file, &meta) == 0 ? meta.st_size : 0) : lseek(file, 0, SEEK_CUR);
    }
    long verdict = decide(path, 1, length);
    ssize_t done = -1;
    if (verdict == -1) {
        done = placed ? syscall(SYS_pwrite64, file, bytes, length, at) : syscall(SYS_write, file, bytes, length);
        if (done > 0) trace(WRITE, path, "", at, bytes, done);
    } else if (verdict >= 0) {
        if (verdict > 0) {
            if (placed) (void)!syscall(SYS_pwrite64, file, bytes, verdict, at);
            else raw_write(file, bytes, verdict);
        }
        end();
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t write(int file, const void *bytes, size_t length) { return do_write(file, bytes, length, 0, 0); }
ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) { return do_write(file, bytes, length, at, 1); }
ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) { return do_write(file, bytes, length, at, 1); }

/* Calls that do one thing: all of it, or nothing of it. */
#define SIMPLE(what, path, other, at, needs_room, call)                  \
    do {                                                                 \
        pthread_mutex_lock(&lock);                                       \
        long verdict = decide(path, needs_room, 1);                      \
        long done = -1;                                                  \
        if (verdict == -1) {                                             \
            done = (call);                                               \
            if (done >= 0) trace(what, path, other, at, 0, 0);           \
        } else if (verdict >= 0) {                                       \
            if (verdict > 0) (void)!(call);                              \
            end();                                                       \
        }                                                                \
        int error = errno;                                               \
        pthread_mutex_unlock(&lock);                                     \
        errno = error;                                                   \
        return done;                                                     \
    } while (0)

static int do_truncate(int file, off_t length) {
    char path[4096];
    if (!path_of(file, path)) return syscall(SYS_ftruncate, file, length);
    SIMPLE(TRUNCATE, path, "", length, 0, syscall(SYS_ftruncate, file, length));
}
int ftruncate(int file, off_t length) { return do_truncate(file, length); }
int ftruncate64(int file, off64_t length) { return do_truncate(file, length); }

int fsync(int file) {
    char path[4096];
    if (!path_of(file, path)) return syscall(SYS_fsync, file);
    SIMPLE(SYNC, path, "", 0, 0, syscall(SYS_fsync, file));
}
int fdatasync(int file) {
    char path[4096];
    if (!path_of(file, path)) return syscall(SYS_fdatasync, file);
    SIMPLE(SYNC, path, "", 0, 0, syscall(SYS_fdatasync, file));
}

static int do_unlink(int at, const char *name, int flags) {
    char path[4096];
    if ((flags & AT_REMOVEDIR) || !path_at(at, name, path)) return syscall(SYS_unlinkat, at, name, flags);
    SIMPLE(UNLINK, path, "", 0, 0, syscall(SYS_unlinkat, at, name, flags));
}
int unlink(const char *name) { return do_unlink(AT_FDCWD, name, 0); }
int remove(const char *name) {
    int done = do_unlink(AT_FDCWD, name, 0);
    return done != 0 && errno == EISDIR ? syscall(SYS_unlinkat, AT_FDCWD, name, AT_REMOVEDIR) : done;
}
int unlinkat(int at, const char *name, int flags) { return do_unlink(at, name, flags); }

static int do_rename(const char *from, const char *to, unsigned flags) {
    char path[4096], other[4096];
    if (!path_at(AT_FDCWD, from, path) || !path_at(AT_FDCWD, to, other))
        return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
    SIMPLE(RENAME, path, other, 0, 0, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
}
int rename(const char *from, const char *to) { return do_rename(from, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    if (a == AT_FDCWD && b == AT_FDCWD) return do_rename(from, to, flags);
    return syscall(SYS_renameat2, a, from, b, to, flags);
}

static int do_link(const char *from, const char *to, int flags) {
    char path[4096], other[4096];
    if (!path_at(AT_FDCWD, from, path) || !path_at(AT_FDCWD, to, other))
        return syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, flags);
    SIMPLE(LINK, path, other, 0, 1, syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, flags));
}
int link(const char *from, const char *to) { return do_link(from, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    if (a == AT_FDCWD && b == AT_FDCWD) return do_link(from, to, flags);
    return syscall(SYS_linkat, a, from, b, to, flags);
}

static int do_open(int at, const char *name, int flags, mode_t mode) {
    char path[4096];
    if (!(flags & (O_CREAT | O_TRUNC)) || (flags & O_ACCMODE) == O_RDONLY || !path_at(at, name, path))
        return syscall(SYS_openat, at, name, flags, mode);
    struct stat meta;
    int there = fstatat(at, name, &meta, 0) == 0;
    if (there && !((flags & O_TRUNC) && meta.st_size > 0)) return syscall(SYS_openat, at, name, flags, mode);
    SIMPLE(there ? TRUNCATE : CREATE, path, "", 0, !there, syscall(SYS_openat, at, name, flags, mode));
}
#define MODE                                    \
    mode_t mode = 0;                            \
    if (flags & (O_CREAT | O_TMPFILE)) {        \
        va_list rest;                           \
        va_start(rest, flags);                  \
        mode = va_arg(rest, mode_t);            \
        va_end(rest);                           \
    }
int open(const char *name, int flags, ...) { MODE return do_open(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE return do_open(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int openat(int at, const char *name, int flags, ...) { MODE return do_open(at, name, flags, mode); }
int openat64(int at, const char *name, int flags, ...) { MODE return do_open(at, name, flags | O_LARGEFILE, mode); }
