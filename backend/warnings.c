/* Warnings: see warnings.h. */
#include "backend/warnings.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "backend/cleanup.h"
#include "backend/egress/resolvers.h"
#include "backend/floors.h"
#include "backend/runtimes.h"
#include "backend/store/store.h"

enum { LIST_SIZE = ENGINE_RUNTIMES_MAX * (ENGINE_NAME_SIZE + 2) };

/* "runc, runsc"; "none" without any. */
static void
print_runtimes(const struct engine_info *engine, char out[LIST_SIZE])
{
    size_t used = 0;

    snprintf(out, LIST_SIZE, "none");
    for (size_t i = 0; i < ENGINE_RUNTIMES_MAX && engine->runtimes[i][0]; i++)
        used += (size_t)snprintf(out + used, LIST_SIZE - used, "%s%s", i > 0 ? ", " : "",
                                 engine->runtimes[i]);
}

/* Append a sentence to @list if the engine lacks @runtime, which @who names. */
static int
check_runtime(const struct engine_info *engine, const char *who, const char *runtime, json_t *list)
{
    char runtimes[LIST_SIZE];

    if (!runtime_missing(engine->runtimes, runtime))
        return 0;
    print_runtimes(engine, runtimes);
    return json_array_append_new(
        list, json_sprintf("%s names the runtime '%s', which the engine does not have, so nothing "
                           "runs there; it has: %s",
                           who, runtime, runtimes));
}

json_t *
warnings_of_refusals(const struct settings *s, const struct engine_info *engine)
{
    const struct tier *tiers = s->tiers.items;
    json_auto_t *list = json_array();
    int r =
        check_runtime(engine, "docker_runtime in sandbox.yaml", s->service.docker_runtime, list);

    for (size_t i = 0; r == 0 && i < s->tiers.count; i++) {
        char who[NAME_SIZE + 32];

        snprintf(who, sizeof(who), "the tier '%s' in tiers.yaml", tiers[i].name);
        r = check_runtime(engine, who, tiers[i].runtime, list);
    }
    return r < 0 ? NULL : TAKE(list);
}

/* What the runtime of a tier with network @network is kept from there; NULL: nothing that matters.
 */
static const char *
find_lack(unsigned lacks, enum network network)
{
    if (lacks & ENGINE_LACKS_CREATE)
        return "is gVisor's without --host-uds=all among its runtimeArgs, so nothing runs there";
    if (network == NETWORK_RESTRICTED && lacks & ENGINE_LACKS_OPEN)
        return "is gVisor's without --host-uds=all among its runtimeArgs, so nothing is reached "
               "there";
    if (network == NETWORK_FULL && lacks & ENGINE_LACKS_NETWORK)
        return "is gVisor's with --network=none among its runtimeArgs, so nothing is reached there";
    if (network == NETWORK_FULL && lacks & ENGINE_LACKS_OPEN)
        return "is gVisor's without --host-uds=all among its runtimeArgs, so nothing is reached "
               "there while domains are blocked";
    return NULL;
}

static unsigned
lacks_of(const struct engine_info *engine, const char *runtime)
{
    for (size_t i = 0; i < ENGINE_RUNTIMES_MAX; i++)
        if (strcmp(engine->runtimes[i], runtime) == 0)
            return engine->runtime_lacks[i];
    return 0;
}

json_t *
warnings_of_arguments(const struct settings *s, const struct engine_info *engine)
{
    const struct tier *tiers = s->tiers.items;
    json_auto_t *list = json_array();
    int r = list ? 0 : -1;

    for (size_t i = 0; r == 0 && i < s->tiers.count; i++) {
        const char *lack =
            find_lack(lacks_of(engine, tiers[i].runtime), (enum network)tiers[i].network);

        if (lack)
            r = json_array_append_new(
                list, json_sprintf("the runtime '%s' of the tier '%s', whose network is %s, %s",
                                   tiers[i].runtime, tiers[i].name,
                                   network_names[tiers[i].network - 1], lack));
    }
    return r < 0 ? NULL : TAKE(list);
}

json_t *
warnings_of_versions(const struct engine_info *engine)
{
    json_auto_t *list = json_array();
    struct floor_versions versions = {.sqlite = store_library_version()};
    struct utsname name = {0};

    if (engine) {
        versions.engine = engine->version;
        versions.runc = engine->runc;
        versions.runc_build = engine->runc_build;
        versions.kernel = engine->kernel;
    } else if (uname(&name) == 0) {
        versions.kernel = name.release;
    }
    return list && floors_check(&versions, list) == 0 ? TAKE(list) : NULL;
}

/* Whether a tier has network Full. */
static bool
has_full(const struct settings *s)
{
    const struct tier *tiers = s->tiers.items;

    for (size_t i = 0; i < s->tiers.count; i++)
        if (tiers[i].network == NETWORK_FULL)
            return true;
    return false;
}

json_t *
warnings_of_networks(const struct settings *s, const struct engine_info *engine)
{
    const struct resolvers resolvers = resolvers_find(&s->egress.nameservers, RESOLVERS_FILE);
    json_auto_t *list = json_array();
    int r = 0;

    if (engine && engine->full_trouble[0] && has_full(s))
        r = json_array_append_new(list, json_sprintf("containers of network Full get no network: "
                                                     "%s",
                                                     engine->full_trouble));
    if (r == 0 && resolvers.count == 0)
        r = json_array_append_new(
            list, json_string("neither egress.nameservers in sandbox.yaml nor " RESOLVERS_FILE
                              " names a nameserver; containers reach names only if one "
                              "listens on this machine, at 127.0.0.1"));
    return r < 0 ? NULL : TAKE(list);
}

json_t *
warnings_json(const struct settings *s, const struct engine_info *engine)
{
    json_auto_t *list = warnings_of_versions(engine);
    json_auto_t *networks = warnings_of_networks(s, engine);
    json_auto_t *runtimes = engine ? warnings_of_refusals(s, engine) : json_array();
    json_auto_t *arguments = engine ? warnings_of_arguments(s, engine) : json_array();

    return list && networks && runtimes && arguments && json_array_extend(list, networks) == 0 &&
                   json_array_extend(list, runtimes) == 0 && json_array_extend(list, arguments) == 0
               ? TAKE(list)
               : NULL;
}
