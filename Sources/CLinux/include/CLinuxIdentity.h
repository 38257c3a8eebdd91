#pragma once
#include <sys/types.h>
#include <stddef.h>

/// Gives the calling thread, and no other, the effective identity of an account. Real and saved ids stay, so
/// that the account's processes can neither signal nor trace this process.
///
/// The raw system calls are meant: glibc's functions of these names change every thread of the process.
/// setfsuid would say more exactly what is wanted, but gVisor has none.
/// Returns 0, or the errno of the step that failed.
int clinux_thread_adopt_identity(uid_t uid, gid_t gid, const gid_t *supplementary, size_t count);

/// Whether the calling thread acts with exactly these effective ids; asked of the kernel, not remembered.
int clinux_thread_has_identity(uid_t uid, gid_t gid);

/// fstatfs's type of the file system, or -1 with errno.
long clinux_file_system_type(int descriptor);

/// The ones glibc declares with variable arguments.
int clinux_openat(int directory, const char *path, int flags, mode_t mode);

/// All that was written to the file system that this file is on reaches the disk. Returns 0 or -errno.
int clinux_sync_file_system(int descriptor);
