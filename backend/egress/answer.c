/* The proxy's own answers: see answer.h. */
#include "backend/egress/answer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "backend/egress/verdict.h"

enum { ANSWER_SIZE = 3 * EGRESS_RULE_SIZE + 256, RETRY_SECONDS = 60 };

static const char *
reason(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 408:
        return "Request Timeout";
    case 429:
        return "Too Many Requests";
    case 502:
        return "Bad Gateway";
    case 504:
        return "Gateway Timeout";
    default:
        return "Service Unavailable";
    }
}

void
answer_send(int fd, int status, const char *rule)
{
    char text[ANSWER_SIZE], line[EGRESS_RULE_SIZE], retry[32] = "";
    const char *phrase = reason(status);
    bool repeats;
    int len;

    snprintf(line, sizeof(line), "%s", rule);
    for (char *at = line; *at; at++)
        if (*at < 0x20 || *at > 0x7e)
            *at = '?'; /* nothing of it may end the header */
    /* "bad request: ..." says it itself */
    repeats = strncasecmp(line, phrase, strlen(phrase)) == 0;
    if (status == 429)
        snprintf(retry, sizeof(retry), "Retry-After: %d\r\n", RETRY_SECONDS);
    len = snprintf(text, sizeof(text),
                   "HTTP/1.1 %d %s%s%s\r\n"
                   "Content-Type: text/plain; charset=utf-8\r\n"
                   "Content-Length: %zu\r\n"
                   "X-Sandbox-Rule: %s\r\n"
                   "%s"
                   "Connection: close\r\n\r\n"
                   "sandbox egress: %s\n",
                   status, repeats ? "" : phrase, repeats ? "" : ": ", line,
                   strlen(line) + strlen("sandbox egress: \n"), line, retry, line);
    send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
answer_established(int fd)
{
    static const char text[] = "HTTP/1.1 200 Connection established\r\n\r\n";

    send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}
