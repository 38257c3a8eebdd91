#define _GNU_SOURCE
#include "CLinuxFiles.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int clinux_rename_no_replace(int from_directory, const char *from, int to_directory, const char *to) {
    return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, 1u /* RENAME_NOREPLACE */);
}

int clinux_write_back(int descriptor, off_t offset, off_t count) {
    return sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
}

ssize_t clinux_read_cached(int descriptor, void *buffer, size_t count, off_t offset) {
    struct iovec part = {buffer, count};
    return preadv2(descriptor, &part, 1, offset, RWF_NOWAIT);
}

int clinux_sync_file_system(int descriptor) {
    if (syncfs(descriptor) == 0) return 0;
    if (errno != ENOSYS) return -1;
    sync();
    return 0;
}
