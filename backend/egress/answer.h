/* The proxy's own answers. Each is one small write to a socket that has room for it. */
#ifndef BACKEND_EGRESS_ANSWER_H
#define BACKEND_EGRESS_ANSWER_H

/*
 * Answer on @fd with @status (400, 403, 408, 429, 502, 503, 504) and why: in the status line, which
 * is all that many clients show, as the header X-Sandbox-Rule, and as text: "sandbox egress: RULE".
 */
void answer_send(int fd, int status, const char *rule);

/* Answer that the tunnel stands. */
void answer_established(int fd);

#endif
