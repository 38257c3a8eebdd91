// Loaded before the programs of a compute where gVisor is too old to know AT_NO_AUTOMOUNT: it refuses the flag, and with
// it `ls` and `stat` of every current coreutils. Nothing is ever mounted on first sight in a compute, so the flag means
// nothing there and is left out.
//
// Links with nothing: what it needs is in the C library of whoever loads it. Not part of the Swift package, since it
// must be a plain shared object; see `compat` in the Makefile.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

extern long syscall(long number, ...);

int statx(int directory, const char *restrict path, int flags, unsigned int mask, struct statx *restrict result) {
    return (int)syscall(SYS_statx, directory, path, flags & ~AT_NO_AUTOMOUNT, mask, result);
}

int fstatat(int directory, const char *restrict path, struct stat *restrict result, int flags) {
    return (int)syscall(SYS_newfstatat, directory, path, result, flags & ~AT_NO_AUTOMOUNT);
}

int fstatat64(int directory, const char *restrict path, struct stat64 *restrict result, int flags) {
    return (int)syscall(SYS_newfstatat, directory, path, result, flags & ~AT_NO_AUTOMOUNT);
}
