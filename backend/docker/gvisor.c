/*
 * What the arguments of gVisor's runsc keep it from (`runsc flags`). Docker passes the runtimeArgs
 * of its daemon.json on; those of a shim (runtimeType) stand in a file of the shim's own, so that
 * nothing is known of it.
 */
#include "backend/docker/call.h"

#include <string.h>

/* The last part of a path. */
static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/*
 * The value of the flag @name in the argument @i, NULL if that is another one: "--name=value",
 * "--name" before "value", each with one dash or two. "" for a flag that ends the list.
 */
static const char *
flag_value(const json_t *arguments, size_t i, const char *name)
{
    const char *text = json_string_value(json_array_get(arguments, i)), *next;
    size_t len = strlen(name);

    if (!text || text[0] != '-')
        return NULL;
    text += text[1] == '-' ? 2 : 1;
    if (strncmp(text, name, len) != 0)
        return NULL;
    if (text[len] == '=')
        return text + len + 1;
    next = json_string_value(json_array_get(arguments, i + 1));
    return text[len] == '\0' ? (next ? next : "") : NULL;
}

unsigned
docker_runtime_lacks(const json_t *runtime)
{
    const char *path = json_string_value(json_object_get(runtime, "path")), *value;
    const json_t *arguments = json_object_get(runtime, "runtimeArgs");
    unsigned lacks = DOCKER_LACKS_CREATE | DOCKER_LACKS_OPEN;

    if (!path || strncmp(base_name(path), "runsc", strlen("runsc")) != 0)
        return 0;
    for (size_t i = 0; i < json_array_size(arguments); i++) {
        if ((value = flag_value(arguments, i, "host-uds"))) {
            lacks |= DOCKER_LACKS_CREATE | DOCKER_LACKS_OPEN;
            if (strcmp(value, "all") == 0 || strcmp(value, "create") == 0)
                lacks &= ~(unsigned)DOCKER_LACKS_CREATE;
            if (strcmp(value, "all") == 0 || strcmp(value, "open") == 0)
                lacks &= ~(unsigned)DOCKER_LACKS_OPEN;
        } else if ((value = flag_value(arguments, i, "fsgofer-host-uds"))) {
            if (strcmp(value, "false") != 0) /* a flag that takes no word after it */
                lacks &= ~(unsigned)(DOCKER_LACKS_CREATE | DOCKER_LACKS_OPEN);
        } else if ((value = flag_value(arguments, i, "network"))) {
            lacks &= ~(unsigned)DOCKER_LACKS_NETWORK;
            lacks |= strcmp(value, "none") == 0 ? DOCKER_LACKS_NETWORK : 0;
        }
    }
    return lacks;
}
