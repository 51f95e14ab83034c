/* Edits of the server's YAML, as an admin's editor makes them, for the groups that are about them.
 */
#ifndef TESTS_API_EDITS_H
#define TESTS_API_EDITS_H

#include <stdbool.h>

/* A cmocka setup: keep the YAML as it is. */
int edits_open(void **state);

/* A cmocka teardown: remove all containers, and have the YAML kept by edits_open() again. */
int edits_close(void **state);

/* Save yaml/@name as `sed -i @script` does: a new file in the old one's place. It has to change. */
void edit_by_sed(const char *name, const char *script);

/* Wait until the admin's GET status gives @text in yaml.error whoever answers; NULL: no error. */
void await_refusal(const char *text);

#endif
