/* What a client would rather have, as its Accept header says (RFC 9110, section 12.5.1). */
#ifndef FCGI_ACCEPT_H
#define FCGI_ACCEPT_H

#include "handlers/handler.h"

/*
 * The form that @header (NULL: there is none) prefers. Events and lines have to be named; a
 * wildcard means JSON. Of equal weights, events and lines come before JSON, and the one named first
 * before the other, so that "application/json, text/event-stream" gets events. Nothing acceptable
 * is JSON.
 */
enum accept accept_parse(const char *header);

#endif
