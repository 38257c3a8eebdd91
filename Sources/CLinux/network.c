#define _GNU_SOURCE
#include "CLinuxNetwork.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

int clinux_network_namespace_make(const char *file) {
    int mount_point = open(file, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    if (mount_point < 0) return -errno;
    close(mount_point);
    if (unshare(CLONE_NEWNET) == 0 && mount("/proc/thread-self/ns/net", file, "none", MS_BIND, NULL) == 0) return 0;
    int reason = errno;
    unlink(file);
    return -reason;
}

int clinux_network_namespace_enter(const char *file) {
    int namespace = open(file, O_RDONLY | O_CLOEXEC);
    if (namespace < 0) return -errno;
    int status = setns(namespace, CLONE_NEWNET) == 0 ? 0 : -errno;
    close(namespace);
    return status;
}

/// Any socket of the namespace will do to speak of its interfaces.
static int control(unsigned long request, void *argument) {
    int channel = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (channel < 0) return -errno;
    int status = ioctl(channel, request, argument) == 0 ? 0 : -errno;
    close(channel);
    return status;
}

static int copy_name(char *field, const char *name) {
    if (strlen(name) >= IFNAMSIZ) return -ENAMETOOLONG;
    strcpy(field, name);
    return 0;
}

int clinux_interface_raise(const char *name) {
    struct ifreq request = {0};
    int status = copy_name(request.ifr_name, name);
    if (status == 0) status = control(SIOCGIFFLAGS, &request);
    if (status != 0) return status;
    request.ifr_flags |= IFF_UP;
    return control(SIOCSIFFLAGS, &request);
}

int clinux_interface_set_hardware_address(const char *name, const uint8_t address[6]) {
    struct ifreq request = {0};
    int status = copy_name(request.ifr_name, name);
    if (status != 0) return status;
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(request.ifr_hwaddr.sa_data, address, 6);
    return control(SIOCSIFHWADDR, &request);
}

int clinux_neighbour_pin(const char *interface, uint32_t address, const uint8_t hardware[6]) {
    struct arpreq request = {.arp_flags = ATF_PERM | ATF_COM};
    int status = copy_name(request.arp_dev, interface);
    if (status != 0) return status;
    struct sockaddr_in protocol = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    memcpy(&request.arp_pa, &protocol, sizeof protocol);
    request.arp_ha.sa_family = ARPHRD_ETHER;
    memcpy(request.arp_ha.sa_data, hardware, 6);
    return control(SIOCSARP, &request);
}
