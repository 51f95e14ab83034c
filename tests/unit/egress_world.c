/* The egress proxy's world: see egress_world.h. */
#include "tests/unit/egress_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <sodium.h>

#include "backend/egress/egress.h"
#include "backend/id.h"
#include "backend/log.h"

#define DNS_ADDRESS "127.9.9.53"

enum { YAML_SIZE = 4096, POLL_MS = 10, DNS_TRIES = 20 };

static const char *const zone[] = {
    "--address=/allowed.test/" HOST_ADDRESS,   "--address=/wild.test/" HOST_ADDRESS,
    "--address=/elsewhere.test/" HOST_ADDRESS, "--address=/xn--bcher-kva.test/" HOST_ADDRESS,
    "--address=/down.test/127.9.9.10",         "--address=/private.test/10.0.0.1",
    "--address=/loop.test/127.0.0.1",          "--address=/metadata.test/169.254.169.254",
    "--address=/mapped.test/::ffff:10.0.0.1",  "--address=/loop6.test/::1",
    "--address=/own.test/" OWN_ADDRESS,        "--host-record=mixed.test,10.0.0.1",
    "--host-record=mixed.test," HOST_ADDRESS,  "--local=/test/",
};

static struct current
    *settings; /* lives as long as the process, and so does its directory's name */

static void
set_address(struct ifreq *request, const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    inet_pton(AF_INET, address, &in.sin_addr);
    memcpy(&request->ifr_addr, &in, sizeof(in));
}

void
world_isolate(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    struct ifreq own = {.ifr_name = "lo:1"};
    int r = unshare(CLONE_NEWNET), fd;

    if (r < 0)
        r = unshare(CLONE_NEWUSER | CLONE_NEWNET); /* who is not root can be it in there */
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (r == 0)
        r = ioctl(fd, SIOCSIFFLAGS, &up);
    set_address(&own, OWN_ADDRESS);
    if (r == 0)
        r = ioctl(fd, SIOCSIFADDR, &own);
    if (r < 0) {
        perror("a network of the test's own");
        exit(1);
    }
    close(fd);
}

static int
socket_on(int type, const char *address, unsigned *ret_port)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, address, &in.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 1024), 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static void
wait_patiently(int fd)
{
    const struct timeval patience = {.tv_sec = WORLD_PATIENCE_SECONDS};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static void
pause_briefly(void)
{
    poll(NULL, 0, POLL_MS);
}

static void
write_yaml(const struct egress_world *w, const char *egress)
{
    char path[128], new_path[136], text[YAML_SIZE];
    FILE *f;

    snprintf(text, sizeof(text),
             "network_policy:\n"
             "  enabled: true\n"
             "  allowed_domains: [allowed.test, '*.wild.test', bücher.test, down.test, "
             "mixed.test,\n"
             "    private.test, loop.test, loop6.test, metadata.test, mapped.test, rebind.test,\n"
             "    missing.test, own.test, 127.9.9.9, 10.0.0.2]\n"
             "  blocked_domains: [blocked.wild.test]\n"
             "egress:\n"
             "  ports: [80, 443, %u, %u]\n"
             "  plain_ports: [%u]\n"
             "  permit_addresses: [127.9.9.0/24]\n"
             "  nameservers: ['" DNS_ADDRESS ":%u']\n"
             "%s",
             w->tls_port, w->plain_port, w->plain_port, w->dns_port, egress ? egress : "");
    snprintf(path, sizeof(path), "%s/sandbox.yaml", w->yaml);
    snprintf(new_path, sizeof(new_path), "%s.new", path);
    f = fopen(new_path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(rename(new_path, path), 0);
}

static void
make_files(struct egress_world *w, const char *egress)
{
    static const char *const others[] = {"tiers.yaml", "templates.yaml", "access.yaml"};
    char from[PATH_MAX], to[128], path[128];
    struct error err = {0};

    snprintf(w->dir, sizeof(w->dir), "/tmp/test-egress.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->yaml, sizeof(w->yaml), "%s/yaml", w->dir);
    snprintf(path, sizeof(path), "%s/" EGRESS_DIRECTORY, w->dir);
    assert_int_equal(mkdir(w->yaml, 0755) | mkdir(path, 0755), 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        snprintf(path, sizeof(path), "yaml/%s", others[i]);
        snprintf(to, sizeof(to), "%s/%s", w->yaml, others[i]);
        assert_non_null(realpath(path, from));
        assert_int_equal(symlink(from, to), 0);
    }
    write_yaml(w, egress);
    snprintf(path, sizeof(path), "%s/shared", w->dir);
    assert_int_equal(shared_create(path, &w->shared, &err), 0);
    if (current_new(w->yaml, &settings, &err) < 0)
        fail_msg("%s", err.msg);
    w->ctx.current = settings;
    snprintf(path, sizeof(path), "%s/sandbox.db", w->dir);
    if (store_open(path, w->shared, &w->store, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
}

/* Ask the nameserver for ".", until it answers. False: it has ended. */
static bool
wait_for_dns(const struct egress_world *w)
{
    static const unsigned char question[] = {0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->dns_port)};
    struct timeval patience = {.tv_usec = 100000};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char answer[512];
    bool runs = true;

    inet_pton(AF_INET, DNS_ADDRESS, &in.sin_addr);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    do {
        pause_briefly();
        send(fd, question, sizeof(question), MSG_NOSIGNAL);
        runs = waitpid(w->dns, NULL, WNOHANG) == 0;
    } while (runs && recv(fd, answer, sizeof(answer), 0) < 0);
    close(fd);
    return runs;
}

/* Run dnsmasq on a port that was free for UDP; somebody may have it for TCP. False: so it is. */
static bool
try_dns(struct egress_world *w)
{
    char port[32], rebind[64];
    const char *argv[32] = {"dnsmasq",
                            "--keep-in-foreground",
                            "--conf-file=/dev/null",
                            "--no-resolv",
                            "--no-hosts",
                            "--pid-file=",
                            "--user=",
                            "--cache-size=0",
                            "--log-facility=/dev/null",
                            "--listen-address=" DNS_ADDRESS, /* NOLINT: one argument */
                            "--bind-interfaces"};
    size_t n = 11;

    close(socket_on(SOCK_DGRAM, DNS_ADDRESS, &w->dns_port));
    snprintf(port, sizeof(port), "--port=%u", w->dns_port);
    snprintf(rebind, sizeof(rebind), "--server=/rebind.test/127.0.0.1#%u", w->rebinding_port);
    argv[n++] = port;
    argv[n++] = rebind;
    for (size_t i = 0; i < ARRAY_LEN(zone); i++)
        argv[n++] = zone[i];
    w->dns = fork();
    if (w->dns == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return wait_for_dns(w);
}

void
world_start(struct egress_world *w)
{
    const struct rlimit limit = {w->descriptors_max, w->descriptors_max};
    struct error err = {0};
    int fd;

    w->proxy = fork();
    if (w->proxy == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (w->descriptors_max > 0)
            setrlimit(RLIMIT_NOFILE, &limit);
        current_reload(w->ctx.current, &err);
        log_role("egress");
        exit(egress_main(&w->ctx)); /* by exit(), at which leaks are looked for */
    }
    fd = world_come(w, RESTRICTED);
    close(fd);
}

struct egress_world *
world_new(const char *egress)
{
    struct egress_world *w = calloc(1, sizeof(*w));

    assert_true(w && sodium_init() >= 0);
    w->tls = socket_on(SOCK_STREAM, HOST_ADDRESS, &w->tls_port);
    w->plain = socket_on(SOCK_STREAM, HOST_ADDRESS, &w->plain_port);
    w->rebinding = socket_on(SOCK_DGRAM, "127.0.0.1", &w->rebinding_port);
    wait_patiently(w->tls);
    wait_patiently(w->plain);
    wait_patiently(w->rebinding);
    for (int tries = 0; !try_dns(w); tries++)
        assert_true(tries < DNS_TRIES);
    make_files(w, egress);
    w->ctx.state_dir = w->dir;
    w->ctx.shared = w->shared;
    world_container(w, RESTRICTED, NETWORK_RESTRICTED);
    world_container(w, FULL, NETWORK_FULL);
    world_start(w);
    return w;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void
world_free(struct egress_world *w)
{
    int status = -1;

    kill(w->dns, SIGTERM);
    waitpid(w->dns, NULL, 0);
    kill(w->proxy, SIGTERM);
    waitpid(w->proxy, &status, 0);
    store_free(w->store);
    close(w->tls);
    close(w->plain);
    close(w->rebinding);
    nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(w);
    assert_int_equal(status, 0);
}

void
world_reload(struct egress_world *w, const char *egress)
{
    write_yaml(w, egress);
    kill(w->proxy, SIGHUP);
}

void
world_container(struct egress_world *w, const char *id, enum network network)
{
    struct container c = {
        .owner = "alice",
        .uid = 10000,
        .agent_id = "agent",
        .scope = SCOPE_AGENT,
        .template_name = "base",
        .image = "base",
        .runtime = "runc",
        .network = network,
        .workspace_access = ACCESS_RW,
        .limits = {.cpu_cores = 1,
                   .memory_mb = 1,
                   .disk_mb = 1,
                   .max_processes = 1,
                   .timeout_seconds = 1},
        .status = CONTAINER_RUNNING,
        .created_at_ms = time_now_ms(),
    };
    struct error err = {0};
    char path[128];

    snprintf(c.id, sizeof(c.id), "%s", id);
    if (store_container_insert(w->store, &c, NULL, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
    snprintf(path, sizeof(path), "%s/" EGRESS_DIRECTORY "/%s", w->dir, id);
    assert_int_equal(mkdir(path, 0711), 0);
}

static int
take_override(json_t *stored, void *arg, json_t **ret, struct error *err)
{
    (void)stored, (void)err;
    *ret = json_loads(arg, 0, NULL);
    return *ret ? 0 : -EINVAL;
}

void
world_override(struct egress_world *w, const char *json)
{
    struct error err = {0};

    if (store_override_change(w->store, take_override, (void *)(uintptr_t)json, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
    atomic_fetch_add(&w->shared->settings_generation, 1);
}

int
world_come(struct egress_world *w, const char *id)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int tries = 0;

    snprintf(un.sun_path, sizeof(un.sun_path), "%s/" EGRESS_DIRECTORY "/%s/" EGRESS_SOCKET, w->dir,
             id);
    while (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
        assert_true(tries++ < WORLD_PATIENCE_SECONDS * 1000 / POLL_MS);
        pause_briefly();
    }
    wait_patiently(fd);
    return fd;
}
