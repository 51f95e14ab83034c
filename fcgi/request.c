/* FastCGI parameters and body: see request.h. */
#include "fcgi/request.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "backend/cleanup.h"
#include "backend/id.h"

#define BASE_PATH "/api/sandbox"

enum {
    USER_MAX = 128,
    DRAIN_MAX_BYTES =
        16 << 20, /* what nginx may send of a body that is too large, and still read our 413 */
    CONTENT_LENGTH_DIGITS = 15
};

/* The parameters that we read. */
enum param {
    PARAM_METHOD,
    PARAM_DOCUMENT_URI,
    PARAM_SCRIPT_NAME,
    PARAM_QUERY_STRING,
    PARAM_CONTENT_TYPE,
    PARAM_CONTENT_LENGTH,
    PARAM_REMOTE_USER,
    PARAM_REQUEST_ID,
    PARAM_X_REQUEST_ID,
    PARAM_IF_MATCH,
    PARAM_ACCEPT,
    PARAM_IDEMPOTENCY_KEY,
    PARAM_AUTHORIZATION,
    PARAM_COUNT
};

static const char *const param_names[PARAM_COUNT] = {
    [PARAM_METHOD] = "REQUEST_METHOD",
    [PARAM_DOCUMENT_URI] = "DOCUMENT_URI",
    [PARAM_SCRIPT_NAME] = "SCRIPT_NAME",
    [PARAM_QUERY_STRING] = "QUERY_STRING",
    [PARAM_CONTENT_TYPE] = "CONTENT_TYPE",
    [PARAM_CONTENT_LENGTH] = "CONTENT_LENGTH",
    [PARAM_REMOTE_USER] = "REMOTE_USER",
    [PARAM_REQUEST_ID] = "REQUEST_ID",
    [PARAM_X_REQUEST_ID] = "HTTP_X_REQUEST_ID",
    [PARAM_IF_MATCH] = "HTTP_IF_MATCH",
    [PARAM_ACCEPT] = "HTTP_ACCEPT",
    [PARAM_IDEMPOTENCY_KEY] = "HTTP_IDEMPOTENCY_KEY",
    [PARAM_AUTHORIZATION] = "HTTP_AUTHORIZATION",
};

struct params {
    const char *values[PARAM_COUNT];
    bool twice[PARAM_COUNT];
};

/* libfcgi keeps both of two equal parameters and finds the first, so we look at all of them. */
static void
collect(char *const *envp, struct params *p)
{
    for (; *envp; envp++) {
        const char *equals = strchr(*envp, '=');
        size_t len = equals ? (size_t)(equals - *envp) : 0;

        for (size_t i = 0; len > 0 && i < PARAM_COUNT; i++) {
            if (strncmp(*envp, param_names[i], len) != 0 || param_names[i][len] != '\0')
                continue;
            p->twice[i] = p->values[i] != NULL;
            p->values[i] = equals + 1;
            break;
        }
    }
}

static bool
is_request_id(const char *s)
{
    size_t len = s ? strlen(s) : 0;

    if (len < 1 || len > REQUEST_ID_MAX)
        return false;
    for (; *s; s++) {
        if (!isalnum((unsigned char)*s) && *s != '.' && *s != '_' && *s != '-')
            return false;
    }
    return true;
}

/* The caller's id, else nginx's, else one of ours. */
static void
choose_request_id(const struct params *p, char out[REQUEST_ID_MAX + 1])
{
    uint64_t bits = 0;

    if (is_request_id(p->values[PARAM_X_REQUEST_ID]) && !p->twice[PARAM_X_REQUEST_ID]) {
        snprintf(out, REQUEST_ID_MAX + 1, "%s", p->values[PARAM_X_REQUEST_ID]);
    } else if (is_request_id(p->values[PARAM_REQUEST_ID])) {
        snprintf(out, REQUEST_ID_MAX + 1, "%s", p->values[PARAM_REQUEST_ID]);
    } else {
        if (getrandom(&bits, sizeof(bits), 0) < 0)
            bits = (uint64_t)time_monotonic_ms();
        snprintf(out, REQUEST_ID_MAX + 1, "%016llx", (unsigned long long)bits);
    }
}

static const char *
below_base(const char *path)
{
    size_t len = strlen(BASE_PATH);

    if (!path || strncmp(path, BASE_PATH, len) != 0 || (path[len] != '\0' && path[len] != '/'))
        return NULL;
    return path + len;
}

/* "" counts as absent: nginx passes CONTENT_LENGTH always. -1: absent, -2: malformed. */
static int64_t
parse_content_length(const char *s)
{
    int64_t n = 0;

    if (!s || s[0] == '\0')
        return -1;
    if (strlen(s) > CONTENT_LENGTH_DIGITS || strspn(s, "0123456789") != strlen(s))
        return -2;
    for (; *s; s++)
        n = n * 10 + (*s - '0');
    return n;
}

int
request_params(char *const *envp, struct incoming *in, struct error *err)
{
    struct params p = {0};
    const char *path, *user;

    collect(envp, &p);
    user = p.values[PARAM_REMOTE_USER];
    path =
        p.values[PARAM_DOCUMENT_URI] ? p.values[PARAM_DOCUMENT_URI] : p.values[PARAM_SCRIPT_NAME];
    *in = (struct incoming){
        .method = p.values[PARAM_METHOD] ? p.values[PARAM_METHOD] : "",
        .path = below_base(path),
        .user = user && !p.twice[PARAM_REMOTE_USER] && id_is_name(user, USER_MAX) ? user : NULL,
        .query_string = p.values[PARAM_QUERY_STRING],
        .content_type = p.values[PARAM_CONTENT_TYPE],
        .if_match = p.values[PARAM_IF_MATCH],
        .accept = p.values[PARAM_ACCEPT],
        .idempotency_key = p.values[PARAM_IDEMPOTENCY_KEY],
        .authorization = p.values[PARAM_AUTHORIZATION],
        .content_length = parse_content_length(p.values[PARAM_CONTENT_LENGTH]),
    };
    choose_request_id(&p, in->request_id);
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        if (p.twice[i] && i != PARAM_REMOTE_USER)
            return error_set(err, ERR_BAD_QUERY, "%s came twice", param_names[i]);
    }
    if (in->content_length == -2) {
        in->content_length = -1;
        return error_set(err, ERR_BAD_QUERY, "CONTENT_LENGTH is not a length");
    }
    return 0;
}

/* Read and forget. Returns whether the end came within the limit. */
static bool
drain(FCGX_Stream *stream)
{
    char scratch[4096];
    int64_t total = 0;
    int n;

    do {
        n = FCGX_GetStr(scratch, (int)sizeof(scratch), stream);
        total += n;
    } while (n == (int)sizeof(scratch) && total < DRAIN_MAX_BYTES);
    return n < (int)sizeof(scratch);
}

/*
 * Append the body to @body, at most one byte more than is allowed. Returns 1 at its end, 0 where
 * there is more than that, or a negative errno.
 */
static int
read_bounded(FCGX_Stream *stream, int64_t announced, size_t max, struct buf *body)
{
    size_t left, want = announced >= 0 ? (size_t)announced + 1 : 4096;

    while (body->len <= max) {
        char *to;
        int n;

        left = max + 1 - body->len;
        if (want > left)
            want = left;
        to = buf_reserve(body, want);
        if (!to)
            return -ENOMEM;
        n = FCGX_GetStr(to, (int)want, stream);
        buf_commit(body, (size_t)n);
        if ((size_t)n < want)
            return 1;
        want = body->len;
    }
    return 0;
}

int
request_body(FCGX_Stream *stream, struct incoming *in, struct buf *body, bool *ret_at_end,
             struct error *err)
{
    size_t max = in->body_max ? in->body_max : BODY_MAX_BYTES;
    bool at_end;
    int r = 0;

    if (in->content_length <= (int64_t)max)
        r = read_bounded(stream, in->content_length, max, body);
    if (r < 0)
        return error_errno(err, -r, "reading a body");
    at_end = r > 0 || drain(stream);
    if (FCGX_GetError(stream) != 0)
        return -EPIPE;
    *ret_at_end = at_end;
    in->body_too_large = r == 0;
    if (in->body_too_large)
        return 0;
    in->body = body->data;
    in->body_len = body->len;
    if (in->content_length >= 0 && (size_t)in->content_length != body->len)
        return error_set(err, ERR_BAD_JSON, "the body has %zu bytes where %lld were announced",
                         body->len, (long long)in->content_length);
    return 0;
}

static int
bad_json_at(const char *bytes, size_t at, struct error *err, const char *what)
{
    size_t line = 1, column = 1;

    for (size_t i = 0; i < at; i++) {
        column = bytes[i] == '\n' ? 1 : column + 1;
        line += bytes[i] == '\n';
    }
    return error_set(err, ERR_BAD_JSON, "line %zu, column %zu: %s", line, column, what);
}

/*
 * Bound what parsing may cost before it begins: jansson recurses to a depth of 2048, which the
 * small stacks of our threads do not hold, and makes up to 100 bytes of memory out of one.
 */
static int
check_extent(const char *bytes, size_t len, struct error *err)
{
    size_t depth = 0, values = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];

        if (in_string && c == '\\') {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '[' || c == '{' || c == ',')) {
            depth += c != ',';
            values++;
        } else if (!in_string && (c == ']' || c == '}') && depth > 0) {
            depth--;
        }
        if (depth > BODY_DEPTH_MAX)
            return bad_json_at(bytes, i, err, "nested deeper than 32 levels");
        if (values > BODY_VALUES_MAX)
            return bad_json_at(bytes, i, err, "more than 65536 values");
    }
    return 0;
}

int
request_json(const char *bytes, size_t len, json_t **ret, struct error *err)
{
    json_error_t where;
    json_t *json;
    int r;

    r = check_extent(bytes, len, err);
    if (r < 0)
        return r;
    json = json_loadb(bytes, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (!json)
        return error_set(err, ERR_BAD_JSON, "line %d, column %d: %s", where.line, where.column,
                         where.text);
    *ret = json;
    return 0;
}

/*
 * Decode `len` bytes of form encoding in place of a new string. Returns NULL on a bad escape, an
 * encoded NUL or ENOMEM.
 */
static char *
percent_decode(const char *s, size_t len)
{
    _cleanup_(freep) char *out = malloc(len + 1);
    size_t n = 0;

    if (!out)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        char digits[3] = {0};

        if (s[i] != '%') {
            out[n++] = (char)(s[i] == '+' ? ' ' : s[i]);
            continue;
        }
        if (len - i < 3 || !isxdigit((unsigned char)s[i + 1]) || !isxdigit((unsigned char)s[i + 2]))
            return NULL;
        memcpy(digits, s + i + 1, 2);
        out[n] = (char)strtoul(digits, NULL, 16);
        if (out[n++] == '\0')
            return NULL;
        i += 2;
    }
    out[n] = '\0';
    return TAKE(out);
}

static json_t *
integer_value(const char *s)
{
    const char *digits = s[0] == '-' ? s + 1 : s;
    long long n;

    if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits))
        return NULL;
    errno = 0;
    n = strtoll(s, NULL, 10);
    return errno ? NULL : json_integer(n);
}

/* JSON's own number syntax, so that "inf", "nan" and hexadecimal are none. */
static json_t *
number_value(const char *s)
{
    json_t *json =
        s[0] == '-' || isdigit((unsigned char)s[0]) ? json_loads(s, JSON_DECODE_ANY, NULL) : NULL;

    if (!json_is_number(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* The value of a parameter by its field's type, or NULL with *ret_expected. */
static json_t *
query_value(const struct field *f, const char *s, const char **ret_expected)
{
    switch (f->type) {
    case FIELD_STRING:
    case FIELD_IDENT:
    case FIELD_ENUM:
        *ret_expected = "valid UTF-8";
        return json_string(s);
    case FIELD_INT:
        *ret_expected = "an integer";
        return integer_value(s);
    case FIELD_NUMBER:
        *ret_expected = "a number";
        return number_value(s);
    case FIELD_BOOL:
        *ret_expected = "true or false";
        return strcmp(s, "true") == 0 ? json_true() : strcmp(s, "false") == 0 ? json_false() : NULL;
    case FIELD_STRINGS:
    case FIELD_INTS:
    case FIELD_MAP:
    case FIELD_OBJECT:
    case FIELD_LIST:
    case FIELD_DICT:
        break;
    }
    *ret_expected = "absent: such a value has no place in a query";
    return NULL;
}

static const struct field *
find_field(const struct field *fields, const char *name)
{
    for (const struct field *f = fields; f && f->name; f++) {
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

static int
add_parameter(const struct field *fields, json_t *query, const char *name, const char *text,
              struct error *err)
{
    const struct field *f = find_field(fields, name);
    const char *expected = NULL;
    json_t *value;

    if (!f)
        return error_set(err, ERR_BAD_QUERY, "unknown query parameter '%s'", name);
    if (json_object_get(query, name))
        return error_set(err, ERR_BAD_QUERY, "query parameter '%s' came twice", name);
    value = query_value(f, text, &expected);
    if (!value)
        return error_set(err, ERR_BAD_QUERY, "query parameter '%s' must be %s", name, expected);
    if (json_object_set_new(query, name, value) < 0)
        return error_errno(err, ENOMEM, "query");
    return 0;
}

int
request_query(const struct field *fields, const char *query_string, json_t **ret, struct error *err)
{
    json_auto_t *query = json_object();
    const char *s = query_string ? query_string : "";

    if (!query)
        return error_errno(err, ENOMEM, "query");
    while (*s) {
        size_t len = strcspn(s, "&");
        size_t name_len = strcspn(s, "&=");
        _cleanup_(freep) char *name = percent_decode(s, name_len);
        _cleanup_(freep) char *text =
            name_len < len ? percent_decode(s + name_len + 1, len - name_len - 1) : strdup("");
        int r;

        if (!name || !text)
            return error_set(err, ERR_BAD_QUERY, "the query parameter '%.*s' is not well encoded",
                             (int)(name_len < 64 ? name_len : 64), s);
        if (len > 0) {
            r = add_parameter(fields, query, name, text, err);
            if (r < 0)
                return r;
        }
        s += s[len] ? len + 1 : len;
    }
    *ret = TAKE(query);
    return 0;
}
