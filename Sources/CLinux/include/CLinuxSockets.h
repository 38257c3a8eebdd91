#pragma once

#include <stddef.h>
#include <sys/types.h>

// Unix sockets with descriptors and identities in their messages, whose macros the Swift overlay cannot express.
// All return a number that is not negative, or -errno.

/// A stream socket that listens at `path`, which everybody may connect to; a socket left there is replaced.
int clinux_local_listen(const char *path);
int clinux_local_connect(const char *path);

/// Blocks. The connection tells who sends on it, see `clinux_receive_descriptors`.
int clinux_local_accept(int listener);

/// The uid that the kernel noted when the peer connected. gVisor answers with the caller's own.
int clinux_local_peer(int socket, uid_t *uid);

/// Two ends of one stream, both close-on-exec. The first never blocks.
int clinux_local_pair(int ends[2]);

/// From now on a receive that waits this long for its next bytes fails with EAGAIN; 0: it waits for ever.
int clinux_set_receive_timeout(int socket, int milliseconds);

/// No SIGPIPE. With `wait` 0 it fails with EAGAIN when the other side does not read.
ssize_t clinux_local_send(int socket, const void *bytes, size_t count, int wait);

enum { clinux_passed_descriptors = 3 };

/// Sends bytes together with three descriptors and the sender's real uid, which the kernel verifies.
ssize_t clinux_send_descriptors(int socket, const void *bytes, size_t count, const int *descriptors);

/// Receives bytes that come with exactly three descriptors (close-on-exec now) and the sender's uid, or fails with
/// EPROTO and has closed whatever came.
ssize_t clinux_receive_descriptors(int socket, void *bytes, size_t count, int *descriptors, uid_t *uid);
