#pragma once

#include <stdint.h>
#include <sys/types.h>

// Calls that the Swift overlay of the C library leaves out.

/// eventfd, close-on-exec. Returns a descriptor or -errno.
int clinux_event_open(void);
void clinux_event_raise(int event);
/// Blocks until raised, and lowers it.
void clinux_event_wait(int event);

enum clinux_poll_operation { clinux_poll_add, clinux_poll_change, clinux_poll_remove };

/// epoll, close-on-exec. Returns a descriptor or -errno.
int clinux_poll_open(void);
/// One-shot interest in reading and writing. Returns 0 or -errno.
int clinux_poll_set(int poll, enum clinux_poll_operation operation, int descriptor, uint64_t token, int read, int write);
/// Blocks. Returns how many tokens are ready.
int clinux_poll_wait(int poll, uint64_t *tokens, int capacity);

/// Both ends close-on-exec. Returns 0 or -errno.
int clinux_pipe(int *read_end, int *write_end);

/// A file without a name, in memory, close-on-exec. Returns a descriptor or -errno.
int clinux_memory_file(const char *label);

/// Runs `body(context)` on a new detached thread that takes no signals: those of the process are not for it.
/// `name` is what `ps` and debuggers show, of which 15 characters count.
/// Returns 0 or -errno; `body` does not run then.
int clinux_thread_start(const char *name, void (*body)(void *context), void *context);

/// A descriptor of a process, close-on-exec, that reads as ready once the process has ended. Returns it or -errno:
/// ESRCH when there is none, ENOSYS where the kernel is older than 5.3 or is gVisor.
int clinux_pidfd_open(pid_t process);
