/* The network of tier Full: see full.h. */
#include "backend/broker/full.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backend/broker/bridge.h"
#include "backend/broker/firewall.h"
#include "backend/broker/internal.h"
#include "backend/egress/resolvers.h"
#include "backend/log.h"

enum {
    LOOK_MS = 200,      /* between two looks at the settings: they are in force within a second */
    LOOKS_A_CHECK = 10, /* and looks between two at what others may have changed */
    KNOWN_WITHIN_MS = 3000 /* after the service's start, the policy; else there is no network */
};

const char *const full_state_names[] = {
    [FULL_NONE] = "none", [FULL_PROXY] = "proxy", [FULL_BRIDGE] = "bridge"};

/* Lifetime: process. */
struct full {
    const struct service_context *context;
    char resolv_conf[FULL_PATH_SIZE]; /* the path of the one that containers get */
    pthread_mutex_t lock;             /* over all below */
    struct firewall filter;           /* as last put into the kernel */
    struct settings *settings;        /* that it was made for: a reference; NULL before */
    char *listed;                     /* what the kernel shows of it; NULL: it is to be put there */
    bool started;                     /* a thread keeps it */
    bool known;                       /* the policy is: there was a look with it */
    char refused[FULL_TROUBLE_SIZE];  /* why the engine does not have the network; "": it may */
    char trouble[FULL_TROUBLE_SIZE];  /* why containers get no network; "": they do */
};

struct full *
full_new(const struct service_context *ctx)
{
    struct full *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->context = ctx;
    pthread_mutex_init(&f->lock, NULL);
    snprintf(f->filter.table, sizeof(f->filter.table), "sandboxd_%s", ctx->instance);
    /* As much of the id as an interface's name has room for. */
    snprintf(f->filter.bridge, sizeof(f->filter.bridge), "sbx%.12s", ctx->instance);
    snprintf(f->resolv_conf, sizeof(f->resolv_conf), "%s/run/resolv.conf", ctx->state_dir);
    snprintf(f->trouble, sizeof(f->trouble), "the broker is not root");
    return f;
}

/* Note why there is no network ("" that there is), and tell the log what is new, with @detail. */
static void
note(struct full *f, const char *trouble, const char *detail)
{
    if (strcmp(f->trouble, trouble) == 0)
        return;
    snprintf(f->trouble, sizeof(f->trouble), "%s", trouble);
    if (trouble[0])
        log_warn("containers of network Full get no network: %s%s%s", trouble,
                 detail[0] ? ": " : "", detail);
    else
        log_info("containers of network Full get the bridge %s", f->filter.bridge);
}

/* Whether there is anybody for whom to have the network. */
static bool
wanted(const struct full *f, const struct settings *s)
{
    const struct tier *tiers = s->tiers.items;

    for (size_t i = 0; i < s->tiers.count; i++)
        if (tiers[i].network == NETWORK_FULL)
            return true;
    return bridge_exists(f->filter.bridge);
}

/* Whether the kernel's table is no longer what was put there. */
static bool
was_changed(const struct full *f)
{
    _cleanup_(freep) char *now = NULL;

    return firewall_list(&f->filter, &now, NULL) < 0 || strcmp(now, f->listed) != 0;
}

static void
warn_of_no_nameserver(const struct full *f)
{
    if (f->filter.nameservers.count == 0)
        log_warn("containers of network Full resolve no names: neither egress.nameservers "
                 "nor " RESOLVERS_FILE
                 " has an IPv4 address, on port 53, that is not the loopback's");
}

/* Put the filter for @s into the kernel. */
static int
apply(struct full *f, struct settings *s, bool closed, const struct nameservers *n,
      struct error *err)
{
    char *listed = NULL;
    int r;

    settings_ref(s);
    settings_unref(f->settings);
    f->settings = s;
    f->filter.closed = closed;
    f->filter.permitted = &s->egress.permit_addresses;
    f->filter.nameservers = *n;
    r = firewall_apply(&f->filter, &listed, err);
    free(f->listed);
    f->listed = listed;
    if (r == 0)
        log_info("the packet filter %s lets %s through", f->filter.table,
                 closed ? "nothing" : "the internet");
    return r;
}

/* Nothing goes over a bridge whose filter is not what it has to be. */
static void
shut(struct full *f, const struct error *why)
{
    struct error err = {0};

    free(f->listed);
    f->listed = NULL;
    note(f, why->msg, why->detail);
    if (bridge_set_up(f->filter.bridge, false, &err) < 0)
        log_error("the bridge %s stays up: %s (%s)", f->filter.bridge, err.msg, err.detail);
}

/*
 * Have the filter as the settings @s say, which lets nothing through if @closed. @check: look also
 * at what others may have changed. The caller has the lock.
 */
static void
keep(struct full *f, struct settings *s, bool closed, bool check)
{
    struct error err = {0};
    bool changed = s != f->settings || closed != f->filter.closed;
    struct nameservers n = f->filter.nameservers;

    if (!changed && !check)
        return;
    if (!wanted(f, s)) {
        note(f, "no tier has it", "");
        return;
    }
    n = nameservers_find(&s->egress.nameservers, RESOLVERS_FILE);
    changed = changed || !nameservers_same(&n, &f->filter.nameservers);
    if (changed || !f->listed || was_changed(f)) {
        if (nameservers_write(&n, f->resolv_conf, &err) < 0 || apply(f, s, closed, &n, &err) < 0) {
            shut(f, &err);
            return;
        }
        if (changed)
            warn_of_no_nameserver(f);
    }
    if (bridge_set_up(f->filter.bridge, true, &err) < 0 ||
        bridge_isolate(f->filter.bridge, &err) < 0)
        shut(f, &err);
    else if (!bridge_forwards())
        note(f, "the machine does not forward packets (net.ipv4.ip_forward is 0)", "");
    else
        note(f, "", "");
}

/*
 * One look at the settings and at what the egress proxy's process, which knows the overrides, says
 * of them. Before its first word the filter stays as it is, for containers may be using it.
 */
static void
look(struct full *f, bool check)
{
    const struct service_context *ctx = f->context;
    int gate = atomic_load(&ctx->shared->full_gate);
    unsigned generation;
    _cleanup_(settings_unrefp) struct settings *s = current_get(ctx->current, &generation);

    pthread_mutex_lock(&f->lock);
    if (gate != SHARED_GATE_UNKNOWN) {
        keep(f, s, gate == SHARED_GATE_CLOSED, check);
        f->known = true;
    }
    pthread_mutex_unlock(&f->lock);
}

static void *
keeper_main(void *arg)
{
    struct full *f = arg;

    /* Others change what lies in shared memory, and wake nobody. */
    for (unsigned looks = 1;; looks++) {
        poll(NULL, 0, LOOK_MS);
        look(f, looks % LOOKS_A_CHECK == 0);
    }
    return NULL;
}

int
full_start(struct full *f, struct error *err)
{
    pthread_t thread;
    int rc;

    f->started = true;
    snprintf(f->trouble, sizeof(f->trouble), "the service has just started");
    look(f, true);
    rc = pthread_create(&thread, NULL, keeper_main, f);
    if (rc != 0)
        return error_errno(err, rc, "pthread_create");
    pthread_detach(thread);
    return 0;
}

enum full_state
full_state(struct full *f, char ret_trouble[FULL_TROUBLE_SIZE])
{
    enum full_state state;

    pthread_mutex_lock(&f->lock);
    snprintf(ret_trouble, FULL_TROUBLE_SIZE, "%s", f->trouble[0] ? f->trouble : f->refused);
    state = ret_trouble[0] ? FULL_NONE : f->filter.closed ? FULL_PROXY : FULL_BRIDGE;
    pthread_mutex_unlock(&f->lock);
    return state;
}

/* Whether the engine's network is the one that we would make. */
static bool
is_ours(const struct full *f, const struct docker_network *n, json_t *labels)
{
    const char *instance = json_string_value(json_object_get(labels, BROKER_LABEL_INSTANCE));

    return instance && strcmp(instance, f->context->instance) == 0 &&
           strcmp(n->driver, "bridge") == 0 && strcmp(n->bridge, f->filter.bridge) == 0 &&
           !n->icc && !n->ipv6;
}

/* Find or make it, once. */
static int
find_network(const struct full *f, struct docker *d, const char *name, struct error *err)
{
    json_auto_t *labels = NULL;
    json_auto_t *wished = json_pack("{s:s}", BROKER_LABEL_INSTANCE, f->context->instance);
    struct docker_network n = {0};
    int r = docker_network_inspect(d, name, &n, &labels, err);

    if (r == -ENOENT && wished) {
        error_clear(err);
        snprintf(n.name, sizeof(n.name), "%s", name);
        snprintf(n.bridge, sizeof(n.bridge), "%s", f->filter.bridge);
        r = docker_network_create(d, &n, wished, err);
        if (r == -EEXIST) { /* by another thread */
            error_clear(err);
            r = 0;
        }
        if (r == 0)
            r = docker_network_inspect(d, name, &n, &labels, err);
    }
    if (r < 0)
        return r;
    if (!is_ours(f, &n, labels))
        return error_set(err, ERR_CONFLICT, "the engine's network '%s' is not as it should be",
                         name);
    return bridge_exists(f->filter.bridge)
               ? 0
               : error_set(err, ERR_CONFLICT, "the engine's bridge is not on this machine");
}

static void
set_dns(struct full *f, struct full_place *ret)
{
    struct nameservers n;

    pthread_mutex_lock(&f->lock);
    n = f->filter.nameservers;
    pthread_mutex_unlock(&f->lock);
    for (size_t i = 0; i < n.count; i++) {
        inet_ntop(AF_INET, &n.list[i], ret->addresses[i], sizeof(ret->addresses[i]));
        ret->dns[i] = ret->addresses[i];
    }
    ret->dns[n.count] = n.count == 0 ? NAMESERVERS_NOBODY : NULL;
}

static void
set_refused(struct full *f, const char *why)
{
    pthread_mutex_lock(&f->lock);
    snprintf(f->refused, sizeof(f->refused), "%s", why);
    pthread_mutex_unlock(&f->lock);
}

/* Whether there is a network to be had; at the service's start that takes a moment to be known. */
static bool
has_network(struct full *f)
{
    bool known = false, has = false;

    for (int waited_ms = 0; !known && waited_ms <= KNOWN_WITHIN_MS; waited_ms += LOOK_MS) {
        if (waited_ms > 0)
            poll(NULL, 0, LOOK_MS);
        pthread_mutex_lock(&f->lock);
        known = f->known || !f->started;
        has = f->known && f->trouble[0] == '\0';
        pthread_mutex_unlock(&f->lock);
    }
    return has;
}

int
full_offer(struct full *f, struct docker *d, struct full_place *ret, struct error *err)
{
    char name[sizeof(ret->network)];
    struct error why = {0};
    int r;

    *ret = (struct full_place){.network = ""};
    if (!has_network(f))
        return 0;
    snprintf(name, sizeof(name), "sandbox-%s-full", f->context->instance);
    r = find_network(f, d, name, &why);
    if (r == -EAGAIN) {
        *err = why;
        return r;
    }
    set_refused(f, r < 0 ? why.msg : "");
    if (r < 0) {
        log_error("a container of network Full gets no network: %s (%s)", why.msg, why.detail);
        return 0;
    }
    snprintf(ret->network, sizeof(ret->network), "%s", name);
    snprintf(ret->resolv_conf, sizeof(ret->resolv_conf), "%s", f->resolv_conf);
    set_dns(f, ret);
    return 0;
}

/* Whether the network namespace of @pid has more than its loopback; yes where it cannot be seen. */
static bool
is_connected(int pid)
{
    char path[40], line[256];
    FILE *interfaces;
    size_t count = 0;

    snprintf(path, sizeof(path), "/proc/%d/net/dev", pid);
    interfaces = fopen(path, "re");
    if (!interfaces)
        return true;
    while (fgets(line, sizeof(line), interfaces))
        count += strchr(line, ':') != NULL;
    fclose(interfaces);
    return count > 1;
}

int
full_secure(struct full *f, int pid, struct error *err)
{
    bool filtered;
    int r;

    /* One that was made while there was no network to be had needs no filter. */
    if (!bridge_exists(f->filter.bridge) || !is_connected(pid))
        return 0;
    pthread_mutex_lock(&f->lock);
    filtered = f->listed != NULL;
    pthread_mutex_unlock(&f->lock);
    if (!filtered)
        return error_set(err, ERR_DOCKER,
                         "network Full has no packet filter at the moment; try again");
    r = bridge_isolate(f->filter.bridge, err);
    return r < 0 ? r : firewall_silence(pid, err);
}
