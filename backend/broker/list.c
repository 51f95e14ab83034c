/* What this instance has in the engine and on disk: see operations.h. */
#include "backend/broker/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "backend/beneath.h"
#include "backend/egress/egress.h"
#include "backend/log.h"

/* A growing list of what exists. */
struct found {
    struct engine_container *items;
    size_t count;
};

/* Add container @id, unless it is there; @c is how the engine describes it, NULL: not at all. */
static int
found_add(struct found *f, const char *id, const struct docker_container *c, struct error *err)
{
    struct engine_container *more;

    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->items[i].id, id) == 0)
            return 0;
    more = reallocarray(f->items, f->count + 1, sizeof(*more));
    if (!more)
        return error_errno(err, ENOMEM, "list of containers");
    f->items = more;
    f->items[f->count] = (struct engine_container){
        .exists = c != NULL,
        .running = c && c->running,
        .disk_bytes = c ? c->size_rw : -1,
    };
    snprintf(f->items[f->count].id, CONTAINER_ID_SIZE, "%s", id);
    f->count++;
    return 0;
}

/* Add the containers that left something in the directory @name of the state directory. */
static int
add_leftovers(struct broker *b, const char *name, struct found *f, struct error *err)
{
    int fd = beneath_open(b->state_fd, name, O_RDONLY | O_DIRECTORY);
    _cleanup_(closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    int r = 0;

    if (!dir)
        return error_errno(err, errno, name);
    while (r == 0 &&
           (entry = readdir(dir))) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        if (id_is_container(entry->d_name))
            r = found_add(f, entry->d_name, NULL, err);
    return r;
}

/* The id of one of our containers; NULL for any other that came by our label, as what is made from
 * an image of a snapshot does. *ret_main: it is not one of a rollback under way or cut off. */
static const char *
our_id(const struct broker *b, const struct docker_container *c, bool *ret_main)
{
    const char *id = json_string_value(json_object_get(c->labels, BROKER_LABEL_ID));
    char name[BROKER_NAME_SIZE];

    if (!id || !id_is_container(id))
        return NULL;
    for (enum broker_part part = PART_MAIN; part <= PART_OLD; part++) {
        broker_name(b, id, part, name);
        *ret_main = part == PART_MAIN;
        if (strcmp(name, c->name) == 0)
            return id;
    }
    return NULL;
}

/* Settle the rollbacks that were cut off; what somebody works on is left alone. */
static void
settle_all(struct broker *b, struct docker *d, const struct docker_container *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_(turn_end) struct turn turn = {0};
        struct error err = {0};
        bool main_part = true;
        const char *id = our_id(b, &list[i], &main_part);

        if (id && !main_part && turn_try(b->turns, id, &turn) && broker_settle(b, d, id, &err) < 0)
            log_warn("broker: what a rollback of %s left stays for now: %s", id, err.msg);
    }
}

int
broker_list(struct broker *b, struct docker *d, bool disk, struct engine_container **ret,
            size_t *ret_count, struct error *err)
{
    struct docker_container *list = NULL;
    struct found found = {0};
    size_t count = 0;
    int r = docker_container_list(d, b->label, disk, &list, &count, err);

    /* The parts of a rollback are one container: the main one, if there is one, speaks for it. */
    for (int mains = 1; mains >= 0; mains--)
        for (size_t i = 0; r == 0 && i < count; i++) {
            bool main_part = true;
            const char *id = our_id(b, &list[i], &main_part);

            if (id && main_part == (mains == 1))
                r = found_add(&found, id, &list[i], err);
        }
    if (r == 0)
        settle_all(b, d, list, count);
    docker_container_list_free(list, count);
    if (r == 0)
        r = add_leftovers(b, "guests", &found, err);
    if (r == 0)
        r = add_leftovers(b, "slots", &found, err);
    if (r == 0)
        r = add_leftovers(b, EGRESS_DIRECTORY, &found, err);
    if (r < 0) {
        free(found.items);
        return r;
    }
    *ret = found.items;
    *ret_count = found.count;
    return 0;
}
