#pragma once

/// renameat2 with RENAME_NOREPLACE. Some file systems refuse it with EINVAL.
int clinux_rename_no_replace(int from_directory, const char *from, int to_directory, const char *to);

/// syncfs, or sync where the kernel has none.
int clinux_sync_file_system(int descriptor);
