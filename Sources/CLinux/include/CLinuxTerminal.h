#pragma once

#include <stdint.h>

/// Opens a pseudo-terminal, both ends close-on-exec, the master non-blocking. The slave is `/dev/pts/<number>`.
/// Returns 0 or -errno.
int clinux_open_terminal(int *master, int *slave, int *number, uint16_t columns, uint16_t rows);

/// What a terminal makes of keys at the moment. A key that is 0 is none.
struct clinux_terminal_keys {
    uint8_t interrupt, quit, suspend;
    /// 1: those keys send signals.
    int send_signals;
    /// 1: they are shown, as `^C`.
    int are_shown;
};

/// Returns 0 or -errno.
int clinux_read_terminal_keys(int master, struct clinux_terminal_keys *keys);

/// Returns 0 or -errno.
int clinux_resize_terminal(int master, uint16_t columns, uint16_t rows);
