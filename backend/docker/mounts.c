/*
 * The mounts of a container that the engine just made: see posture.h.
 *
 * An image's VOLUMEs cannot be refused in ContainerCreate. What the engine makes of one is a fresh,
 * nameless directory of its own, filled from the image: as much the container's as its layer, and
 * removed with it. Like the layer it is not nosuid, which commands, who have no new privileges, gain
 * nothing by. A volume of a name would be one that others have, too.
 */
#include "backend/docker/posture.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "backend/docker/call.h"

enum { NAMELESS_LEN = 64, PATH_SIZE = 4096 };

/* The kernel's, the engine's and the guest's. Volumes there would be made in what the host shares
 * with the container, or take the place of a limit (/dev/shm). */
static const char *const reserved[] = {"/dev", "/proc", "/sys", "/.sandbox"};

/* A part of the text of a bind, "source:target[:options]". */
struct span {
    const char *at;
    size_t len;
};

struct bind {
    struct span source, target, options;
};

static struct span
next_part(const char **text)
{
    struct span part = {*text, strcspn(*text, ":")};

    *text += part.len + ((*text)[part.len] == ':');
    return part;
}

static struct bind
bind_parse(const char *text)
{
    struct bind b;

    b.source = next_part(&text);
    b.target = next_part(&text);
    b.options = (struct span){text, strlen(text)};
    return b;
}

static bool
span_is(struct span s, const char *text)
{
    return text && strlen(text) == s.len && memcmp(s.at, text, s.len) == 0;
}

/* Whether the options, separated by commas, have @option. */
static bool
has_option(struct span options, const char *option)
{
    size_t len = strlen(option), i = 0;

    while (i < options.len) {
        const char *at = options.at + i;
        size_t word = strcspn(at, ",");

        if (word == len && memcmp(at, option, len) == 0)
            return true;
        i += word + 1;
    }
    return false;
}

static const char *
text_of(json_t *mount, const char *key)
{
    const char *text = json_string_value(json_object_get(mount, key));

    return text ? text : "";
}

/* Whether @mount is what the body's bind @text asks for. What is mounted on either side later is
 * seen on the other one only where that was asked for. */
static bool
is_bind(json_t *mount, const char *text)
{
    struct bind b = bind_parse(text);
    const char *propagation = has_option(b.options, "rslave") ? "rslave" : "rprivate";

    return span_is(b.source, text_of(mount, "Source")) &&
           span_is(b.target, text_of(mount, "Destination")) &&
           json_is_true(json_object_get(mount, "RW")) == !has_option(b.options, "ro") &&
           strcmp(text_of(mount, "Propagation"), propagation) == 0;
}

static bool
is_asked_bind(json_t *mount, json_t *binds)
{
    json_t *bind;
    size_t i;

    json_array_foreach(binds, i, bind)
    {
        if (is_bind(mount, json_string_value(bind)))
            return true;
    }
    return false;
}

/* Whether @path is @other or below it. */
static bool
is_within(const char *path, const char *other)
{
    size_t len = strlen(other);

    return strncmp(path, other, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Whether a volume at @path would be in the way of what the body mounts, or of the system. */
static bool
is_in_the_way(const char *path, json_t *host)
{
    json_t *binds = json_object_get(host, "Binds"), *bind, *options;
    char target[PATH_SIZE];
    const char *tmpfs;
    size_t i;

    for (i = 0; i < ARRAY_LEN(reserved); i++)
        if (is_within(path, reserved[i]))
            return true;
    json_array_foreach(binds, i, bind)
    {
        struct bind b = bind_parse(json_string_value(bind));

        snprintf(target, sizeof(target), "%.*s", (int)b.target.len, b.target.at);
        if (is_within(path, target) || is_within(target, path))
            return true;
    }
    json_object_foreach(json_object_get(host, "Tmpfs"), tmpfs, options)
    {
        if (is_within(path, tmpfs) || is_within(tmpfs, path))
            return true;
    }
    return false;
}

/* Whether the image declares a volume at @path, which the engine gives cleaned: "/data/" is there
 * as "/data". */
static bool
is_declared(const char *path, json_t *volumes)
{
    const char *declared;
    json_t *nothing;

    json_object_foreach(volumes, declared, nothing)
    {
        size_t len = strlen(path);

        if (strncmp(declared, path, len) == 0 &&
            strspn(declared + len, "/") == strlen(declared + len))
            return true;
    }
    return false;
}

/* Whether @mount is a volume that the engine made for this container alone. */
static bool
is_own_volume(json_t *mount, json_t *volumes)
{
    const char *name = text_of(mount, "Name");

    return strcmp(text_of(mount, "Type"), "volume") == 0 &&
           strcmp(text_of(mount, "Driver"), "local") == 0 && strlen(name) == NAMELESS_LEN &&
           strspn(name, "0123456789abcdef") == NAMELESS_LEN &&
           is_declared(text_of(mount, "Destination"), volumes);
}

static int
check_volume(json_t *mount, json_t *volumes, json_t *host, struct error *err)
{
    const char *path = text_of(mount, "Destination");
    char shown[128];

    if (!is_own_volume(mount, volumes))
        return docker_posture_refuse("Mounts", mount, err);
    if (!is_in_the_way(path, host))
        return 0;
    docker_message(path, shown, sizeof(shown));
    return error_set(err, ERR_DOCKER,
                     "the image has a VOLUME at '%s', where a sandbox has something of its own; "
                     "the template is to be made from one without",
                     shown);
}

int
docker_posture_check_mounts(json_t *inspect, json_t *body, struct error *err)
{
    json_t *mounts = json_object_get(inspect, "Mounts"), *mount;
    json_t *host = json_object_get(body, "HostConfig"), *binds = json_object_get(host, "Binds");
    json_t *volumes = json_object_get(json_object_get(inspect, "Config"), "Volumes");
    size_t i, bound = 0;
    int r = 0;

    json_array_foreach(mounts, i, mount)
    {
        if (strcmp(text_of(mount, "Type"), "bind") != 0)
            r = check_volume(mount, volumes, host, err);
        else if (is_asked_bind(mount, binds))
            bound++;
        else
            r = docker_posture_refuse("Mounts", mount, err);
        if (r < 0)
            return r;
    }
    return bound == json_array_size(binds) ? 0 : docker_posture_refuse("Mounts", mounts, err);
}
