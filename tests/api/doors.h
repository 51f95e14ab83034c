/*
 * An nginx of an admin's own, with sites of its own, in front of the server under test
 * (tests/api/site): the ways in which it knows users, and the two ways to reach it.
 */
#ifndef TESTS_API_DOORS_H
#define TESTS_API_DOORS_H

#include "tests/api/client.h"

/* How users prove who they are. */
struct way {
    const char *name;      /* as README.md has it */
    const char *challenge; /* the scheme that a 401 names */
    void (*prove)(CURL *curl, const char *user);
    const char *const *strangers; /* headers, or names of certificates, that let nobody in; NULL at
                                     the end */
    void (*as_stranger)(CURL *curl, const char *what); /* NULL: they are headers */
};

enum { WAY_BASIC, WAY_MTLS, WAY_SSO, WAY_BEARER, WAY_COUNT };

extern const struct way ways[WAY_COUNT];

/* Start it, with its users known by @way; the sed script @edit (NULL: none) changes the API's files
 * before. All requests go to it from then on. */
void site_up(const struct way *way, const char *edit);

/* The same with no site but the API: the configuration of nginx/standalone. */
void site_up_alone(const struct way *way);

/* End it. A cmocka teardown: returns 0. */
int site_down(void **state);

/* Send the requests to the proxy before it, below a path of its own; or to it again. */
void site_behind_proxy(bool behind);

/* Ask a page of the site itself: GET https://localhost:PORT@path, as @user_password
 * ("NAME:PASSWORD", NULL: nobody). The caller frees the reply. */
struct reply site_get(const char *path, const char *user_password);

/* How many header lines @name of any value @r has. */
size_t count_headers(const struct reply *r, const char *name);

#endif
