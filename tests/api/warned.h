/* What the service tells admins of the machine that it is on: GET status's warnings, and `check`. */
#ifndef TESTS_API_WARNED_H
#define TESTS_API_WARNED_H

#include <stdbool.h>

/* Whether a warning in @user's GET status holds @text. */
bool warned_to(const char *user, const char *text);

/* The same for one who sees everything, and may change nothing. */
bool warned_of(const char *text);

/*
 * `sandboxd check` of the server's files, by the words of a shell's @before it ("" for none), with
 * the engine at @host below the state directory: its exit status.
 */
int warned_check(const char *before, const char *host);

/* Fail the test unless the last warned_check() said @text, on stderr or not. */
void assert_check_says(const char *text);

#endif
