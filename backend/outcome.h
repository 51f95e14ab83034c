/* How an execution ended, in the audit's words. */
#ifndef BACKEND_OUTCOME_H
#define BACKEND_OUTCOME_H

#include "backend/capture.h"
#include "backend/error.h"
#include "backend/guest/guest.h"
#include "backend/store/records.h"

/* Note the guest's word on the end of @e: status, exit code or signal, and usage. */
void outcome_note(struct audit_entry *e, const struct guest_result *g);

/* Note that @e was killed with its container or by its guest's failure: @status is AUDIT_KILLED
 * where somebody meant it to, or AUDIT_INTERRUPTED. */
void outcome_cut_off(struct audit_entry *e, enum audit_status status);

/* Note what was captured of @e's output, and join it into *ret. Errors: ERR_INTERNAL on ENOMEM. */
int outcome_output(struct audit_entry *e, const struct capture *out, const struct capture *errout,
                   struct audit_output *ret, struct error *err);

#endif
