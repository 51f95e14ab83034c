/*
 * Reading the server name out of a TLS ClientHello (RFC 8446, 4.1.2; RFC 6066, 3) while it arrives,
 * however it is cut into records.
 */
#ifndef BACKEND_EGRESS_HELLO_H
#define BACKEND_EGRESS_HELLO_H

#include <stddef.h>

#include "backend/egress/name.h"

enum {
    EGRESS_HELLO_MAX = 16384
}; /* bytes from the client by which its ClientHello must be whole */

enum egress_hello {
    EGRESS_HELLO_MORE,    /* so far it is one; more has to come */
    EGRESS_HELLO_NAMED,   /* a whole one; its server name is in @name, in one spelling */
    EGRESS_HELLO_UNNAMED, /* a whole one without a server name */
    EGRESS_HELLO_BAD      /* not TLS, malformed, too large, or with two names or one that is none */
};

/*
 * Look at the first @len bytes that a client has sent. @name is written with NAMED only. It is the
 * name that the wire shows: with ECH that of the outer ClientHello. More than the
 * ClientHello in its last record is bad; what comes in further records is not looked at.
 */
enum egress_hello egress_hello_read(const void *data, size_t len, char name[EGRESS_NAME_SIZE]);

#endif
