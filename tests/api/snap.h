/* Steps of the tests of snapshots: one container of alice's, and what is done to it. */
#ifndef TESTS_API_SNAP_H
#define TESTS_API_SNAP_H

#include "tests/api/steps.h"

/* The container of a test: made by snap_open(), removed by snap_close(), which are a cmocka setup
 * and teardown. */
struct snap {
    char id[STEP_ID_SIZE];
    char path[STEP_ID_SIZE + 16]; /* "/containers/ID" */
    char list[STEP_ID_SIZE + 32]; /* "/containers/ID/snapshots" */
};

extern struct snap snap;

int snap_open(void **state);
int snap_close(void **state);

/* Run the sh text in the container, by its scope: it is started if need be. The answer is whole and
 * the command has ended with 0. The caller frees the reply. */
struct reply snap_run(const char *command);

/* Run it, and fail the test unless it prints @expected. */
void snap_prints(const char *command, const char *expected);

/* What the container's files are: a line of each below /home/sandbox, with mode, owner, size, time
 * and target. The caller frees it. */
char *snap_files(void);

/* Make a snapshot of the name @name (NULL: none is sent). */
void snap_make(const char *name, char ret_id[STEP_ID_SIZE]);

/* Roll back to it; fails the test unless the container runs afterwards. */
void snap_roll_back(const char *id);

/* How many snapshots the API lists. */
size_t snap_count(void);

/* How many images of snapshots the engine has, and how many containers of this server's are beside
 * those that the API knows: of a rollback that was not finished. */
size_t snap_images(void);
size_t snap_spare_containers(void);

#endif
