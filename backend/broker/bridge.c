/* A bridge, by ioctl(2) and sysfs: see bridge.h. */
#include "backend/broker/bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "backend/cleanup.h"

bool
bridge_exists(const char *name)
{
    return if_nametoindex(name) != 0;
}

bool
bridge_forwards(void)
{
    _cleanup_(fclosep) FILE *file = fopen("/proc/sys/net/ipv4/ip_forward", "re");

    return file && fgetc(file) == '1';
}

int
bridge_set_up(const char *name, bool up, struct error *err)
{
    struct ifreq request = {.ifr_flags = 0};
    _cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int flags;

    if (fd < 0)
        return error_errno(err, errno, "socket");
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return errno == ENODEV ? 0 : error_errno(err, errno, "flags of the bridge");
    flags = request.ifr_flags;
    request.ifr_flags = (short)(up ? flags | IFF_UP : flags & ~IFF_UP);
    if (request.ifr_flags == flags)
        return 0;
    return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? error_errno(err, errno, "flags of the bridge")
                                                 : 0;
}

/* One port, by its directory in sysfs. */
static int
isolate(int ports, const char *port, struct error *err)
{
    char path[IFNAMSIZ + 16];
    _cleanup_(closep) int fd = -1;

    snprintf(path, sizeof(path), "%.15s/isolated", port);
    fd = openat(ports, path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "1", 1) == 1)
        return 0;
    /* Its container may have ended meanwhile. */
    return faccessat(ports, port, F_OK, 0) < 0 ? 0 : error_errno(err, errno, "isolation of a port");
}

int
bridge_isolate(const char *name, struct error *err)
{
    char path[64];
    _cleanup_(closedirp) DIR *ports = NULL;
    const struct dirent *entry;
    int r = 0;

    snprintf(path, sizeof(path), "/sys/class/net/%.15s/brif", name);
    ports = opendir(path);
    if (!ports) {
        r = errno;
        return bridge_exists(name) ? error_errno(err, r, path) : 0;
    }
    while (r == 0 &&
           (entry = readdir(ports))) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        if (entry->d_name[0] != '.')
            r = isolate(dirfd(ports), entry->d_name, err);
    return r;
}
