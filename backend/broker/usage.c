/* Figures from cgroup files: see usage.h. */
#include "backend/broker/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <uthash.h>

#include "backend/guest/protocol.h"

enum {
    SAMPLE_FRESH_MS = 500,   /* a reading younger than this is given again */
    SAMPLE_STALE_MS = 10000, /* one older than this says nothing about now */
    SAMPLE_WAIT_MS = 100,
    SAMPLES_MAX = 65536, /* containers remembered; over it, all are forgotten */
    PATH_SIZE = 256
};

/* Where a container's cgroup may be: the engine's id stands between before and after. */
static const struct layout {
    bool v2; /* one hierarchy for all controllers; v1 has one for each */
    const char *before;
    const char *after;
} layouts[] = {
    {false, "docker/", ""},
    {false, "system.slice/docker-", ".scope"},
    {true, "system.slice/docker-", ".scope"},
    {true, "docker/", ""},
};

enum { LAYOUT_UNKNOWN = -1, LAYOUT_DOCKER = -2 }; /* not looked for yet; ask the engine */

struct sample {
    char id[CONTAINER_ID_SIZE]; /* key */
    char engine_id[DOCKER_ID_SIZE];
    int64_t own_tasks; /* the guest's */
    int layout;        /* index into layouts, or LAYOUT_* */
    int64_t at_ms;     /* CLOCK_MONOTONIC of the reading; 0: none */
    uint64_t cpu_ns;
    struct engine_stats stats;
    UT_hash_handle hh;
};

struct usage {
    pthread_mutex_t lock; /* over samples */
    char label[96];
    char id_label[32], relay_label[32];
    struct sample *samples;
};

struct usage *
usage_new(const char *label, const char *id_label, const char *relay_label)
{
    struct usage *u = calloc(1, sizeof(*u));

    if (!u)
        return NULL;
    pthread_mutex_init(&u->lock, NULL);
    snprintf(u->label, sizeof(u->label), "%s", label);
    snprintf(u->id_label, sizeof(u->id_label), "%s", id_label);
    snprintf(u->relay_label, sizeof(u->relay_label), "%s", relay_label);
    return u;
}

static void
forget_all(struct usage *u)
{
    struct sample *s, *next;

    HASH_ITER(hh, u->samples, s, next)
    {
        HASH_DEL(u->samples, s);
        free(s);
    }
}

/* Learn the engine's ids of all our containers: one question for all. */
static int
learn(struct usage *u, struct docker *docker, struct error *err)
{
    struct docker_container *list = NULL;
    size_t count = 0;
    int r = docker_container_list(docker, u->label, false, &list, &count, err);

    if (r < 0)
        return r;
    if (HASH_COUNT(u->samples) + count > SAMPLES_MAX)
        forget_all(u);
    for (size_t i = 0; i < count; i++) {
        const char *id = json_string_value(json_object_get(list[i].labels, u->id_label));
        struct sample *s = NULL;

        /* What does not run has no figures, and may be what a rollback has left under the same id.
         */
        if (!id || !id_is_container(id) || !list[i].running)
            continue;
        HASH_FIND_STR(u->samples, id, s);
        if (s && strcmp(s->engine_id, list[i].id) == 0)
            continue;
        if (!s) {
            s = calloc(1, sizeof(*s));
            if (!s) {
                r = error_errno(err, ENOMEM, "samples");
                break;
            }
            memcpy(s->id, id, strlen(id));
            HASH_ADD_STR(u->samples, id, s);
        }
        snprintf(s->engine_id, sizeof(s->engine_id), "%s", list[i].id);
        s->own_tasks = GUEST_RESERVED_TASKS;
        if (json_string_length(json_object_get(list[i].labels, u->relay_label)) > 0)
            s->own_tasks += GUEST_RELAY_TASKS;
        s->layout = LAYOUT_UNKNOWN;
        s->at_ms = 0;
    }
    docker_container_list_free(list, count);
    return r;
}

/* Read the file of @controller ("" on v2) in the container's cgroup into @buf. False: not there. */
static bool
read_file(const struct sample *s, const struct layout *layout, const char *controller,
          const char *file, char *buf, size_t size)
{
    char path[PATH_SIZE];
    _cleanup_(closep) int fd = -1;
    ssize_t n;

    snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/%s%s%s/%s", layout->v2 ? "" : controller,
             layout->before, s->engine_id, layout->after, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, buf, size - 1);
    if (n < 0)
        return false;
    buf[n] = '\0';
    return true;
}

/* The number behind @key at the start of a line of @text; 0 if it is not there. */
static uint64_t
keyed(const char *text, const char *key)
{
    size_t len = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n')
            line++;
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            return strtoull(line + len, NULL, 10);
    }
    return 0;
}

static bool
read_cgroup(const struct sample *s, const struct layout *layout, struct docker_stats *ret)
{
    char text[4096];
    uint64_t used, cache;

    if (!read_file(s, layout, "cpuacct", layout->v2 ? "cpu.stat" : "cpuacct.usage", text,
                   sizeof(text)))
        return false;
    ret->cpu_ns = layout->v2 ? keyed(text, "usage_usec") * 1000 : strtoull(text, NULL, 10);
    if (!read_file(s, layout, "memory", layout->v2 ? "memory.current" : "memory.usage_in_bytes",
                   text, sizeof(text)))
        return false;
    used = strtoull(text, NULL, 10);
    if (!read_file(s, layout, "memory", "memory.stat", text, sizeof(text)))
        return false;
    cache = keyed(text, layout->v2 ? "inactive_file" : "total_inactive_file");
    ret->memory_bytes = used > cache ? used - cache : 0;
    if (!read_file(s, layout, "pids", "pids.current", text, sizeof(text)))
        return false;
    ret->pids = strtoull(text, NULL, 10);
    return true;
}

/* Find out which layout holds for a running container of this engine. */
static int
find_layout(const struct sample *s)
{
    struct docker_stats ignored;

    for (size_t i = 0; i < ARRAY_LEN(layouts); i++)
        if (read_cgroup(s, &layouts[i], &ignored))
            return (int)i;
    return LAYOUT_DOCKER;
}

/* An engine that does not answer is asked once in a call, not once for each container. */
static bool
read_figures(struct sample *s, struct docker **docker, struct docker_stats *ret)
{
    int r;

    if (s->layout == LAYOUT_UNKNOWN)
        s->layout = find_layout(s);
    if (s->layout >= 0)
        return read_cgroup(s, &layouts[s->layout], ret);
    r = *docker ? docker_container_stats(*docker, s->engine_id, ret, NULL) : -EHOSTDOWN;
    if (r == -EHOSTDOWN)
        *docker = NULL;
    return r == 0;
}

/* Take a reading; the CPU's share is over the time since the one before, if that says something. */
static void
take(struct sample *s, struct docker **docker)
{
    int64_t now_ms = time_monotonic_ms();
    struct docker_stats figures = {0};

    if (!read_figures(s, docker, &figures) || figures.pids == 0) {
        s->stats = (struct engine_stats){0};
        s->layout = LAYOUT_UNKNOWN; /* it may run again, elsewhere */
        s->at_ms = 0;
        return;
    }
    if (s->at_ms != 0 && now_ms > s->at_ms && figures.cpu_ns >= s->cpu_ns)
        s->stats.cpu_percent =
            (double)(figures.cpu_ns - s->cpu_ns) / 1e4 / (double)(now_ms - s->at_ms);
    s->stats.running = true;
    s->stats.memory_mb = (double)figures.memory_bytes / (1 << 20);
    s->stats.processes =
        (int64_t)figures.pids > s->own_tasks ? (int64_t)figures.pids - s->own_tasks : 0;
    s->cpu_ns = figures.cpu_ns;
    s->at_ms = now_ms;
}

static bool
older(const struct sample *s, int64_t age_ms)
{
    return s->at_ms == 0 || time_monotonic_ms() - s->at_ms > age_ms;
}

/* Readings for all of @found (NULL: not known to the engine). False if one of them gives none. */
static bool
read_all(struct sample **found, size_t count, struct docker *docker)
{
    const struct timespec wait = {.tv_nsec = SAMPLE_WAIT_MS * 1000000L};
    bool first = false;
    bool all = true;

    for (size_t i = 0; i < count; i++) {
        if (!found[i] || !older(found[i], SAMPLE_STALE_MS))
            continue;
        found[i]->at_ms = 0;
        take(found[i], &docker);
        first = first || found[i]->at_ms != 0;
    }
    if (first)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
    for (size_t i = 0; i < count; i++) {
        if (found[i] && found[i]->at_ms != 0 && (first || older(found[i], SAMPLE_FRESH_MS)))
            take(found[i], &docker);
        all = all && (!found[i] || found[i]->at_ms != 0);
    }
    return all;
}

/* Look the ids up; false if one is not known. */
static bool
find_all(struct usage *u, const char (*ids)[CONTAINER_ID_SIZE], size_t count, struct sample **found)
{
    bool all = true;

    for (size_t i = 0; i < count; i++) {
        HASH_FIND_STR(u->samples, ids[i], found[i]);
        all = all && found[i];
    }
    return all;
}

int
usage_read(struct usage *u, struct docker *docker, const char (*ids)[CONTAINER_ID_SIZE],
           size_t count, struct engine_stats *ret, struct error *err)
{
    _cleanup_(freep) struct sample **found = calloc(count, sizeof(struct sample *));
    bool known;
    int r = 0;

    if (!found)
        return error_errno(err, ENOMEM, "samples");
    pthread_mutex_lock(&u->lock);
    known = find_all(u, ids, count, found);
    if (!known || !read_all(found, count, docker)) {
        /* One is new to us, or was made anew, which gives it another id in the engine. */
        r = learn(u, docker, known ? NULL : err);
        find_all(u, ids, count, found);
        if (r == 0)
            read_all(found, count, docker);
        else if (known)
            r = 0; /* what does not run with its engine has no figures */
    }
    for (size_t i = 0; r == 0 && i < count; i++)
        ret[i] = found[i] ? found[i]->stats : (struct engine_stats){0};
    pthread_mutex_unlock(&u->lock);
    return r;
}
