#define _GNU_SOURCE
#include "CLinuxSockets.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int address(const char *path, struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    size_t length = strlen(path);
    if (length >= sizeof address->sun_path) return -ENAMETOOLONG;
    memcpy(address->sun_path, path, length);
    return 0;
}

static int failed(int socket) {
    int error = errno;
    close(socket);
    return -error;
}

int clinux_local_listen(const char *path) {
    struct sockaddr_un at;
    int error = address(path, &at);
    if (error != 0) return error;
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode)) unlink(path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) return -errno;
    int on = 1;
    // Here already: what is sent before the accept is marked only if the listener wants it.
    if (setsockopt(listener, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) return failed(listener);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0) return failed(listener);
    if (chmod(path, 0666) != 0 || listen(listener, 64) != 0) return failed(listener);
    return listener;
}

int clinux_local_connect(const char *path) {
    struct sockaddr_un at;
    int error = address(path, &at);
    if (error != 0) return error;
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0) return -errno;
    while (connect(connection, (struct sockaddr *)&at, sizeof at) != 0)
        if (errno != EINTR) return failed(connection);
    return connection;
}

int clinux_local_accept(int listener) {
    int connection;
    do {
        connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    } while (connection < 0 && errno == EINTR);
    if (connection < 0) return -errno;
    int on = 1;
    if (setsockopt(connection, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) return failed(connection);
    return connection;
}

int clinux_local_peer(int socket, uid_t *uid) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -errno;
    *uid = peer.uid;
    return 0;
}

int clinux_local_pair(int ends[2]) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -errno;
    int on = 1;
    return ioctl(ends[0], FIONBIO, &on) == 0 ? 0 : -errno;
}

int clinux_set_receive_timeout(int socket, int milliseconds) {
    struct timeval limit = {milliseconds / 1000, milliseconds % 1000 * 1000};
    return setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 ? 0 : -errno;
}

ssize_t clinux_local_send(int socket, const void *bytes, size_t count, int wait) {
    ssize_t sent;
    do {
        sent = send(socket, bytes, count, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    } while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : -errno;
}

enum { descriptors_size = clinux_passed_descriptors * sizeof(int) };

union control {
    char bytes[CMSG_SPACE(descriptors_size) + CMSG_SPACE(sizeof(struct ucred))];
    struct cmsghdr alignment;
};

ssize_t clinux_send_descriptors(int socket, const void *bytes, size_t count, const int *descriptors) {
    union control control;
    memset(&control, 0, sizeof control);
    struct iovec part = {(void *)bytes, count};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors_size);
    memcpy(CMSG_DATA(header), descriptors, descriptors_size);
    header = CMSG_NXTHDR(&message, header);
    struct ucred own = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_CREDENTIALS;
    header->cmsg_len = CMSG_LEN(sizeof own);
    memcpy(CMSG_DATA(header), &own, sizeof own);
    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : -errno;
}

ssize_t clinux_receive_descriptors(int socket, void *bytes, size_t count, int *descriptors, uid_t *uid) {
    union control control;
    struct iovec part = {bytes, count};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t received;
    do {
        received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return -errno;

    int count_of_descriptors = 0, knows_sender = 0, is_right = received > 0 && !(message.msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET) continue;
        size_t size = header->cmsg_len - CMSG_LEN(0);
        if (header->cmsg_type == SCM_CREDENTIALS && size == sizeof(struct ucred)) {
            struct ucred sender;
            memcpy(&sender, CMSG_DATA(header), sizeof sender);
            *uid = sender.uid;
            knows_sender = 1;
        } else if (header->cmsg_type == SCM_RIGHTS) {
            for (size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
                int descriptor;
                memcpy(&descriptor, CMSG_DATA(header) + at, sizeof descriptor);
                if (count_of_descriptors < clinux_passed_descriptors) {
                    descriptors[count_of_descriptors++] = descriptor;
                } else {
                    close(descriptor);
                    is_right = 0;
                }
            }
        }
    }
    if (is_right && knows_sender && count_of_descriptors == clinux_passed_descriptors) return received;
    while (count_of_descriptors > 0) close(descriptors[--count_of_descriptors]);
    return -EPROTO;
}
