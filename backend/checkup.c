/* A look at the engine: see checkup.h. */
#include "backend/checkup.h"

#include <curl/curl.h>

#include "backend/broker/operations.h"

int
checkup_engine(const char *docker_host, struct engine_info *ret, struct error *err)
{
    _cleanup_(docker_freep) struct docker *docker = NULL;
    int r;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    r = docker_new(docker_host, &docker, err);
    return r < 0 ? r : broker_info(NULL, docker, ret, err);
}
