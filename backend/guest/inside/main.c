/*
 * sandbox-guest: PID 1 of a container.
 *
 *   sandbox-guest RUN_DIR UID GID HOME_DIR [WORKSPACE_DIR [PROXY_SOCKET]]
 *
 * RUN_DIR is where it listens. Home and, if named, workspace are made for the user where they are
 * missing. PROXY_SOCKET is where the egress proxy listens for this container, or will: commands
 * find it at 127.0.0.1. See inside.h for how executions are served.
 *
 * Until it listens it may fail; after that it must survive everything but SIGTERM, because the
 * container ends with it. Signals from inside do not reach it: commands have another uid.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/guest/inside/confine.h"
#include "backend/guest/inside/home.h"
#include "backend/guest/inside/inside.h"
#include "backend/guest/inside/keeper.h"
#include "backend/guest/inside/oom.h"
#include "backend/guest/inside/relay.h"
#include "backend/guest/protocol.h"

enum { BACKLOG = 1024, EXIT_USAGE = 2 };

/* Bind @name in @dir, for the directory's group (it has the set-group-ID bit). */
static int
listen_in(const char *dir, const char *name, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, name);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    mode_t mask;
    int r;

    if (fd < 0)
        return -1;
    if (len >= (int)sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    unlink(address.sun_path); /* of an earlier life */
    mask = umask(0117);
    r = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    umask(mask);
    return r < 0 || listen(fd, BACKLOG) < 0 ? -1 : fd;
}

static int
open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool
names(const char *entry, const char *name)
{
    size_t len = strlen(name);

    return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

/* What commands get of our environment: the image's, with a user's own variables. */
static char **
base_environment(char **envp, const char *home)
{
    static char user[] = "USER=sandbox";
    static char logname[] = "LOGNAME=sandbox";
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char home_entry[sizeof("HOME=") + 4096];
    bool has_path = false;
    size_t n = 0, i;
    char **env;

    while (envp[n])
        n++;
    env = calloc(n + 5, sizeof(*env));
    if (!env)
        return NULL;
    for (i = n = 0; envp[i]; i++) {
        if (names(envp[i], "HOME") || names(envp[i], "USER") || names(envp[i], "LOGNAME"))
            continue;
        has_path = has_path || names(envp[i], "PATH");
        env[n++] = envp[i];
    }
    snprintf(home_entry, sizeof(home_entry), "HOME=%s", home);
    env[n++] = home_entry;
    env[n++] = user;
    env[n++] = logname;
    if (!has_path)
        env[n] = path;
    return env;
}

static bool
parse_id(const char *text, unsigned *ret)
{
    char *end;
    unsigned long id = strtoul(text, &end, 10);

    *ret = (unsigned)id;
    return *text != '\0' && *end == '\0' && id > 0 && id < UINT32_MAX;
}

/*
 * What is made in the directory for the host to use gets the directory's group, by which the host's
 * service may use it: from the kernel, since that has the setgid bit, or else (gVisor) from us.
 */
static int
take_group(const char *directory)
{
    struct stat st;

    return stat(directory, &st) < 0 || setegid(st.st_gid) < 0 ? errno : 0;
}

int
main(int argc, char **argv, char **envp)
{
    struct guest g = {0};
    int r;

    if (getpid() != 1 || argc < 5 || argc > 7 || !parse_id(argv[2], &g.uid) ||
        !parse_id(argv[3], &g.gid)) {
        dprintf(STDERR_FILENO, "usage, as PID 1: sandbox-guest RUN_DIR UID GID HOME_DIR "
                               "[WORKSPACE_DIR [PROXY_SOCKET]]\n");
        return EXIT_USAGE;
    }
    g.run_dir = argv[1];
    g.home = argv[4];
    g.workspace = argv[5];
    g.proxy = g.workspace ? argv[6] : NULL;
    r = confine();
    if (r != 0) {
        complain("giving up privileges", r);
        return EXIT_FAILURE;
    }
    r = home_prepare(&g);
    if (r != 0)
        complain("fork", r);
    r = take_group(g.run_dir);
    if (r != 0)
        complain("taking the directory's group", r);
    g.env = base_environment(envp, g.home);
    g.oom = oom_counter_open();
    g.signals = open_signals();
    g.wanted = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g.slots = keeper_slots_new();
    if (g.slots)
        keeper_user_set(&g, g.uid, g.gid);
    g.relay = g.proxy ? relay_listen() : -1;
    if (g.proxy && g.relay < 0)
        complain("listening for the proxy's clients", errno); /* they are refused, then */
    g.control = listen_in(g.run_dir, GUEST_CONTROL_SOCKET, SOCK_SEQPACKET | SOCK_NONBLOCK);
    g.listener = listen_in(g.run_dir, GUEST_SOCKET, SOCK_STREAM); /* last: the host looks for it */
    if (!g.env || !g.slots || g.signals < 0 || g.wanted < 0 || g.control < 0 || g.listener < 0) {
        complain("listening", errno);
        return EXIT_FAILURE;
    }
    keeper_run(&g);
}
