/* What answers say of where a setting is: "tiers.yaml:12: tiers.Standard.network". */
#ifndef TESTS_API_SAID_H
#define TESTS_API_SAID_H

#include "tests/api/client.h"

/*
 * Fail the test unless @text is @expected but for the numbers of lines ("tiers.yaml: …" there), and
 * each of those lines of the server's YAML has the last of the keys that are named with it.
 */
void assert_said(const char *text, const char *expected);

/* Fail the test unless the refusal @r says in parentheses at its end that @source is the rule. */
void assert_rule_said(const struct reply *r, const char *source);

#endif
