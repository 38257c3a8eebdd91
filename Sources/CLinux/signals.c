#define _GNU_SOURCE
#include "CLinuxSignals.h"

#include <pthread.h>
#include <signal.h>

void clinux_block_unless_ignored(const int *signals, size_t count) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t index = 0; index < count; index++) {
        struct sigaction action;
        if (sigaction(signals[index], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&set, signals[index]);
    }
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int clinux_wait_for_blocked(void) {
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    int number = 0;
    while (sigwait(&set, &number) != 0) {}
    return number;
}
