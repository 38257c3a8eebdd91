#define _GNU_SOURCE
#include "CLinuxFiles.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_rename_no_replace(int from_directory, const char *from, int to_directory, const char *to) {
    return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, 1u /* RENAME_NOREPLACE */);
}

int clinux_sync_file_system(int descriptor) {
    if (syncfs(descriptor) == 0) return 0;
    if (errno != ENOSYS) return -1;
    sync();
    return 0;
}
