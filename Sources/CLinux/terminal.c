#define _GNU_SOURCE
#include "CLinuxTerminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

int clinux_resize_terminal(int master, uint16_t columns, uint16_t rows) {
    struct winsize size = {.ws_col = columns, .ws_row = rows};
    return ioctl(master, TIOCSWINSZ, &size) == 0 ? 0 : -errno;
}

int clinux_read_terminal_keys(int master, struct clinux_terminal_keys *keys) {
    struct termios settings;
    if (tcgetattr(master, &settings) != 0) return -errno;
    keys->interrupt = settings.c_cc[VINTR];
    keys->quit = settings.c_cc[VQUIT];
    keys->suspend = settings.c_cc[VSUSP];
    keys->send_signals = (settings.c_lflag & ISIG) != 0;
    keys->are_shown = (settings.c_lflag & (ECHO | ECHOCTL)) == (ECHO | ECHOCTL);
    return 0;
}

// The library's grantpt() may want to run a helper that no image has, and its ptsname() takes a lock; the two ioctls
// below are all they come to on a devpts file system.
int clinux_open_terminal(int *master, int *slave, int *number, uint16_t columns, uint16_t rows) {
    int error;
    int m = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (m < 0) return -errno;

    int unlock = 0;
    if (ioctl(m, TIOCSPTLCK, &unlock) != 0 || ioctl(m, TIOCGPTN, number) != 0 || *number < 0) {
        error = errno;
        goto failed;
    }
    char path[32] = "/dev/pts/";
    char digits[12];
    int count = 0, at = 9, left = *number;
    do {
        digits[count++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    while (count > 0) path[at++] = digits[--count];
    path[at] = 0;

    int s = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (s < 0) {
        error = errno;
        goto failed;
    }
    error = -clinux_resize_terminal(m, columns, rows);
    if (error != 0) {
        close(s);
        goto failed;
    }
    *master = m;
    *slave = s;
    return 0;

failed:
    close(m);
    return -error;
}
