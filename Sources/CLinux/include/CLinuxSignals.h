#pragma once

#include <stddef.h>

/// Blocks those of the signals that the process does not ignore, for this thread and those it starts. Ignored ones stay
/// ignored, as `nohup` wants it.
void clinux_block_unless_ignored(const int *signals, size_t count);

/// Waits for one of the signals that are blocked in this thread.
int clinux_wait_for_blocked(void);
