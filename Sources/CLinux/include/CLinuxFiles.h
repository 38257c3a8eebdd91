#pragma once

#include <sys/types.h>

/// renameat2 with RENAME_NOREPLACE. Some file systems refuse it with EINVAL.
int clinux_rename_no_replace(int from_directory, const char *from, int to_directory, const char *to);

/// Writing of a part of a file to its disk begins; its end is for fsync to wait for.
int clinux_write_back(int descriptor, off_t offset, off_t count);

/// What is in memory of a file already: its bytes; -1 with EAGAIN for what would have to be waited for, with EOPNOTSUPP where
/// nobody can say.
ssize_t clinux_read_cached(int descriptor, void *buffer, size_t count, off_t offset);

/// syncfs, or sync where the kernel has none.
int clinux_sync_file_system(int descriptor);
