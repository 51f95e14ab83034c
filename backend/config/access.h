/*
 * Rules of access.yaml made whole: what a user's own keys leave open is said by their group, and
 * what that leaves open, by default. For the files of this folder; the rules are in settings.h.
 */
#ifndef BACKEND_CONFIG_ACCESS_H
#define BACKEND_CONFIG_ACCESS_H

#include "backend/config/settings.h"
#include "backend/error.h"

/*
 * Complete the decoded rules of @s, and give those members of groups one that have none of their
 * own. Names and groups are checked already. Errors: ERR_INTERNAL (no memory); then @s is as it
 * was.
 */
int access_resolve(struct settings *s, struct error *err);

enum { ACCESS_PATH_MAX = 4 };

/*
 * The keys, from the top of access.yaml, by which it says the @key (enum access_key) of the whole
 * rule @rule. Returns how many there are; they are borrowed from the rule.
 */
size_t access_path(const struct access_rule *rule, int key, const char *path[ACCESS_PATH_MAX]);

/* The order of the rules in settings, for qsort(3) and bsearch(3): by the user's name. */
int access_rule_order(const void *a, const void *b);

#endif
