/* Bearer tokens for nginx: see authenticate.h. */
#include "fcgi/authenticate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "backend/token.h"

static const char asks[] = "Bearer realm=\"sandbox\"";
static const char refuses[] = "Bearer realm=\"sandbox\", error=\"invalid_token\"";

/* The credentials of @header if its scheme is Bearer (RFC 9110, section 11.4), else NULL. */
static const char *
bearer(const char *header)
{
    static const char scheme[] = "Bearer";
    size_t len = sizeof(scheme) - 1;

    if (!header || strncasecmp(header, scheme, len) != 0 || (header[len] && header[len] != ' '))
        return NULL;
    return header + len + strspn(header + len, " ");
}

void
authenticate(struct backend *b, const struct incoming *in, struct answer *a)
{
    const char *secret = bearer(in->authorization);
    bool twice = a->error.code == ERR_BAD_QUERY; /* and nobody can say which of them was meant */
    struct token t = {0};

    error_clear(&a->error); /* what else is wrong is about a body, which nobody asks for here */
    if (!b) {
        error_set_detail(&a->error, ERR_OVERLOADED, "out of memory", "try again in a moment");
    } else if (secret && !twice && token_verify(b, secret, &t, &a->error) == 0) {
        a->response.status = 204;
        snprintf(a->user, sizeof(a->user), "%s", t.owner);
    } else {
        error_set(&a->error, ERR_UNAUTHENTICATED, "send a bearer token");
        a->challenge = secret ? refuses : asks;
    }
}
