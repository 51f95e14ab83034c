/*
 * Private to backend/docker: a call of the versioned API. Finds out the version first if need be,
 * turns refusals into errors and answers into JSON.
 */
#ifndef BACKEND_DOCKER_CALL_H
#define BACKEND_DOCKER_CALL_H

#include <stdbool.h>

#include <jansson.h>

#include "backend/docker/docker.h"
#include "backend/docker/http.h"

enum { DOCKER_PATH_MAX = 4096, DOCKER_LIST_MAX = 8 * 1024 * 1024, DOCKER_CPU_PERIOD_US = 100000 };

/*
 * Ask the engine for its versions (GET /version, 5 s) and settle on one, also if one was settled on
 * before. *ret is the answer, the caller's.
 */
int docker_negotiate(struct docker *d, json_t **ret, struct error *err);

/* The version that was settled on, such as "1.41"; "" if none is. Borrowed from @d. */
const char *docker_api(const struct docker *d);

/*
 * Call @req->path below the version's prefix. Statuses 2xx, 304 and those of @req->fine are a
 * success. Errors: docker.h.
 */
int docker_exchange(struct docker *d, const struct docker_request *req, struct docker_answer *ret,
                    struct error *err);

/* As docker_exchange(), for an answer that is one JSON value. @ret may be NULL: not looked at. */
int docker_call(struct docker *d, const struct docker_request *req, json_t **ret,
                struct error *err);

/*
 * Parse an answer with jansson's @flags; its bytes are changed on the way. ERR_INTERNAL if it is no
 * JSON object or array.
 */
int docker_json(struct buf *body, size_t flags, json_t **ret, struct error *err);

/* An ERR_INTERNAL: the answer to @what is JSON, but not what the API promises. */
int docker_unexpected(const char *what, struct error *err);

/*
 * Copy Docker's own @message (NULL: none) to @out, fit for a sentence: without control characters,
 * and cut between two characters where it is longer than @size - 1 bytes.
 */
void docker_message(const char *message, char *out, size_t size);

/*
 * As docker_message(), for the eyes of any client: a path that tells how this machine is laid out
 * becomes "[path]". Paths that are alike everywhere, or of a sandbox, stay.
 */
void docker_sentence(const char *message, char *out, size_t size);

/* What gVisor's arguments keep the runtime from, of which @runtime is the engine's entry (GET
 * /info); 0 for another runtime. */
unsigned docker_runtime_lacks(const json_t *runtime);

/* What a container gets of every DOCKER_CPU_PERIOD_US: a share of the machine's time rather than
 * NanoCpus, with which the engine refuses more than it has. */
json_int_t docker_cpu_quota(double cores);

/*
 * Call /containers/@id@tail. What a checked id may consist of needs no escaping. @ret may be NULL.
 * @req is ours to complete. Errors: as docker_call(), and ERR_VALIDATION for a bad id.
 */
int docker_container_call(struct docker *d, const char *id, const char *tail,
                          struct docker_request *req, json_t **ret, struct error *err);

/* ERR_VALIDATION unless @name can be a container's name or id. */
int docker_name_check(const char *name, struct error *err);

/* ERR_VALIDATION unless @reference can be an image's reference or id. */
int docker_reference_check(const char *reference, struct error *err);

#endif
