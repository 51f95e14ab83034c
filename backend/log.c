/* The log: see log.h. */
#include "backend/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "backend/cleanup.h"

enum { MESSAGE_SIZE = 1024, LINE_SIZE = 2048, NAME_SIZE = 192 };

const char *const log_format_names[] = {"text", "json", NULL};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* The process's logger: its role's name, format and threshold, set once at start. */
static const char *logger_role = "main";
static enum log_format logger_format = LOG_FORMAT_TEXT;
static enum log_level logger_threshold = LOG_LEVEL_INFO;

/* The request that a thread serves. */
static _Thread_local const char *logger_request, *logger_user;

/* What one line says. Borrowed. */
struct record {
    const char *time, *level, *message;
};

void
log_role(const char *role)
{
    logger_role = role;
}

void
log_format(enum log_format format)
{
    logger_format = format;
}

void
log_threshold(enum log_level level)
{
    logger_threshold = level;
}

void
log_request(const char *request_id, const char *user)
{
    logger_request = request_id;
    logger_user = user;
}

/* Append @c, escaped where it would break the line or its quotes. */
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

static size_t
put_text(char *line, size_t size, const char *text)
{
    size_t len = 0;

    for (const char *p = text; *p && len + 8 < size; p++)
        len = put_escaped(line, len, (unsigned char)*p);
    line[len] = '\0';
    return len;
}

static size_t
text_line(const struct record *r, char line[LINE_SIZE])
{
    char request[NAME_SIZE] = "", user[NAME_SIZE] = "", name[NAME_SIZE - 8];
    size_t len;

    if (logger_request)
        snprintf(request, sizeof(request), " request=%s", logger_request);
    if (logger_user) {
        put_text(name, sizeof(name), logger_user);
        snprintf(user, sizeof(user), " user=%s", name);
    }
    len = (size_t)snprintf(line, LINE_SIZE, "%s level=%s role=%s pid=%d%s%s msg=\"", r->time,
                           r->level, logger_role, (int)getpid(), request, user);
    len += put_text(line + len, LINE_SIZE - len - 2, r->message);
    line[len++] = '"';
    line[len++] = '\n';
    return len;
}

/* A text of unknown bytes as JSON: escaped where it is not UTF-8. */
static json_t *
text_json(const char *text)
{
    char escaped[LINE_SIZE];
    json_t *string = json_string(text);

    if (string)
        return string;
    put_text(escaped, sizeof(escaped), text);
    for (char *p = escaped; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    return json_string(escaped);
}

static size_t
json_line(const struct record *r, char line[LINE_SIZE])
{
    json_auto_t *object =
        json_pack("{s:s, s:s, s:s, s:i, s:o*, s:o*, s:o}", "time", r->time, "level", r->level,
                  "role", logger_role, "pid", (int)getpid(), "request",
                  logger_request ? text_json(logger_request) : NULL, "user",
                  logger_user ? text_json(logger_user) : NULL, "msg", text_json(r->message));
    size_t len = object ? json_dumpb(object, line, LINE_SIZE - 1, JSON_COMPACT) : 0;

    if (len == 0 || len > LINE_SIZE - 1)
        return text_line(r, line); /* no memory, or a message that is all escapes */
    line[len++] = '\n';
    return len;
}

void
log_write(enum log_level level, const char *fmt, ...)
{
    char message[MESSAGE_SIZE], line[LINE_SIZE], time[40];
    struct record record = {.time = time, .level = level_names[level], .message = message};
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
    len = strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(time + len, sizeof(time) - len, ".%03ldZ", now.tv_nsec / 1000000);
    len = logger_format == LOG_FORMAT_JSON ? json_line(&record, line) : text_line(&record, line);
    if (write(STDERR_FILENO, line, len) < 0)
        return; /* nowhere left to report it */
}
