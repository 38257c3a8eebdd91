#define _GNU_SOURCE
#include "CLinuxProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

// Between fork and exec another thread's lock may be held for ever, so everything below is async-signal-safe: system
// calls and stack memory only. Identities are changed by raw system calls, because the library's setuid() signals
// every thread it believes to exist.

enum { report_fd = 3, first_other_fd = 4 };

_Noreturn static void fail(int report, int step) {
    struct clinux_spawn_failure failure = {.step = step, .error = errno};
    // Shorter than PIPE_BUF, so it arrives whole or not at all.
    ssize_t written;
    do {
        written = write(report, &failure, sizeof failure);
    } while (written < 0 && errno == EINTR);
    _exit(127);
}

static void close_others(void) {
    if (syscall(SYS_close_range, first_other_fd, UINT_MAX, 0) == 0) return;
    // An old kernel. Our own descriptors are close-on-exec anyway; this catches inherited ones.
    struct rlimit limit;
    int last = 65536;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t)last) last = (int)limit.rlim_cur;
    for (int fd = first_other_fd; fd < last; fd++) close(fd);
}

static void take_identity(const struct clinux_spawn *spawn, int report) {
    if (syscall(SYS_setgroups, spawn->group_count, spawn->groups) != 0) fail(report, clinux_step_groups);
    if (syscall(SYS_setresgid, spawn->gid, spawn->gid, spawn->gid) != 0) fail(report, clinux_step_gid);
    if (syscall(SYS_setresuid, spawn->uid, spawn->uid, spawn->uid) != 0) fail(report, clinux_step_uid);

    // Without CAP_SETUID some sandboxes report success and change nothing: believe only what the kernel says now.
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;
    errno = EPERM;
    if (syscall(SYS_getresuid, &ruid, &euid, &suid) != 0 || syscall(SYS_getresgid, &rgid, &egid, &sgid) != 0)
        fail(report, clinux_step_verify);
    errno = EPERM;
    if (ruid != spawn->uid || euid != spawn->uid || suid != spawn->uid) fail(report, clinux_step_verify);
    if (rgid != spawn->gid || egid != spawn->gid || sgid != spawn->gid) fail(report, clinux_step_verify);
    if (syscall(SYS_getgroups, 0, NULL) != (long)spawn->group_count) fail(report, clinux_step_verify);
    // And the way back must be shut.
    if (spawn->uid != 0 && syscall(SYS_setresuid, -1, 0, -1) == 0) {
        errno = EPERM;
        fail(report, clinux_step_verify);
    }
}

static void reset_signals(void) {
    // By the system call, because the library refuses its own two signals, which posix_spawn leaves ignored in what it
    // starts: in us, perhaps. All zeros is the default action in every layout that the kernel has for this structure.
    static const unsigned long standard[8];
    enum { signal_set_size = 8 };
    for (int number = 1; number < NSIG; number++)
        syscall(SYS_rt_sigaction, number, standard, NULL, signal_set_size);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void run_child(const struct clinux_spawn *spawn, int report, pid_t parent) {
    if (spawn->new_session ? setsid() < 0 : setpgid(0, 0) != 0) fail(report, clinux_step_session);

    // First out of the way of 0 to 3, then into place: any of the sources may be one of the targets.
    int high_report = fcntl(report, F_DUPFD_CLOEXEC, 16);
    if (high_report < 0) fail(report, clinux_step_stdio);
    report = high_report;
    int in = fcntl(spawn->stdin_fd, F_DUPFD_CLOEXEC, 16);
    int out = fcntl(spawn->stdout_fd, F_DUPFD_CLOEXEC, 16);
    int err = fcntl(spawn->stderr_fd, F_DUPFD_CLOEXEC, 16);
    if (in < 0 || out < 0 || err < 0) fail(report, clinux_step_stdio);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) fail(report, clinux_step_stdio);
    if (dup3(report, report_fd, O_CLOEXEC) < 0) fail(report, clinux_step_stdio);
    report = report_fd;
    close_others();

    if (spawn->controlling_terminal && ioctl(0, TIOCSCTTY, 0) != 0) fail(report, clinux_step_terminal);

    if (spawn->no_core) {
        struct rlimit none = {0, 0};
        if (setrlimit(RLIMIT_CORE, &none) != 0) fail(report, clinux_step_limits);
    }
    if (spawn->process_limit >= 0) {
        struct rlimit limit = {(rlim_t)spawn->process_limit, (rlim_t)spawn->process_limit};
        if (setrlimit(RLIMIT_NPROC, &limit) != 0) fail(report, clinux_step_limits);
    }
    umask(022);
    if (spawn->change_identity) take_identity(spawn, report);

    // After the identity: the user must be able to reach it. Also, a change of identity clears the death signal.
    if (spawn->directory && chdir(spawn->directory) != 0) fail(report, clinux_step_directory);
    if (spawn->parent_death_signal) {
        if (prctl(PR_SET_PDEATHSIG, spawn->parent_death_signal, 0, 0, 0) != 0) fail(report, clinux_step_parent);
        // The parent may have died before the call; then nobody would ever send the signal.
        if (getppid() != parent) {
            errno = ESRCH;
            fail(report, clinux_step_parent);
        }
    }

    reset_signals();
    int telling = ENOENT;
    for (char *const *path = spawn->paths; *path; path++) {
        execve(*path, spawn->argv, spawn->envp);
        if (errno == ENOENT || errno == ENOTDIR) continue;
        telling = errno;
        if (errno != EACCES) break;
    }
    errno = telling;
    fail(report, clinux_step_exec);
}

pid_t clinux_fork(const struct clinux_spawn *spawn, int *report, struct clinux_spawn_failure *failure) {
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        *failure = (struct clinux_spawn_failure){clinux_step_prepare, errno};
        return -1;
    }

    // A handler of ours must never run in the child, where it would see half a process.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) run_child(spawn, pipe_fds[1], parent);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    close(pipe_fds[1]);
    if (pid < 0) {
        close(pipe_fds[0]);
        *failure = (struct clinux_spawn_failure){clinux_step_fork, error};
        return -1;
    }
    *report = pipe_fds[0];
    return pid;
}

int clinux_await_exec(int report, struct clinux_spawn_failure *failure) {
    struct clinux_spawn_failure told;
    ssize_t count;
    do {
        count = read(report, &told, sizeof told);
    } while (count < 0 && errno == EINTR);
    close(report);
    if (count != sizeof told) return 0;  // closed by execve, or by a death that the reaper will report
    *failure = told;
    return -1;
}
