#define _GNU_SOURCE
#include "CLinuxProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

// A child that shares its parent's memory until execve (as posix_spawn makes it), because copying the page tables of a
// large process is slow, and under gVisor very slow. So everything below the clone is system calls and the child's own
// stack: no allocation, no lock, no library state but errno, which belongs to the parent's thread that waits meanwhile.
// Identities are changed by raw system calls, because the library's setuid() signals every thread it believes to exist.
//
// While it has the user's identity and still our memory, no process of that user may trace it: a change of identity
// makes the memory undumpable, and the kernel then wants CAP_SYS_PTRACE. (The caller sees to a child that is stopped.)

enum { first_other_fd = 3, signal_set_size = 8, stack_size = 32 << 10, companion_stack_size = 8 << 10 };

// Its stack is the parent's, too, which may go on only when nobody is on it any more.
struct companion {
    char *stack;
    // While it has our memory. Set by the kernel at its clone, and cleared at its execve or end.
    pid_t pid;
    // Cleared by the child, for kernels that clear nothing at an execve.
    int is_under_way;
};

struct child {
    const struct clinux_spawn *spawn;
    struct clinux_spawn_failure *failure;
    pid_t parent;
    struct companion *companion;
};

_Noreturn static void fail(const struct child *child, int step) {
    *child->failure = (struct clinux_spawn_failure){.step = step, .error = errno};
    _exit(127);
}

// None can be above the soft limit, which is never lowered here. "To the end of the numbers" would be the same, but
// gVisor goes through all of them one by one: four thousand million cost it a second.
static void close_others(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 1 << 20) limit.rlim_cur = 1 << 20;
    unsigned int last = limit.rlim_cur > first_other_fd ? (unsigned int)limit.rlim_cur - 1 : first_other_fd;
    if (syscall(SYS_close_range, first_other_fd, last, 0) == 0) return;
    // An old kernel. Our own descriptors are close-on-exec anyway; this catches inherited ones.
    if (last > 65535) last = 65535;
    for (unsigned int fd = first_other_fd; fd <= last; fd++) close((int)fd);
}

static void take_identity(const struct child *child) {
    const struct clinux_spawn *spawn = child->spawn;
    if (syscall(SYS_setgroups, spawn->group_count, spawn->groups) != 0) fail(child, clinux_step_groups);
    if (syscall(SYS_setresgid, spawn->gid, spawn->gid, spawn->gid) != 0) fail(child, clinux_step_gid);
    if (syscall(SYS_setresuid, spawn->uid, spawn->uid, spawn->uid) != 0) fail(child, clinux_step_uid);

    // Without CAP_SETUID some sandboxes report success and change nothing: believe only what the kernel says now.
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;
    errno = EPERM;
    if (syscall(SYS_getresuid, &ruid, &euid, &suid) != 0 || syscall(SYS_getresgid, &rgid, &egid, &sgid) != 0)
        fail(child, clinux_step_verify);
    errno = EPERM;
    if (ruid != spawn->uid || euid != spawn->uid || suid != spawn->uid) fail(child, clinux_step_verify);
    if (rgid != spawn->gid || egid != spawn->gid || sgid != spawn->gid) fail(child, clinux_step_verify);
    if (syscall(SYS_getgroups, 0, NULL) != (long)spawn->group_count) fail(child, clinux_step_verify);
    // And the way back must be shut.
    if (spawn->uid != 0 && syscall(SYS_setresuid, -1, 0, -1) == 0) {
        errno = EPERM;
        fail(child, clinux_step_verify);
    }
}

// Signals whose action is not the default one, as bits from signal 1 on. execve resets handlers but not what is ignored,
// and a handler of ours must not run in a child that shares our memory. Asking for all 64 at every start would cost
// more than all else here under gVisor, so the parent asks once: what this process ignores, it ignores from its start.
static uint64_t changed_actions;
static pthread_once_t changed_actions_known = PTHREAD_ONCE_INIT;

static void find_changed_actions(void) {
    // By the system call, because the library hides its own two signals, which posix_spawn leaves ignored in what it
    // starts: in us, perhaps. The handler comes first in the layout that the kernel has for this structure.
    for (int number = 1; number < NSIG; number++) {
        unsigned long action[8] = {0};
        if (syscall(SYS_rt_sigaction, number, NULL, action, signal_set_size) == 0 && action[0] != (unsigned long)SIG_DFL)
            changed_actions |= (uint64_t)1 << (number - 1);
    }
}

static void reset_signals(void) {
    static const unsigned long standard[8];
    for (int number = 1; number < NSIG; number++)
        if (changed_actions >> (number - 1) & 1) syscall(SYS_rt_sigaction, number, standard, NULL, signal_set_size);
    uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, signal_set_size);
}

static void take_streams(const struct child *child) {
    int fds[3] = {child->spawn->stdin_fd, child->spawn->stdout_fd, child->spawn->stderr_fd};
    // First out of the way of 0 to 2, then into place: any of the sources may be one of the targets.
    for (int target = 0; target < 3; target++)
        if (fds[target] < first_other_fd && (fds[target] = fcntl(fds[target], F_DUPFD_CLOEXEC, 16)) < 0)
            fail(child, clinux_step_stdio);
    for (int target = 0; target < 3; target++)
        if (dup2(fds[target], target) < 0) fail(child, clinux_step_stdio);
    close_others();
}

static void take_limit(const struct child *child, int resource, long soft, long hard) {
    if (soft < 0) return;
    struct rlimit limit = {(rlim_t)soft, (rlim_t)hard};
    if (setrlimit(resource, &limit) != 0) fail(child, clinux_step_limits);
}

static int run_companion(void *argument) {
    const struct clinux_spawn *spawn = argument;
    char *const no_environment[] = {NULL};
    if (dup2(spawn->companion_fd, 0) == 0) execve(spawn->companion[0], spawn->companion, no_environment);
    _exit(127);
}

// Made from the child, since nobody joins a session later. It leaves the child at once by forking, so that the program does
// not find a child that it never had. Its failure is no failure of the program's.
static void start_companion(const struct child *child) {
    struct companion *companion = child->companion;
    __atomic_store_n(&companion->is_under_way, 1, __ATOMIC_SEQ_CST);
    pid_t pid = clone(
        run_companion, companion->stack + companion_stack_size,
        CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, (void *)child->spawn,
        &companion->pid, NULL, &companion->pid);
    __atomic_store_n(&companion->is_under_way, 0, __ATOMIC_SEQ_CST);
    if (pid < 0) return;
    while (syscall(SYS_wait4, pid, NULL, 0, NULL) < 0 && errno == EINTR) {}
}

// A child that is killed comes back to the parent at once; its companion may still be on its way.
static void await_companion(const struct companion *companion) {
    if (!__atomic_load_n(&companion->is_under_way, __ATOMIC_SEQ_CST)) return;
    const struct timespec pause = {.tv_nsec = 1000000};
    pid_t pid;
    while ((pid = __atomic_load_n(&companion->pid, __ATOMIC_SEQ_CST)) != 0) {
        // Its program serves nobody any more.
        kill(pid, SIGKILL);
        nanosleep(&pause, NULL);
    }
}

static int run_child(void *argument) {
    const struct child *child = argument;
    const struct clinux_spawn *spawn = child->spawn;
    if (spawn->new_session ? setsid() < 0 : setpgid(0, 0) != 0) fail(child, clinux_step_session);
    if (spawn->controlling_terminal && ioctl(spawn->stdin_fd, TIOCSCTTY, 0) != 0) fail(child, clinux_step_terminal);
    if (spawn->companion) start_companion(child);
    take_streams(child);

    if (spawn->no_core) take_limit(child, RLIMIT_CORE, 0, 0);
    take_limit(child, RLIMIT_NPROC, spawn->process_limit, spawn->process_limit);
    take_limit(child, RLIMIT_NOFILE, spawn->file_limit_soft, spawn->file_limit_hard);
    umask(spawn->umask);
    if (spawn->change_identity) take_identity(child);

    // After the identity: the user must be able to reach it. Also, a change of identity clears the death signal.
    if (spawn->directory && chdir(spawn->directory) != 0) fail(child, clinux_step_directory);
    if (spawn->parent_death_signal) {
        if (prctl(PR_SET_PDEATHSIG, spawn->parent_death_signal, 0, 0, 0) != 0) fail(child, clinux_step_parent);
        // The parent may have died before the call; then nobody would ever send the signal.
        if (getppid() != child->parent) {
            errno = ESRCH;
            fail(child, clinux_step_parent);
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
    fail(child, clinux_step_exec);
}

int clinux_start(const struct clinux_spawn *spawn, pid_t *pid, struct clinux_spawn_failure *failure) {
    pthread_once(&changed_actions_known, find_changed_actions);
    *failure = (struct clinux_spawn_failure){clinux_step_none, 0};
    // Written by the child while we wait, so the compiler may not remember what it was.
    volatile struct clinux_spawn_failure told = {clinux_step_none, 0};
    _Alignas(16) char stack[stack_size];
    _Alignas(16) char companion_stack[companion_stack_size];
    struct companion companion = {.stack = companion_stack};
    struct child child = {spawn, (struct clinux_spawn_failure *)&told, getpid(), &companion};

    // A handler of ours must never run in the child, whose memory is ours.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // The kernel writes the pid before the child runs: whoever learns of the child's exit finds it there.
    pid_t cloned = clone(
        run_child, stack + stack_size, CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD, &child, pid);
    int error = errno;
    await_companion(&companion);
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    if (cloned < 0) {
        __atomic_store_n(pid, 0, __ATOMIC_RELAXED);
        *failure = (struct clinux_spawn_failure){clinux_step_fork, error};
        return -1;
    }
    if (told.step == clinux_step_none) return 0;  // execve happened, or a death that the reaper will report
    *failure = (struct clinux_spawn_failure){told.step, told.error};
    return -1;
}

pid_t clinux_started_pid(const pid_t *pid) { return __atomic_load_n(pid, __ATOMIC_RELAXED); }
