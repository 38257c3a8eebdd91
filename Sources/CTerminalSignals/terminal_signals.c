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
#include <termios.h>
#include <unistd.h>

// What was typed and nobody has read, also of a line that has not ended. By reading it, since gVisor cannot flush.
static void drop_input(int fd) {
    struct termios settings;
    if (tcgetattr(fd, &settings) != 0 || settings.c_lflag & NOFLSH) return;
    struct termios raw = settings;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    if (settings.c_lflag & ICANON) tcsetattr(fd, TCSANOW, &raw);
    char bytes[4096];
    while (read(fd, bytes, sizeof bytes) > 0) {}
    if (settings.c_lflag & ICANON) tcsetattr(fd, TCSANOW, &settings);
}

static pid_t foreground(int fd) {
    pid_t group = 0;
    return ioctl(fd, TIOCGPGRP, &group) == 0 ? group : 0;
}

static void send_to_foreground(const char *terminal, int number) {
    int fd = open(terminal, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    drop_input(fd);
    pid_t group = foreground(fd);
    if (group > 1 && kill(-group, number) == 0) {
        // A program that ends of it is given the time to: it may still read what is typed behind the key.
        for (int waits = 0; waits < 20 && foreground(fd) == group; waits++) usleep(1000);
    }
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
