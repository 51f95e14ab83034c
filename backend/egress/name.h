/*
 * Host names in one spelling, so that two ways to write a name are one name: lower case, IDNA2008
 * A-labels (RFC 5891, with UTS #46's mapping), no trailing dot.
 */
#ifndef BACKEND_EGRESS_NAME_H
#define BACKEND_EGRESS_NAME_H

#include <stdbool.h>

enum { EGRESS_NAME_SIZE = 254 }; /* bytes of a name (RFC 1035, 2.3.4), NUL included */

/*
 * Write the one spelling of the host name @text (UTF-8) to @out. Returns 0, or -EINVAL for what is
 * no host name: an empty or over-long label or name, characters that no host name has (a NUL, '%',
 * '@', ...), and whatever inet_aton(3) would take for an address.
 */
int egress_name(const char *text, char out[EGRESS_NAME_SIZE]);

/*
 * The same for a pattern of network_policy: a name, "*." and a name, or the literal of an address
 * (address.h). Returns 0 or -EINVAL.
 */
int egress_pattern(const char *text, char out[EGRESS_NAME_SIZE]);

/* Whether @pattern, as egress_pattern() spelled it, names the host @name, as egress_name() or
 * egress_address_text() spelled it. "*.example.org" names those below it, not itself. */
bool egress_pattern_names(const char *pattern, const char *name);

#endif
