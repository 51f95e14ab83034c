/* What `sandboxd check` says of files and accounts, beside what is written in the YAML. */
#ifndef FCGI_CHECK_STATE_H
#define FCGI_CHECK_STATE_H

#include <jansson.h>

#include "backend/config/settings.h"

/*
 * Look at the YAML files in @yaml_dir: who can change or read them. Appends sentences to @warnings,
 * and to @refusals where the service could not read them again. Returns 0, or -1 without memory.
 */
int check_yaml_files(const char *yaml_dir, const struct settings *s, json_t *warnings,
                     json_t *refusals);

/* Look at the accounts that @s names, and at the sockets and files of the state directory @dir;
 * otherwise as check_yaml_files(). */
int check_state(const char *dir, const struct settings *s, json_t *warnings, json_t *refusals);

#endif
