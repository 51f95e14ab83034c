/* What field tables cannot say of the settings: how names are spelled, and that what is named
 * exists. */
#ifndef BACKEND_CONFIG_CHECK_H
#define BACKEND_CONFIG_CHECK_H

#include "backend/config/places.h"
#include "backend/config/settings.h"
#include "backend/error.h"

/* Each adds its violations to @err, with their places in the file. Returns 0 or -EINVAL. */

/* @places may be NULL: a policy that is not from a file. */
int check_policy(const struct policy *policy, const struct places *places, struct error *err);

/* The rest of sandbox.yaml; the tiers must be decoded already. */
int check_service(const struct settings *s, const struct places *places, struct error *err);

/* `egress` of sandbox.yaml. */
int check_egress(const struct egress_policy *e, const struct places *places, struct error *err);

int check_tiers(const struct settings *s, const struct places *places, struct error *err);

/* `pool` of sandbox.yaml; tiers and templates must be decoded already. A template may also be one
 * of the API's, so that only its spelling is checked. */
int check_pool(const struct settings *s, const struct places *places, struct error *err);

int check_templates(const struct settings *s, const struct places *places, struct error *err);

/* The files of a build's context, path to text, which are the member `files` of @at (NULL: the
 * root). @places may be NULL. */
int check_files(json_t *files, const struct pointer *at, const struct places *places,
                struct error *err);

/* Whether the tier @name (NULL: none named) exists. */
int check_tier_exists(const struct settings *s, const char *name, const struct pointer *at,
                      const struct places *places, struct error *err);

/* access.yaml as it is written; the tiers and the service must be decoded already. */
int check_access(const struct settings *s, const struct places *places, struct error *err);

/* What its rules come to, once access_resolve() has made them whole. */
int check_access_whole(const struct settings *s, const struct places *places, struct error *err);

#endif
