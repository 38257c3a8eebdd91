#define _GNU_SOURCE
#include "CLinuxProcess.h"

#include <errno.h>
#include <malloc.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

void clinux_raise_file_limit(long *soft, long *hard) {
    struct rlimit limit = {0, 0};
    getrlimit(RLIMIT_NOFILE, &limit);
    *soft = (long)limit.rlim_cur;
    *hard = (long)limit.rlim_max;
    // More than any compute has connections for, and few enough to go through at every start of a process.
    rlim_t most = 1 << 16;
    rlim_t wanted = limit.rlim_max < most ? limit.rlim_max : most;
    if (limit.rlim_cur >= wanted) return;
    limit.rlim_cur = wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void clinux_hide_process(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void clinux_limit_heaps(int count) {
    mallopt(M_ARENA_MAX, count);
}

int clinux_read_kernel_log(char *buffer, int size) {
    enum { read_all = 3 };
    return klogctl(read_all, buffer, size);
}

int clinux_count_threads(void) {
    struct sysinfo info;
    return sysinfo(&info) == 0 ? info.procs : -errno;
}
