#pragma once

#include <stdint.h>
#include <sys/types.h>

/// inotify, close-on-exec, non-blocking. Returns a descriptor or -errno.
int clinux_watch_open(void);
/// What happens in a directory, and to it. Without `follow` a link in the last place is refused.
/// Returns the number of the watch or -errno.
int clinux_watch_add(int queue, const char *path, int follow);
void clinux_watch_remove(int queue, int watch);
/// Blocks until something has happened, `stop` has been raised, or the time is over; -1: no limit.
/// Returns 1 when there is something to read.
int clinux_watch_wait(int queue, int stop, int milliseconds);

/// One thing that happened. `name` lies in the buffer that was read, and ends with a zero.
struct clinux_watch_record {
    int watch;
    uint32_t mask;
    const char *name;
    size_t size;
};
/// Takes the record at `buffer`, of which `count` bytes are left. Returns 0 when there is no whole one.
int clinux_watch_next(const void *buffer, size_t count, struct clinux_watch_record *record);

enum {
    clinux_watch_modified = 0x2,
    clinux_watch_attributes = 0x4,
    clinux_watch_written = 0x8,
    clinux_watch_moved_from = 0x40,
    clinux_watch_moved_to = 0x80,
    clinux_watch_created = 0x100,
    clinux_watch_deleted = 0x200,
    clinux_watch_self_deleted = 0x400,
    clinux_watch_self_moved = 0x800,
    clinux_watch_unmounted = 0x2000,
    clinux_watch_overflow = 0x4000,
    clinux_watch_ended = 0x8000,
    clinux_watch_directory = 0x40000000,
};
