/*
 * One error value for the whole program: a stable code that a client may match, a sentence for the
 * caller's eyes, and a detail for our log. A function that can fail returns 0 or a negative errno
 * and fills a `struct error` on the way out; the first failure is kept.
 */
#ifndef BACKEND_ERROR_H
#define BACKEND_ERROR_H

#include <stdbool.h>
#include <stddef.h>

/* clang-format off */
#define ERROR_CODES(X) /* code, errno a caller may branch on, name a client may match (api.md) */ \
    X(ERR_BAD_JSON,              EBADMSG,    "bad_json")              \
    X(ERR_BAD_QUERY,             EBADR,      "bad_query")             \
    X(ERR_UNAUTHENTICATED,       EKEYREJECTED, "unauthenticated")     \
    X(ERR_FORBIDDEN,             EPERM,      "forbidden")             \
    X(ERR_NOT_FOUND,             ENOENT,     "not_found")             \
    X(ERR_METHOD_NOT_ALLOWED,    ENOTSUP,    "method_not_allowed")    \
    X(ERR_SANDBOXING_OFF,        ESHUTDOWN,  "sandboxing_off")        \
    X(ERR_NOT_SELECTED,          ENOMEDIUM,  "not_selected")          \
    X(ERR_CONTAINER_NOT_RUNNING, ENOTCONN,   "container_not_running") \
    X(ERR_TEMPLATE_NOT_READY,    ENODATA,    "template_not_ready")    \
    X(ERR_TEMPLATE_IN_USE,       ETXTBSY,    "template_in_use")       \
    X(ERR_TEMPLATE_FROM_YAML,    EROFS,      "template_from_yaml")    \
    X(ERR_JOB_RUNNING,           EALREADY,   "job_running")           \
    X(ERR_CONFLICT,              EEXIST,     "conflict")              \
    X(ERR_PRECONDITION_FAILED,   ESTALE,     "precondition_failed")   \
    X(ERR_BODY_TOO_LARGE,        EFBIG,      "body_too_large")        \
    X(ERR_UNSUPPORTED_MEDIA_TYPE, EPROTOTYPE, "unsupported_media_type") \
    X(ERR_VALIDATION,            EINVAL,     "validation_failed")     \
    X(ERR_QUOTA_EXCEEDED,        EDQUOT,     "quota_exceeded")        \
    X(ERR_RATE_LIMITED,          EUSERS,     "rate_limited")          \
    X(ERR_PROCESS_LIMIT,         EMLINK,     "process_limit")         \
    X(ERR_DOCKER,                EREMOTEIO,  "docker_error")          \
    X(ERR_DOCKER_DOWN,           EHOSTDOWN,  "docker_unavailable")    \
    X(ERR_OVERLOADED,            EBUSY,      "overloaded")            \
    X(ERR_INTERNAL,              EIO,        "internal")
/* clang-format on */

enum error_code {
    ERR_NONE = 0,
#define X(code, number, name) code,
    ERROR_CODES(X)
#undef X
        ERROR_CODE_COUNT
};

enum { ERROR_VIOLATIONS_MAX = 8 };

/* One value that is not acceptable, for the `errors` of a 422. */
struct violation {
    char pointer[96];      /* RFC 6901 JSON pointer of the value */
    char detail[160];      /* what was expected */
    unsigned line, column; /* of the file it is in, from 1; 0: it is in none */
};

/* Lifetime: scope. Initialise with {0}. */
struct error {
    enum error_code code;
    char msg[256];           /* one sentence, fit for the caller's eyes */
    char detail[320];        /* for our log only: what Docker, SQLite or the kernel said */
    int retry_after_seconds; /* 0: waiting does not help */
    size_t violation_count;  /* entries used in violations */
    struct violation violations[ERROR_VIOLATIONS_MAX];
};

/*
 * Note a failure in @e (which may be NULL); a failure already noted is kept.
 * @fmt is the sentence for the caller. Returns the code's negative errno.
 */
int error_set(struct error *e, enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set(), with @detail (may be NULL) for our log. @fmt is the sentence for the caller. */
int error_set_detail(struct error *e, enum error_code code, const char *detail, const char *fmt,
                     ...) __attribute__((format(printf, 4, 5)));

/* Add to the sentence of the failure noted in @e (which may be NULL), as far as there is room. */
void error_append(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * An ERR_INTERNAL whose detail for the log is "@what: strerror(@errnum)"; the caller only learns
 * that it was our fault. @errnum is a positive errno. Returns the code's negative errno.
 */
int error_errno(struct error *e, int errnum, const char *what);

/*
 * Add a violation at the JSON pointer @pointer and make the error an ERR_VALIDATION; its sentence
 * is that of the first violation. Over ERROR_VIOLATIONS_MAX the rest is dropped. Returns -EINVAL.
 */
int error_violation(struct error *e, const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Empty @e (which may be NULL) for another attempt. */
void error_clear(struct error *e);

/* The stable name of @code, "none" for ERR_NONE. Borrowed, static. */
const char *error_name(enum error_code code);

#endif
