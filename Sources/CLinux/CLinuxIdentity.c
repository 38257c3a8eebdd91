#define _GNU_SOURCE
#include "CLinuxIdentity.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int clinux_thread_has_identity(uid_t uid, gid_t gid) {
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;
    if (syscall(SYS_getresuid, &ruid, &euid, &suid) != 0) return 0;
    if (syscall(SYS_getresgid, &rgid, &egid, &sgid) != 0) return 0;
    return euid == uid && egid == gid;
}

int clinux_thread_adopt_identity(uid_t uid, gid_t gid, const gid_t *supplementary, size_t count) {
    if (clinux_thread_has_identity(uid, gid)) return 0;
    // Groups first: once the effective uid has changed, the capability for them is gone.
    if (syscall(SYS_setgroups, count, supplementary) != 0) return errno;
    if (syscall(SYS_setresgid, (gid_t)-1, gid, (gid_t)-1) != 0) return errno;
    if (syscall(SYS_setresuid, (uid_t)-1, uid, (uid_t)-1) != 0) return errno;
    // A kernel that said yes and did nothing would have us write as root.
    return clinux_thread_has_identity(uid, gid) ? 0 : EPERM;
}

long clinux_file_system_type(int descriptor) {
    struct statfs info;
    return fstatfs(descriptor, &info) == 0 ? (long)info.f_type : -1;
}

int clinux_sync_file_system(int descriptor) { return syncfs(descriptor) == 0 ? 0 : -errno; }

int clinux_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags, mode);
}
