/* A look at the engine and the nameservers: see checkup.h. */
#include "backend/checkup.h"

#include <curl/curl.h>
#include <stdio.h>

#include "backend/broker/operations.h"
#include "backend/egress/resolvers.h"

enum { ANSWER_MS = 1000 }; /* a nameserver may take as long, three times */

int
checkup_engine(const char *docker_host, struct engine_info *ret, struct error *err)
{
    _cleanup_(docker_freep) struct docker *docker = NULL;
    int r;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    r = docker_new(docker_host, &docker, err);
    return r < 0 ? r : broker_info(NULL, docker, ret, err);
}

int
checkup_nameservers(const struct settings *s, json_t *list)
{
    const struct resolvers resolvers = resolvers_find(&s->egress.nameservers, RESOLVERS_FILE);
    char names[RESOLVERS_MAX * (RESOLVER_SIZE + 2)] = "";
    size_t used = 0;

    if (resolvers.count == 0 || resolvers_answer(&resolvers, ANSWER_MS))
        return 0;
    for (size_t i = 0; i < resolvers.count; i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? ", " : "",
                                 resolvers.list[i]);
    return json_array_append_new(list, json_sprintf("no nameserver answers, so that containers "
                                                    "reach no names; asked were: %s",
                                                    names));
}
