#pragma once

#include <stddef.h>
#include <sys/types.h>

/// Where starting a process failed.
enum clinux_spawn_step {
    clinux_step_none = 0,
    clinux_step_fork,       // parent
    clinux_step_session,    // child, in this order
    clinux_step_terminal,
    clinux_step_stdio,
    clinux_step_limits,
    clinux_step_groups,
    clinux_step_gid,
    clinux_step_uid,
    clinux_step_verify,     // the identity is not what was asked for
    clinux_step_directory,
    clinux_step_parent,
    clinux_step_exec,
};

/// One process to start. Everything is made ready by the parent: the child allocates nothing.
struct clinux_spawn {
    /// Tried in order until one exists; ends with NULL. The child tries them itself, because only it has the
    /// identity and the directory that decide what may be executed.
    char *const *paths;
    char *const *argv;
    char *const *envp;
    /// NULL: stay.
    const char *directory;
    int stdin_fd, stdout_fd, stderr_fd;
    /// 1: setsid; 0: own process group in the caller's session.
    int new_session;
    /// 1: stdin_fd becomes the controlling terminal (needs new_session).
    int controlling_terminal;
    /// NULL, or the words of a program that is started in the same session, as the caller's account, with `companion_fd` as
    /// its descriptor 0. It has to fork and go on in its child: the child below waits for it before it runs.
    char *const *companion;
    int companion_fd;
    /// 1: take on uid, gid and groups, or start nothing.
    int change_identity;
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t group_count;
    mode_t umask;
    /// RLIMIT_NPROC, soft and hard; negative: leave.
    long process_limit;
    /// RLIMIT_NOFILE; negative: leave.
    long file_limit_soft, file_limit_hard;
    /// 1: RLIMIT_CORE 0.
    int no_core;
    /// PR_SET_PDEATHSIG; 0: none. It fires when the *thread* that forked ends.
    int parent_death_signal;
};

struct clinux_spawn_failure {
    int step;
    int error;
};

/// Starts a process, and returns when its program runs or when it has failed. `*pid`, 0 before, becomes its number
/// before it runs, so that another thread can tell whose exit it sees, and can end a start that hangs.
/// Returns 0, or -1 with `*failure` filled in; there is a child to reap whenever `*pid` is not 0.
int clinux_start(const struct clinux_spawn *spawn, pid_t *pid, struct clinux_spawn_failure *failure);

/// What `clinux_start` has made of its `pid` so far, read from another thread.
pid_t clinux_started_pid(const pid_t *pid);

/// Blocks until any child has exited, and leaves it unreaped. Returns its pid, or -errno (-ECHILD: no children).
pid_t clinux_wait_any_exited(void);

/// Reaps one child that is known to have exited. `*value` is its exit code, or the signal that ended it when
/// `*signalled` is 1. Returns 0 or -errno.
int clinux_reap(pid_t pid, int *value, int *signalled);

/// Orphans below this process become its children. Returns 0 or -errno.
int clinux_become_subreaper(void);

/// Raises RLIMIT_NOFILE's soft limit to the hard one, 65,536 at most; tells what both were.
void clinux_raise_file_limit(long *soft, long *hard);

/// No core files; not dumpable. What the kernel refuses stays as it is.
void clinux_hide_process(void);

/// From now on threads share that many heaps of malloc.
void clinux_limit_heaps(int count);

/// Half a second from now, on a thread of its own: gives back the mapped pages of this executable's machine code. Those
/// that are used again are mapped again, from the page cache. What the kernel refuses stays as it is.
/// Returns 0, or -errno.
int clinux_release_own_text_soon(void);

/// Returns the bytes read, or -1.
int clinux_read_kernel_log(char *buffer, int size);

/// How many threads the kernel counts in all: under gVisor those of the sandbox, else those of the machine. -errno when it does not say.
int clinux_count_threads(void);
