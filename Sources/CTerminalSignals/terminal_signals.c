// Sends a terminal's programs the signals of its keys (Ctrl-C, Ctrl-\, Ctrl-Z) where the kernel does not do it well. Only a
// process of the terminal's session is told which group is in the foreground, so one of these runs in each session, as the
// Sidekick's own account. See `TerminalSignals` of the Sidekick.
//
//     terminal-signals /dev/pts/N    descriptor 0, a stream: the number of a signal in, the same byte out when it is sent
//
// It ends with the stream. The terminal is opened for a moment only: who holds it open keeps it from ending.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void send_to_foreground(const char *terminal, int number) {
    int fd = open(terminal, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    pid_t group = 0;
    if (ioctl(fd, TIOCGPGRP, &group) == 0 && group > 1) kill(-group, number);
    close(fd);
}

int main(int count, char **words) {
    if (count != 2) return 2;
    // Whoever starts it waits for this one; the other is nobody's child but the first process's.
    pid_t other = fork();
    if (other != 0) return other < 0;
    // Apart, so that what it sends never comes to itself.
    setpgid(0, 0);
    close(1);
    close(2);
    for (;;) {
        unsigned char number;
        ssize_t got = read(0, &number, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return 0;
        send_to_foreground(words[1], number);
        if (send(0, &number, 1, MSG_NOSIGNAL) != 1) return 0;
    }
}
