/* The strict parser: see scraped.h. */
#include "tests/test.h"

#include "tests/api/scraped.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"

enum { NAME_SIZE = 128, SERIES_SIZE = 512, LE_SIZE = 32 };

/* The family whose samples come now, and the histogram of it that is read. */
struct family {
    char name[NAME_SIZE];
    char type[16];
    char buckets_of[SERIES_SIZE + 1]; /* labels of the histogram but `le`; "" before the first */
    double bound, cumulative;
    bool ended; /* +Inf has come */
};

/* Lifetime: scope. */
struct parser {
    json_t *samples;
    json_t *families; /* those that were begun */
    struct family family;
    const char *line;
};

#define refuse(p, ...)                                                                             \
    do {                                                                                           \
        print_error("in the line: %s\n", (p)->line);                                               \
        fail_msg(__VA_ARGS__);                                                                     \
    } while (0)

/* Take a name of letters, digits and underscores (and colons, in a metric's). */
static const char *
take_name(struct parser *p, const char *at, char out[NAME_SIZE])
{
    size_t len = 0;

    while (isalnum((unsigned char)at[len]) || at[len] == '_')
        len++;
    if (len == 0 || len >= NAME_SIZE || isdigit((unsigned char)at[0]))
        refuse(p, "no name at '%s'", at);
    memcpy(out, at, len);
    out[len] = '\0';
    return at + len;
}

/* "# HELP name text" or "# TYPE name type". */
static void
take_comment(struct parser *p)
{
    bool help = strncmp(p->line, "# HELP ", 7) == 0;
    char name[NAME_SIZE];
    const char *rest;

    if (!help && strncmp(p->line, "# TYPE ", 7) != 0)
        refuse(p, "neither HELP nor TYPE");
    rest = take_name(p, p->line + 7, name);
    if (*rest++ != ' ' || !*rest)
        refuse(p, "nothing follows the name");
    if (help) {
        if (json_object_get(p->families, name))
            refuse(p, "a second HELP of %s", name);
        json_object_set_new(p->families, name, json_true());
        p->family = (struct family){0};
        snprintf(p->family.name, sizeof(p->family.name), "%s", name);
        return;
    }
    if (strcmp(name, p->family.name) != 0 || p->family.type[0])
        refuse(p, "TYPE of %s does not follow its HELP", name);
    if (strcmp(rest, "counter") != 0 && strcmp(rest, "gauge") != 0 &&
        strcmp(rest, "histogram") != 0)
        refuse(p, "a type '%s'", rest);
    if ((strcmp(rest, "counter") == 0) !=
        (strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0))
        refuse(p, "counters, and no others, end with _total");
    snprintf(p->family.type, sizeof(p->family.type), "%s", rest);
}

/* Take a label's value with its quotes. */
static const char *
take_value(struct parser *p, const char *at)
{
    if (*at++ != '"')
        refuse(p, "no quote");
    for (; *at != '"'; at++) {
        if (*at == '\\' && !strchr("\\\"n", *++at))
            refuse(p, "a bad escape");
        if (!*at)
            refuse(p, "the line ends in a value");
    }
    return at + 1;
}

/* Take "{…}"; @ret_others gets the labels but `le`, @ret_le that one. */
static const char *
take_labels(struct parser *p, const char *at, char ret_others[SERIES_SIZE], char ret_le[LE_SIZE])
{
    char seen[SERIES_SIZE] = ",", quoted[NAME_SIZE + 3];

    ret_others[0] = ret_le[0] = '\0';
    if (*at != '{')
        return at;
    do {
        char name[NAME_SIZE];
        const char *value = take_name(p, at + 1, name) + 1;
        size_t used = strlen(ret_others);

        if (value[-1] != '=')
            refuse(p, "no = after %s", name);
        snprintf(quoted, sizeof(quoted), ",%s,", name);
        if (strstr(seen, quoted))
            refuse(p, "the label %s comes twice", name);
        strncat(seen, quoted + 1, sizeof(seen) - strlen(seen) - 1);
        at = take_value(p, value);
        if (strcmp(name, "le") == 0)
            snprintf(ret_le, LE_SIZE, "%.*s", (int)(at - value - 2), value + 1);
        else
            snprintf(ret_others + used, SERIES_SIZE - used, "%s=%.*s,", name, (int)(at - value),
                     value);
    } while (*at == ',');
    if (*at != '}')
        refuse(p, "no } after the labels");
    return at + 1;
}

static double
take_number(struct parser *p, const char *at)
{
    char *end = NULL;
    double value = strtod(at, &end);

    if (end == at || *end || !isfinite(value))
        refuse(p, "no number: '%s'", at);
    return value;
}

static void
check_bucket(struct parser *p, const char *others, const char *le, double value)
{
    struct family *f = &p->family;
    double bound = strcmp(le, "+Inf") == 0 ? INFINITY : take_number(p, le);

    if (f->ended || !f->buckets_of[0]) {
        f->bound = f->cumulative = 0;
        f->ended = false;
        snprintf(f->buckets_of, sizeof(f->buckets_of), "%s;", others);
    }
    if (strncmp(f->buckets_of, others, strlen(others)) != 0 || bound <= f->bound ||
        value < f->cumulative)
        refuse(p, "buckets are not in order");
    f->bound = bound;
    f->cumulative = value;
    f->ended = isinf(bound);
}

/* Check the sample @suffix ("_bucket", "_sum", "_count", or "") of the family. */
static void
check_sample(struct parser *p, const char *suffix, const char *others, const char *le, double value)
{
    bool histogram = strcmp(p->family.type, "histogram") == 0;

    if (histogram && strcmp(suffix, "_bucket") == 0 && le[0])
        check_bucket(p, others, le, value);
    else if (histogram && strcmp(suffix, "_count") == 0) {
        if (!p->family.ended || value != p->family.cumulative)
            refuse(p, "the count is not the last bucket");
    } else if (le[0] || strcmp(suffix, histogram ? "_sum" : "") != 0)
        refuse(p, "not a sample of a %s", p->family.type);
    if (value < 0 && strcmp(p->family.type, "gauge") != 0)
        refuse(p, "less than nothing");
}

static void
take_sample(struct parser *p)
{
    char name[NAME_SIZE], others[SERIES_SIZE], le[LE_SIZE], series[SERIES_SIZE];
    size_t family_len = strlen(p->family.name);
    const char *at = take_name(p, p->line, name);
    double value;

    if (!p->family.type[0] || strncmp(name, p->family.name, family_len) != 0)
        refuse(p, "a sample outside of its family");
    at = take_labels(p, at, others, le);
    if (*at != ' ')
        refuse(p, "no blank before the value");
    snprintf(series, sizeof(series), "%.*s", (int)(at - p->line), p->line);
    value = take_number(p, at + 1);
    check_sample(p, name + family_len, others, le, value);
    if (json_object_get(p->samples, series))
        refuse(p, "%s comes twice", series);
    json_object_set_new(p->samples, series, json_real(value));
}

json_t *
scraped_parse(const char *text)
{
    struct parser p = {.samples = json_object()};
    json_auto_t *families = json_object();
    _cleanup_(freep) char *copy = strdup(text);
    char *rest = NULL;

    assert_non_null(copy);
    p.families = families;
    if (!text[0] || text[strlen(text) - 1] != '\n' || strstr(text, "\n\n"))
        fail_msg("not of whole lines: %s", text);
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        p.line = line;
        if (line[0] == '#')
            take_comment(&p);
        else
            take_sample(&p);
    }
    return p.samples;
}

json_t *
scraped(void)
{
    struct reply r = call(ADMIN, "GET", "/metrics", NULL, NULL);
    json_t *samples;

    assert_status(&r, 200);
    assert_string_equal(r.content_type, "text/plain; version=0.0.4; charset=utf-8");
    samples = scraped_parse(r.body);
    reply_done(&r);
    return samples;
}

double
scraped_value(const json_t *samples, const char *series)
{
    return json_number_value(json_object_get(samples, series));
}

void
assert_scraped_rise(const json_t *before, const json_t *now, const char *series, double more)
{
    double was = scraped_value(before, series), is = scraped_value(now, series);

    if (is != was + more)
        fail_msg("%s is %.9g, not %.9g + %.9g", series, is, was, more);
}
