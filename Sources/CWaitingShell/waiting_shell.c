// Loaded into a shell that is started ahead of its command. It runs when the shell's program is loaded and before its `main`,
// says so, and waits on descriptor 0, a socket, for an order: the command, its folder, its environment and its three streams.
// With them in their places the shell goes on as if it had been started with them. See `WaitingShells` of the Sidekick.
//
//     "r" ──▶ waits ──▶ order ──▶ streams, folder, environment, command ──▶ "t" ──▶ main
//                         └─ end, or anything wrong ──▶ exit, and nothing of the command has run
//
// Links with nothing, and must be a plain shared object, as the one of CStatFlags.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;
// What is done here to `main`'s arguments holds for this library alone; another one copies them before.
extern const char *gnu_get_libc_version(void) __attribute__((weak));

enum { streams = 3, failed = 127 };

// Before the strings: the command, its folder, each variable; a NUL behind each.
struct order {
    uint32_t bytes;
    uint32_t variables;
};

static int receive_exactly(int socket, char *into, size_t count) {
    while (count > 0) {
        ssize_t got = recv(socket, into, count, 0);
        if (got <= 0) return 0;
        into += got;
        count -= (size_t)got;
    }
    return 1;
}

// The first bytes come with the streams.
static int receive_order(int socket, struct order *order, int *descriptors) {
    char control[CMSG_SPACE(streams * sizeof(int)) + CMSG_SPACE(64)];
    struct iovec part = {order, sizeof *order};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(socket, &message, 0) != sizeof *order) return 0;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
        if (item->cmsg_len != CMSG_LEN(streams * sizeof(int))) return 0;
        memcpy(descriptors, CMSG_DATA(item), streams * sizeof(int));
        return 1;
    }
    return 0;
}

static char *next_string(char **at, const char *end) {
    char *string = *at;
    size_t room = (size_t)(end - string);
    size_t length = strnlen(string, room);
    if (length == room) _exit(failed);
    *at = string + length + 1;
    return string;
}

// The kernel lays out the arguments, a null, the environment.
static char **arguments(long count) {
    char **first = environ - 1 - count;
    return *(long *)(first - 1) == count ? first : NULL;
}

__attribute__((constructor)) static void wait_for_order(void) {
    if (!gnu_get_libc_version || !getenv("COMPUTESDK_WAITING_SHELL")) return;
    // The shell, -c, a placeholder.
    char **argv = arguments(3);
    if (!argv) return;
    struct order order;
    int descriptors[streams];
    if (send(0, "r", 1, MSG_NOSIGNAL) != 1 || !receive_order(0, &order, descriptors)) _exit(failed);
    // Both stay for as long as the program does.
    char *text = malloc(order.bytes);
    char **variables = malloc((order.variables + 1) * sizeof *variables);
    if (!text || !variables || !receive_exactly(0, text, order.bytes)) _exit(failed);

    char *end = text + order.bytes;
    char *command = next_string(&text, end);
    char *directory = next_string(&text, end);
    for (uint32_t number = 0; number < order.variables; number++) variables[number] = next_string(&text, end);
    variables[order.variables] = NULL;

    int socket = fcntl(0, F_DUPFD_CLOEXEC, 16);
    if (socket < 0 || chdir(directory) != 0) _exit(failed);
    for (int number = 0; number < streams; number++) {
        if (dup2(descriptors[number], number) < 0) _exit(failed);
        close(descriptors[number]);
    }
    // What is shown of it in lists of processes, as far as there is room.
    size_t room = strlen(argv[2]);
    memset(argv[2], ' ', room);
    memcpy(argv[2], command, strnlen(command, room));
    argv[2] = command;
    environ = variables;
    if (send(socket, "t", 1, MSG_NOSIGNAL) != 1) _exit(failed);
    close(socket);
}
