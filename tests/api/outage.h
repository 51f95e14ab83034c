/* The server's engine goes away, and comes back. */
#ifndef TESTS_API_OUTAGE_H
#define TESTS_API_OUTAGE_H

#include <stdbool.h>

/* End the engine, and wait until it is gone. */
void outage_begin(void);

/* Start the engine if it does not run, as nginx/standalone/up does it but without the rest of the
 * server, and wait until it answers. */
void outage_end(void);

/* Whether the service says that the engine is there; @arg is not used (wait_until()'s). */
bool outage_is_over(void *arg);

#endif
