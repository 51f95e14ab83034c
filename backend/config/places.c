/* The places of values in a file: see places.h. */
#include "backend/config/places.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A pointer too long to be kept whole stands for the first value that it fits. */
struct place {
    char pointer[POINTER_SIZE];
    size_t line, column; /* from 1 */
};

int
places_add(struct places *p, const struct pointer *at, size_t line, size_t column)
{
    size_t size = p->size ? 2 * p->size : 64;
    struct place *items;

    if (p->count == p->size) {
        items = realloc(p->items, size * sizeof(*items));
        if (!items)
            return -ENOMEM;
        p->items = items;
        p->size = size;
    }
    items = &p->items[p->count++];
    pointer_text(at, items->pointer, sizeof(items->pointer));
    items->line = line;
    items->column = column;
    return 0;
}

void
places_done(struct places *p)
{
    free(p->items);
    p->items = NULL;
    p->count = p->size = 0;
}

static const struct place *
find_exactly(const struct places *p, const char *pointer)
{
    size_t i;

    for (i = 0; i < p->count; i++)
        if (!strcmp(p->items[i].pointer, pointer))
            return &p->items[i];
    return NULL;
}

void
places_find(const struct places *p, const char *pointer, size_t *ret_line, size_t *ret_column)
{
    char around[POINTER_SIZE];
    const struct place *place;
    char *last_step;

    snprintf(around, sizeof(around), "%s", pointer);
    for (;;) {
        place = find_exactly(p, around);
        last_step = strrchr(around, '/');
        if (place || !last_step)
            break;
        *last_step = '\0';
    }
    *ret_line = place ? place->line : 1;
    *ret_column = place ? place->column : 1;
}

json_t *
places_lines(const struct places *p)
{
    json_auto_t *lines = json_object();

    for (size_t i = 0; lines && i < p->count; i++)
        if (json_object_set_new(lines, p->items[i].pointer,
                                json_integer((json_int_t)p->items[i].line)) < 0)
            return NULL;
    return json_incref(lines);
}

int
places_report(const struct places *p, size_t line, size_t column, const char *pointer,
              const char *detail, struct error *err)
{
    size_t count = err ? err->violation_count : 0;
    int r;

    error_set(err, ERR_VALIDATION, "%s:%zu:%zu: %s%s%s", p->name, line, column, pointer,
              pointer[0] ? ": " : "", detail);
    r = error_violation(err, pointer, "%s", detail);
    if (err && err->violation_count > count) {
        err->violations[count].line = (unsigned)line;
        err->violations[count].column = (unsigned)column;
    }
    return r;
}

static int
report_at(const struct places *p, const char *pointer, const char *detail, struct error *err)
{
    size_t line, column;

    if (!p)
        return error_violation(err, pointer, "%s", detail);
    places_find(p, pointer, &line, &column);
    return places_report(p, line, column, pointer, detail, err);
}

int
places_violation(const struct places *p, const struct pointer *at, struct error *err,
                 const char *fmt, ...)
{
    char pointer[POINTER_SIZE], detail[sizeof(err->violations[0].detail)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    pointer_text(at, pointer, sizeof(pointer));
    return report_at(p, pointer, detail, err);
}

int
places_locate(const struct places *p, const struct error *found, struct error *err)
{
    const struct violation *v;
    size_t i;
    int r = 0;

    for (i = 0; i < found->violation_count; i++) {
        v = &found->violations[i];
        r = report_at(p, v->pointer, v->detail, err);
    }
    return r < 0 ? r : error_set_detail(err, found->code, found->detail, "%s", found->msg);
}
