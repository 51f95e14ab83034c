/* What the groups about templates share: making them, waiting for their jobs, changing the YAML. */
#ifndef TESTS_API_JOBS_H
#define TESTS_API_JOBS_H

#include <stdbool.h>

#include "tests/api/client.h"

enum { JOB_SECONDS = 240 };

/* POST templates as admin with a body made by a jansson format; it has to be made. */
void template_make(const char *format, ...);

/* Begin a build or a pull ("build", "pull") as admin; it has to be accepted. */
void job_begin(const char *name, const char *kind);

/* Wait until no job of the template goes on; then its status has to be @status. */
void job_wait(const char *name, const char *status);

/* Both of them. */
void job_run(const char *name, const char *kind, const char *status);

/* Wait until the log of the template's job holds @text. */
void job_wait_log(const char *name, const char *text);

/* The log; the caller frees. */
char *job_log(const char *name);

/* A member of GET templates/@name as JSON text ("null", "\"ready\""); the caller frees. */
char *template_member(const char *name, const char *member);

/* Whether @command, run by admin in the template @name, prints exactly @expected. */
void assert_prints(const char *name, const char *command, const char *expected);

/* Have every process read the YAML again, which has to be good, and wait until they have. */
void yaml_reload(void);

/* Put the YAML file @name aside, and edit it with the sed(1) script @script; then all processes
 * have it. yaml_restore() puts it back. */
void yaml_edit(const char *name, const char *script);

/* Undo every yaml_edit(). */
void yaml_restore(void);

/* The engine's id of an image; fails the test if it has none. The caller frees. */
char *image_id(const char *reference);

/* Whether the engine has an image. */
bool image_exists(const char *reference);

/* A cmocka teardown: remove containers and the API's templates, and restore the YAML. */
int templates_clean(void **state);

#endif
