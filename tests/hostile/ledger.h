/* What the server has written down of the requests that it was sent. */
#ifndef TESTS_HOSTILE_LEDGER_H
#define TESTS_HOSTILE_LEDGER_H

/* Fail the test unless each request to execute that nginx saw answered has its one audit entry, no
 * request has two, the audit's chain is whole and so is the database. */
void ledger_assert_whole(void);

#endif
