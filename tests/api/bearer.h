/*
 * An nginx of the tests' own that lets people in by bearer token, beside the server's: it asks the
 * service's socket auth.sock who sends a request, and passes the request on to the other sockets.
 */
#ifndef TESTS_API_BEARER_H
#define TESTS_API_BEARER_H

#include "tests/api/client.h"

enum { SECRET_SIZE = 80, BEARER_SIZE = 128 };

/* Whom its two servers let in. */
enum bearer_server { TOKENS_ALONE, TOKENS_OR_PASSWORDS, BEARER_SERVERS };

/* A cmocka setup and teardown of a group: start it, and end it. */
int bearer_open(void **state);
int bearer_close(void **state);

/* A cmocka teardown: send requests to the server under test again, and revoke every token. */
int bearer_clean(void **state);

/* Send the requests that follow to this server of it. */
void bearer_use(enum bearer_server server);

/* A token for @user by POST tokens: its id and, in @header, the Authorization that shows it. */
void bearer_make(const char *user, char id[SECRET_SIZE], char header[BEARER_SIZE]);

/* Fail the test unless a request with @header (NULL: none) comes from @user. */
void assert_is(const char *header, const char *user);

/* Fail the test unless a request with @header (NULL: none) gets a 401, whose challenge says that
 * the token is not valid if @token. */
void assert_nobody(const char *header, bool token);

#endif
