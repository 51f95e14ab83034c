/* What a guest says of an execution's end, checked: for frames and spools. */
#ifndef BACKEND_GUEST_RESULT_H
#define BACKEND_GUEST_RESULT_H

#include <stdbool.h>

#include "backend/guest/guest.h"
#include "backend/guest/protocol.h"

/* Check @e and translate it to *ret. Returns false if it is impossible. */
bool guest_result_take(const struct guest_exit *e, struct guest_result *ret);

#endif
