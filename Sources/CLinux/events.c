#define _GNU_SOURCE
#include "CLinuxEvents.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_event_open(void) {
    int event = eventfd(0, EFD_CLOEXEC);
    return event >= 0 ? event : -errno;
}

void clinux_event_raise(int event) { eventfd_write(event, 1); }

void clinux_event_wait(int event) {
    eventfd_t count;
    while (eventfd_read(event, &count) != 0 && errno == EINTR) {}
}

int clinux_poll_open(void) {
    int poll = epoll_create1(EPOLL_CLOEXEC);
    return poll >= 0 ? poll : -errno;
}

int clinux_poll_set(
    int poll, enum clinux_poll_operation operation, int descriptor, uint64_t token, int read, int write) {
    static const int operations[] = {EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
    struct epoll_event event = {
        .events = EPOLLONESHOT | (read ? EPOLLIN : 0) | (write ? EPOLLOUT : 0),
        .data.u64 = token,
    };
    return epoll_ctl(poll, operations[operation], descriptor, &event) == 0 ? 0 : -errno;
}

int clinux_poll_wait(int poll, uint64_t *tokens, int capacity) {
    struct epoll_event events[64];
    if (capacity > 64) capacity = 64;
    int count = epoll_wait(poll, events, capacity, -1);
    if (count < 0) return 0;
    for (int index = 0; index < count; index++) tokens[index] = events[index].data.u64;
    return count;
}

int clinux_pipe(int *read_end, int *write_end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -errno;
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

int clinux_memory_file(const char *label) {
    int descriptor = memfd_create(label, MFD_CLOEXEC);
    return descriptor >= 0 ? descriptor : -errno;
}

struct thread_start {
    void (*body)(void *);
    void *context;
    char name[16];
};

static void *thread_main(void *argument) {
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    pthread_setname_np(pthread_self(), start.name);
    start.body(start.context);
    return NULL;
}

int clinux_thread_start(const char *name, void (*body)(void *context), void *context) {
    struct thread_start *start = calloc(1, sizeof *start);
    if (start == NULL) return -ENOMEM;
    start->body = body;
    start->context = context;
    strncpy(start->name, name, sizeof start->name - 1);

    // A thread begins with its maker's mask, so that not even its first moment takes a signal.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    int failure = pthread_create(&thread, &attributes, thread_main, start);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0) free(start);
    return -failure;
}

int clinux_pidfd_open(pid_t process) {
    int descriptor = (int)syscall(SYS_pidfd_open, process, 0u);
    return descriptor >= 0 ? descriptor : -errno;
}
