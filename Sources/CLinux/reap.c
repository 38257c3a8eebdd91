#define _GNU_SOURCE
#include "CLinuxProcess.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>

pid_t clinux_wait_any_exited(void) {
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0) {
            if (info.si_pid > 0) return info.si_pid;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

int clinux_reap(pid_t pid, int *value, int *signalled) {
    int status;
    for (;;) {
        pid_t reaped = waitpid(pid, &status, WNOHANG);
        if (reaped == pid) break;
        if (reaped == 0) return -EAGAIN;
        if (errno != EINTR) return -errno;
    }
    *signalled = WIFSIGNALED(status) ? 1 : 0;
    *value = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return 0;
}

int clinux_become_subreaper(void) {
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 ? 0 : -errno;
}
