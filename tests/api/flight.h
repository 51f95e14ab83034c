/*
 * Requests that are on their way while the test does something else: each in a thread of its own,
 * on a connection of its own.
 */
#ifndef TESTS_API_FLIGHT_H
#define TESTS_API_FLIGHT_H

#include "tests/api/client.h"

struct flight;

/* POST @path as @user with a body made by a jansson format, without waiting for the answer. */
struct flight *flight_post(const char *user, const char *path, const char *format, ...);

/* Whether the answer is there, or none will come. */
bool flight_is_over(const struct flight *f);

/* Wait for the answer, which the caller frees; its status is 0 if none came. Frees the flight. */
struct reply flight_land(struct flight *f);

/* Close the connection before there is an answer; fails the test if there was one already. Frees
 * the flight. */
void flight_abort(struct flight *f);

#endif
