/* Warnings: see warnings.h. */
#include "backend/warnings.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "backend/cleanup.h"
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

json_t *
warnings_json(const struct settings *s, const struct engine_info *engine)
{
    json_auto_t *list = warnings_of_versions(engine);
    json_auto_t *runtimes = engine ? warnings_of_refusals(s, engine) : json_array();

    return list && runtimes && json_array_extend(list, runtimes) == 0 ? TAKE(list) : NULL;
}
