/* The error value: see error.h. */
#include "backend/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int number;
    const char *name;
} codes[ERROR_CODE_COUNT] = {[ERR_NONE] = {0, "none"},
#define X(code, number, name) [code] = {number, name},
                             ERROR_CODES(X)
#undef X
};

static int
set(struct error *e, enum error_code code, const char *detail, const char *fmt, va_list ap)
{
    if (e && e->code == ERR_NONE) {
        e->code = code;
        vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
        snprintf(e->detail, sizeof(e->detail), "%s", detail ? detail : "");
    }
    return -codes[code].number;
}

int
error_set(struct error *e, enum error_code code, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = set(e, code, NULL, fmt, ap);
    va_end(ap);
    return r;
}

int
error_set_detail(struct error *e, enum error_code code, const char *detail, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = set(e, code, detail, fmt, ap);
    va_end(ap);
    return r;
}

void
error_append(struct error *e, const char *fmt, ...)
{
    size_t len = e ? strlen(e->msg) : 0;
    va_list ap;

    va_start(ap, fmt);
    if (e)
        vsnprintf(e->msg + len, sizeof(e->msg) - len, fmt, ap);
    va_end(ap);
}

int
error_errno(struct error *e, int errnum, const char *what)
{
    char detail[200];
    char text[96];

    snprintf(detail, sizeof(detail), "%s: %s", what, strerror_r(errnum, text, sizeof(text)));
    return error_set_detail(e, ERR_INTERNAL, detail,
                            "an internal error; the log has more under this request's id");
}

int
error_violation(struct error *e, const char *pointer, const char *fmt, ...)
{
    struct violation *v;
    va_list ap;

    if (!e || (e->code != ERR_NONE && e->code != ERR_VALIDATION) ||
        e->violation_count == ERROR_VIOLATIONS_MAX)
        return -codes[ERR_VALIDATION].number;
    v = &e->violations[e->violation_count++];
    snprintf(v->pointer, sizeof(v->pointer), "%s", pointer);
    va_start(ap, fmt);
    vsnprintf(v->detail, sizeof(v->detail), fmt, ap);
    va_end(ap);
    return error_set(e, ERR_VALIDATION, "%s: %s", pointer[0] ? pointer : "the body", v->detail);
}

void
error_clear(struct error *e)
{
    if (e)
        *e = (struct error){0};
}

const char *
error_name(enum error_code code)
{
    return codes[code].name;
}
