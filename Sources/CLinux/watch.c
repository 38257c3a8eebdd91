#define _GNU_SOURCE
#include "CLinuxWatch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>

_Static_assert(
    clinux_watch_modified == IN_MODIFY && clinux_watch_attributes == IN_ATTRIB && clinux_watch_written == IN_CLOSE_WRITE &&
        clinux_watch_moved_from == IN_MOVED_FROM && clinux_watch_moved_to == IN_MOVED_TO &&
        clinux_watch_created == IN_CREATE && clinux_watch_deleted == IN_DELETE &&
        clinux_watch_self_deleted == IN_DELETE_SELF && clinux_watch_self_moved == IN_MOVE_SELF &&
        clinux_watch_unmounted == IN_UNMOUNT && clinux_watch_overflow == IN_Q_OVERFLOW &&
        clinux_watch_ended == IN_IGNORED && clinux_watch_directory == IN_ISDIR,
    "the numbers are those of the kernel");

int clinux_watch_open(void) {
    int queue = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return queue >= 0 ? queue : -errno;
}

int clinux_watch_add(int queue, const char *path, int follow) {
    uint32_t mask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE |
                    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK | (follow ? 0 : IN_DONT_FOLLOW);
    int watch = inotify_add_watch(queue, path, mask);
    return watch >= 0 ? watch : -errno;
}

void clinux_watch_remove(int queue, int watch) { inotify_rm_watch(queue, watch); }

int clinux_watch_wait(int queue, int stop, int milliseconds) {
    struct pollfd polled[] = {{.fd = queue, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    if (poll(polled, 2, milliseconds) <= 0) return 0;
    return polled[0].revents != 0;
}

int clinux_watch_next(const void *buffer, size_t count, struct clinux_watch_record *record) {
    struct inotify_event event;
    if (count < sizeof event) return 0;
    memcpy(&event, buffer, sizeof event);
    if (count - sizeof event < event.len) return 0;
    record->watch = event.wd;
    record->mask = event.mask;
    record->name = event.len > 0 ? (const char *)buffer + sizeof event : "";
    record->size = sizeof event + event.len;
    return 1;
}
