/* What several groups of API tests do and check, over client.h. */
#ifndef TESTS_API_STEPS_H
#define TESTS_API_STEPS_H

#include "tests/api/client.h"

enum { STEP_ID_SIZE = 64, STEP_PATH_SIZE = 4096 };

/* Fail the test unless the reply is a 422 whose `errors` name the JSON pointer @pointer. */
void assert_violation(const struct reply *r, const char *pointer);

/* Fail the test unless @object has exactly the members that @names lists, separated by blanks. */
void assert_members(const json_t *object, const char *names);

/* Fail the test unless @text is a time as 2026-03-02T10:00:00Z. */
void assert_time(const char *text);

/* Fail the test unless both answers are the same problem, but for the ids of their requests. */
void assert_same_problem(const struct reply *a, const struct reply *b);

/* Ask for a JSON answer: GET of a formatted path, which has to succeed. The caller frees it. */
struct reply fetch(const char *user, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* @method on a formatted path, without a body. The caller frees the reply. */
struct reply act(const char *user, const char *method, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* POST execute of the sh text @command as @agent in @session; it has to exit with 0. */
void run_in(const char *user, const char *agent, const char *session, const char *command);

/* Make a container by the body @body; it has to be a new one. */
void make_container(const char *user, const char *body, char ret_id[STEP_ID_SIZE]);

/* A cmocka teardown: remove every container that there is. Returns 0. */
int remove_containers(void **state);

/* The path of @name in the server's state directory. */
void state_path(const char *name, char ret_path[STEP_PATH_SIZE]);

/* How many files and directories there are in the server's state directory below @name. */
size_t count_files(const char *name);

/* Have the server read its YAML again, and wait until GET @path shows @expected (JSON text) at
 * @member whichever process answers. */
void reload_until(const char *path, const char *member, const char *expected);

/* As reload_until(), but nobody is told: an edit has to be noticed. */
void noticed_until(const char *path, const char *member, const char *expected);

/* A request of several at one time. */
struct parallel {
    const char *user, *method, *path, *body; /* body: NULL or JSON text */
    const char *header;                      /* one more, or NULL */
    struct reply reply;                      /* status, body and json only; the caller frees it */
};

/* Send @count requests at one time, each over a connection of its own, and wait for the answers. */
void call_parallel(struct parallel *calls, size_t count);

/* One request that goes on while others are made. */
struct pending;

/* Send it. The caller ends it by pending_finish(). */
struct pending *pending_start(struct parallel *call);

/* Do what can be done without waiting. Returns whether the answer is there. */
bool pending_poll(struct pending *p);

/* Wait for the answer, and free @p. */
void pending_finish(struct pending *p);

#endif
