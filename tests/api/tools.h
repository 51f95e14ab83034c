/*
 * The template of real clients and languages that tests/images/tools makes, for tests that need
 * more than busybox; and the certificate authority that its clients trust.
 */
#ifndef TESTS_API_TOOLS_H
#define TESTS_API_TOOLS_H

#define TOOLS "tools" /* the template's name */

/* Give the server the template TOOLS, unless it has it; it stays until the server goes. */
void tools_make(void);

/*
 * Make a certificate of the test's authority for @names ("DNS:one.example,DNS:*.two.example"): the
 * state directory's files test-ca/@name.pem and test-ca/@name.key.
 */
void tools_certificate(const char *name, const char *names);

#endif
