/* What answers say of where a setting is: "tiers.yaml:12: tiers.Standard.network". */
#ifndef TESTS_API_SAID_H
#define TESTS_API_SAID_H

/*
 * Fail the test unless @text is @expected but for the numbers of lines ("tiers.yaml: …" there), and
 * each of those lines of the server's YAML has the last of the keys that are named with it.
 */
void assert_said(const char *text, const char *expected);

#endif
