/*
 * Reaches for sockets that are not its own: the guest's, by every path to them, and the abstract
 * one of the host that its argument names.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/hostile/attackers/attacker.h"

static long
try_connect(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    else
        len++;
    return connect(fd, (const struct sockaddr *)&address, len);
}

/* How many abstract sockets this network namespace has. */
static int
abstract_sockets(void)
{
    FILE *f = fopen("/proc/net/unix", "re");
    char line[512];
    int count = 0;

    while (f && fgets(line, sizeof(line), f))
        count += strchr(line, '@') != NULL;
    return count;
}

int
main(int argc, char **argv)
{
    report("connect", try_connect("/.sandbox/run/guest.sock", SOCK_STREAM));
    report("connect to control", try_connect("/.sandbox/run/control.sock", SOCK_SEQPACKET));
    report("connect through PID 1's root",
           try_connect("/proc/1/root/.sandbox/run/guest.sock", SOCK_STREAM));
    report("connect from inside", chdir("/.sandbox/run"));
    report("list", try_open("/.sandbox/run", O_DIRECTORY));
    report("open", try_open("/.sandbox/run/guest.sock", O_PATH));
    report("watch", inotify_add_watch(inotify_init(), "/.sandbox/run", IN_ALL_EVENTS));
    report("bind beside it", mkdir("/.sandbox/run/x", 0700));
    report("change its mode", chmod("/.sandbox/run", 0777));
    report("remove it", unlink("/.sandbox/run/guest.sock"));
    report("move its directory", rename("/.sandbox", "/workspace/sandbox"));
    report("link it", link("/.sandbox/run/guest.sock", "/workspace/guest.sock"));
    report("connect to the host's", try_connect(argc > 1 ? argv[1] : "", SOCK_STREAM));
    printf("abstract sockets: %d\n", abstract_sockets());
    return 0;
}
