/* The log: see log.h. */
#include "backend/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* The process's logger: its role's name and threshold, set once at start. */
static const char *logger_role = "main";
static enum log_level logger_threshold = LOG_LEVEL_INFO;

void
log_role(const char *role)
{
    logger_role = role;
}

void
log_threshold(enum log_level level)
{
    logger_threshold = level;
}

/* Append @c to the record, escaped where it would break the line or its quotes. */
static size_t
put_escaped(char *line, size_t len, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    if (c == '"' || c == '\\') {
        line[len++] = '\\';
        line[len++] = (char)c;
    } else if (c < 0x20 || c == 0x7f) {
        line[len++] = '\\';
        line[len++] = 'x';
        line[len++] = hex[c >> 4];
        line[len++] = hex[c & 15];
    } else {
        line[len++] = (char)c;
    }
    return len;
}

void
log_write(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    char message[1024];
    char line[2048];
    struct timespec now;
    struct tm tm;
    size_t len;
    va_list ap;

    if (level > logger_threshold)
        return;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    len +=
        (size_t)snprintf(line + len, sizeof(line) - len, ".%03ldZ level=%s role=%s pid=%d msg=\"",
                         now.tv_nsec / 1000000, names[level], logger_role, (int)getpid());
    for (const char *p = message; *p && len < sizeof(line) - 8; p++)
        len = put_escaped(line, len, (unsigned char)*p);
    line[len++] = '"';
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0)
        return; /* nowhere left to report it */
}
