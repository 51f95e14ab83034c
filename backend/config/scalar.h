/* What an unquoted scalar of a YAML file means: the core schema of YAML 1.2. */
#ifndef BACKEND_CONFIG_SCALAR_H
#define BACKEND_CONFIG_SCALAR_H

#include <jansson.h>

/*
 * The value of the plain scalar @text: null, a boolean, an integer, a float, else the string itself
 * ("yes", "off" and "1_000" are strings). On success *ret is a new reference.
 * Returns 0, -ERANGE for a number that JSON cannot hold (over 64 bits, .inf, .nan), -ENOMEM.
 */
int scalar_resolve(const char *text, json_t **ret);

#endif
