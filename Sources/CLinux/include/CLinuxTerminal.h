#pragma once

#include <stdint.h>

/// Opens a pseudo-terminal, both ends close-on-exec, the master non-blocking. Returns 0 or -errno.
int clinux_open_terminal(int *master, int *slave, uint16_t columns, uint16_t rows);

/// Returns 0 or -errno.
int clinux_resize_terminal(int master, uint16_t columns, uint16_t rows);
