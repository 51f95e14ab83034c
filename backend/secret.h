/*
 * The installation's secret: random bytes that never leave it, in a file of root's in the state
 * directory. Keys are derived from it, one for each purpose. Who removes it only makes cursors that
 * were handed out worthless.
 */
#ifndef BACKEND_SECRET_H
#define BACKEND_SECRET_H

#include "backend/backend.h"
#include "backend/error.h"

#define SECRET_FILE "secret" /* in the state directory; 0600 */

/*
 * Read it, or make it where there is none (whole or not at all), and put the keys that come of it
 * into @ctx. Errors: ERR_INTERNAL, with a sentence for whoever starts the service.
 */
int secret_take(struct service_context *ctx, struct error *err);

#endif
