/*
 * Logins of registries, from a file as `docker login` writes it (Docker's config.json): {"auths":
 * {"registry.example.org": {"auth": base64 of "user:password"}}}. They are read at use and
 * forgotten after; nothing of them appears in a sentence.
 */
#ifndef BACKEND_DOCKER_CREDENTIALS_H
#define BACKEND_DOCKER_CREDENTIALS_H

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/error.h"

/* Lifetime: scope. */
struct docker_credentials;

/*
 * Read the file @path; "" stands for a file without logins. Errors: ERR_CONFLICT, whose sentence
 * names the file without its directory and nothing of its content.
 */
int docker_credentials_read(const char *path, struct docker_credentials **ret, struct error *err);

/* Forget them. */
void docker_credentials_free(struct docker_credentials *c);
CLEANUP_FN(struct docker_credentials *, docker_credentials_free)

/*
 * The header X-Registry-Auth (Engine API, "Authentication") for the registry of the image
 * @reference: an owned string, "" where there is no login for it. Errors: ERR_INTERNAL.
 */
int docker_credentials_auth(const struct docker_credentials *c, const char *reference, char **ret,
                            struct error *err);

/* The header X-Registry-Config (ImageBuild) with all of them, likewise. */
int docker_credentials_config(const struct docker_credentials *c, char **ret, struct error *err);

/* Overwrite a header and free it; fit for _cleanup_. */
void docker_credentials_wipe(char **header);

#endif
