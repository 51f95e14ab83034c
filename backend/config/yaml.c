/* YAML files as JSON: see yaml.h. libyaml's events are walked by recursive descent. */
#include "backend/config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yaml.h>

#include "backend/buf.h"
#include "backend/config/scalar.h"

/* One parse. Lifetime: scope. */
struct reader {
    yaml_parser_t parser;
    struct yaml_file *file; /* what is being made; borrowed */
    const char *text;       /* borrowed */
    size_t len;
    struct error *err;
};

static int read_value(struct reader *r, const yaml_event_t *event, const struct pointer *at,
                      int depth, json_t **ret);

static int
add_place(struct reader *r, const struct pointer *at, yaml_mark_t mark)
{
    if (places_add(&r->file->places, at, mark.line + 1, mark.column + 1) < 0)
        return error_errno(r->err, ENOMEM, r->file->places.name);
    return 0;
}

/* Refuse the file for what is at @mark. */
static int __attribute__((format(printf, 4, 5)))
refuse(struct reader *r, const struct pointer *at, yaml_mark_t mark, const char *fmt, ...)
{
    char pointer[POINTER_SIZE], detail[sizeof(r->err->violations[0].detail)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    pointer_text(at, pointer, sizeof(pointer));
    return places_report(&r->file->places, mark.line + 1, mark.column + 1, pointer, detail, r->err);
}

/* The mark of the byte at @offset, which is all that libyaml knows of errors in bytes. */
static yaml_mark_t
mark_of_offset(const struct reader *r, size_t offset)
{
    yaml_mark_t mark = {0};
    size_t i;

    for (i = 0; i < offset && i < r->len; i++) {
        if (r->text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if ((r->text[i] & 0xC0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

/* Whether the line (from 0) is indented with a tab: YAML's commonest trap, and libyaml does not
 * say. */
static bool
has_tab_indent(const struct reader *r, size_t line)
{
    const char *at = r->text, *end = r->text + r->len;

    while (line > 0 && at < end)
        line -= *at++ == '\n';
    while (at < end && *at == ' ')
        at++;
    return at < end && *at == '\t';
}

/* What libyaml's problems mean to somebody who has just edited a file; the first that fits. */
static const struct {
    const char *problem, *meaning;
} syntax_problems[] = {
    {"mapping values are not allowed",
     "a ':' where none is expected: see the indentation, and the space after each key's ':'"},
    {"did not find expected key", "the indentation does not fit that of the lines above"},
    {"did not find expected '-' indicator", "the indentation does not fit that of the list above"},
    {"could not find expected ':'", "a key has to be followed by ':' and a space"},
    {"did not find expected alphabetic or numeric",
     "put a value that begins with '*' or '&' in quotes"},
    {"found character that cannot start", "put a value that begins with this character in quotes"},
    {"did not find expected ',' or ']'", "a list that begins with '[' has no ']', or lacks a ','"},
    {"did not find expected ',' or '}'", "what begins with '{' has no '}', or lacks a ','"},
    {"found unexpected end of stream", "a quote is opened and never closed"},
    {"found unknown escape character", "a '\\' in double quotes has to be written '\\\\'"},
};

/* What @problem means, or itself. */
static const char *
find_meaning(const char *problem)
{
    for (size_t i = 0; i < ARRAY_LEN(syntax_problems); i++)
        if (strncmp(problem, syntax_problems[i].problem, strlen(syntax_problems[i].problem)) == 0)
            return syntax_problems[i].meaning;
    return problem;
}

/* Whether a problem is one of what was begun: what is not closed is told of where it is opened. */
static bool
is_of_its_beginning(const yaml_parser_t *p)
{
    static const char *const contexts[] = {"quoted scalar", "simple key", "flow sequence",
                                           "flow mapping"};

    for (size_t i = 0; p->context && i < ARRAY_LEN(contexts); i++)
        if (strstr(p->context, contexts[i]))
            return true;
    return false;
}

static int
refuse_syntax(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;

    switch (p->error) {
    case YAML_MEMORY_ERROR:
        return error_errno(r->err, ENOMEM, r->file->places.name);
    case YAML_READER_ERROR:
        return refuse(r, NULL, mark_of_offset(r, p->problem_offset), "not UTF-8 text: %s",
                      p->problem);
    case YAML_NO_ERROR:
    case YAML_SCANNER_ERROR:
    case YAML_PARSER_ERROR:
    case YAML_COMPOSER_ERROR:
    case YAML_WRITER_ERROR:
    case YAML_EMITTER_ERROR:
        break;
    }
    if (has_tab_indent(r, p->problem_mark.line))
        return refuse(r, NULL, p->problem_mark,
                      "not valid YAML: indent with spaces, not with tabs");
    return refuse(r, NULL, is_of_its_beginning(p) ? p->context_mark : p->problem_mark,
                  "not valid YAML: %s", find_meaning(p->problem));
}

static int
next_event(struct reader *r, yaml_event_t *event)
{
    return yaml_parser_parse(&r->parser, event) ? 0 : refuse_syntax(r);
}

static int
read_scalar(struct reader *r, const yaml_event_t *event, const struct pointer *at, json_t **ret)
{
    const char *text = (const char *)event->data.scalar.value;
    int res = 0;

    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        res = scalar_resolve(text, ret);
    else if (strlen(text) != event->data.scalar.length)
        return refuse(r, at, event->start_mark, "must not hold a NUL");
    else
        *ret = json_string(text);
    if (res == -ERANGE)
        return refuse(r, at, event->start_mark, "must be a finite number of at most 64 bits");
    return *ret ? 0 : error_errno(r->err, ENOMEM, r->file->places.name);
}

static int
read_sequence(struct reader *r, const struct pointer *at, int depth, json_t **ret)
{
    json_auto_t *list = json_array();
    size_t i;
    int res;

    for (i = 0;; i++) {
        _cleanup_(yaml_event_delete) yaml_event_t event = {0};
        struct pointer here = {.up = at, .index = i};
        json_t *item = NULL;

        res = next_event(r, &event);
        if (res < 0)
            return res;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            break;
        res = add_place(r, &here, event.start_mark);
        if (res == 0)
            res = read_value(r, &event, &here, depth, &item);
        if (res < 0)
            return res;
        if (json_array_append_new(list, item) < 0)
            return error_errno(r->err, ENOMEM, r->file->places.name);
    }
    *ret = TAKE(list);
    return *ret ? 0 : error_errno(r->err, ENOMEM, r->file->places.name);
}

/* The key that @event is, borrowed from it. */
static int
read_key(struct reader *r, const yaml_event_t *event, const struct pointer *at, const char **ret)
{
    if (event->type != YAML_SCALAR_EVENT)
        return refuse(r, at, event->start_mark, "every key must be plain text");
    if (event->data.scalar.anchor || event->data.scalar.tag)
        return refuse(r, at, event->start_mark, "a key must not have an anchor or a tag");
    *ret = (const char *)event->data.scalar.value;
    if (strlen(*ret) != event->data.scalar.length)
        return refuse(r, at, event->start_mark, "a key must not hold a NUL");
    return 0;
}

/* Read one member, whose key is in @event, into @object. */
static int
read_member(struct reader *r, const yaml_event_t *event, const struct pointer *at, int depth,
            json_t *object)
{
    _cleanup_(yaml_event_delete) yaml_event_t value_event = {0};
    struct pointer here = {.up = at};
    json_t *value = NULL;
    int res;

    res = read_key(r, event, at, &here.key);
    if (res < 0)
        return res;
    if (json_object_get(object, here.key))
        return refuse(r, &here, event->start_mark, "this key is there twice");
    res = add_place(r, &here, event->start_mark);
    if (res == 0)
        res = next_event(r, &value_event);
    if (res == 0)
        res = read_value(r, &value_event, &here, depth, &value);
    if (res < 0)
        return res;
    if (json_object_set_new(object, here.key, value) < 0)
        return error_errno(r->err, ENOMEM, r->file->places.name);
    return 0;
}

static int
read_mapping(struct reader *r, const struct pointer *at, int depth, json_t **ret)
{
    json_auto_t *object = json_object();
    int res;

    for (;;) {
        _cleanup_(yaml_event_delete) yaml_event_t event = {0};

        res = next_event(r, &event);
        if (res < 0)
            return res;
        if (event.type == YAML_MAPPING_END_EVENT)
            break;
        res = read_member(r, &event, at, depth, object);
        if (res < 0)
            return res;
    }
    *ret = TAKE(object);
    return *ret ? 0 : error_errno(r->err, ENOMEM, r->file->places.name);
}

/* Refuse what makes a value mean something that is not written where it stands. */
static int
check_plainness(struct reader *r, const yaml_event_t *event, const struct pointer *at)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    if (event->type == YAML_ALIAS_EVENT)
        return refuse(r, at, event->start_mark, "aliases are not accepted; write the value out");
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor)
        return refuse(r, at, event->start_mark, "anchors are not accepted");
    if (tag)
        return refuse(r, at, event->start_mark, "tags are not accepted");
    return 0;
}

/* Read the value that starts with @event, @depth lists and objects below the root. */
static int
read_value(struct reader *r, const yaml_event_t *event, const struct pointer *at, int depth,
           json_t **ret)
{
    int res = check_plainness(r, event, at);

    if (res < 0)
        return res;
    if (event->type == YAML_SCALAR_EVENT)
        return read_scalar(r, event, at, ret);
    if (depth == YAML_FILE_DEPTH_MAX)
        return refuse(r, at, event->start_mark, "nested more than %d levels deep",
                      YAML_FILE_DEPTH_MAX);
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return read_sequence(r, at, depth + 1, ret);
    return read_mapping(r, at, depth + 1, ret);
}

/* Read the one event that has no content, and has to come now. */
static int
skip_event(struct reader *r)
{
    _cleanup_(yaml_event_delete) yaml_event_t event = {0};

    return next_event(r, &event);
}

static int
read_root(struct reader *r)
{
    _cleanup_(yaml_event_delete) yaml_event_t event = {0};
    int res = next_event(r, &event);

    if (res == 0)
        res = add_place(r, NULL, event.start_mark);
    return res < 0 ? res : read_value(r, &event, NULL, 0, &r->file->root);
}

static int
read_stream(struct reader *r)
{
    _cleanup_(yaml_event_delete) yaml_event_t start = {0}, end = {0};
    int res;

    res = skip_event(r); /* the stream's start */
    if (res == 0)
        res = next_event(r, &start);
    if (res < 0)
        return res;
    if (start.type == YAML_STREAM_END_EVENT)
        return places_report(&r->file->places, 1, 1, "", "the file is empty", r->err);
    res = read_root(r);
    if (res == 0)
        res = skip_event(r); /* the document's end */
    if (res == 0)
        res = next_event(r, &end);
    if (res == 0 && end.type != YAML_STREAM_END_EVENT)
        return refuse(r, NULL, end.start_mark, "a second document starts here; there must be one");
    return res;
}

int
yaml_file_parse(const char *name, const char *text, size_t len, struct yaml_file **ret,
                struct error *err)
{
    _cleanup_(yaml_file_freep) struct yaml_file *f = calloc(1, sizeof(*f));
    struct reader r = {.file = f, .text = text, .len = len, .err = err};
    int res;

    if (!f)
        return error_errno(err, ENOMEM, name);
    f->places.name = name;
    if (len > YAML_FILE_BYTES_MAX)
        return places_report(&f->places, 1, 1, "", "the file is larger than 256 KiB", err);
    if (!yaml_parser_initialize(&r.parser))
        return error_errno(err, ENOMEM, name);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const yaml_char_t *)text, len);
    res = read_stream(&r);
    yaml_parser_delete(&r.parser);
    if (res == 0)
        *ret = TAKE(f);
    return res;
}

/* Refuse the file @name as a whole, for @errnum, or for @why if that is 0. */
static int
refuse_file(const char *name, int errnum, const char *why, struct error *err)
{
    const struct places nowhere = {.name = name};
    char text[96], detail[160];

    snprintf(detail, sizeof(detail), "the file cannot be read: %s",
             errnum ? strerror_r(errnum, text, sizeof(text)) : why);
    return places_report(&nowhere, 1, 1, "", detail, err);
}

static int
open_file(const char *dir, const char *name, int *ret_fd, struct error *err)
{
    _cleanup_(freep) char *path = NULL;
    _cleanup_(closep) int fd = -1;
    struct stat st;

    if (asprintf(&path, "%s/%s", dir, name) < 0) {
        path = NULL; /* undefined after a failure */
        return error_errno(err, ENOMEM, name);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not block us */
    if (fd < 0 || fstat(fd, &st) < 0)
        return refuse_file(name, errno, NULL, err);
    if (!S_ISREG(st.st_mode))
        return refuse_file(name, 0, "it is not a regular file", err);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int
yaml_file_read(const char *dir, const char *name, struct yaml_file **ret, struct error *err)
{
    const size_t most = YAML_FILE_BYTES_MAX + 1; /* one more, to see that it is too large */
    _cleanup_(buf_done) struct buf text = {.max = most};
    _cleanup_(closep) int fd = -1;
    char *end;
    ssize_t n;
    int r;

    r = open_file(dir, name, &fd, err);
    if (r < 0)
        return r;
    do {
        end = buf_reserve(&text, most - text.len);
        if (!end)
            return error_errno(err, ENOMEM, name);
        n = read(fd, end, most - text.len);
        if (n > 0)
            buf_commit(&text, (size_t)n);
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        return refuse_file(name, errno, NULL, err);
    return yaml_file_parse(name, text.data, text.len, ret, err);
}

void
yaml_file_free(struct yaml_file *f)
{
    if (!f)
        return;
    json_decref(f->root);
    places_done(&f->places);
    free(f);
}
