/*
 * Floors of versions: see floors.h. A floor is the list of releases that first had a fix: the last
 * of them and all later ones have it, and of an older branch (its first two numbers) what comes
 * after the release named.
 */
#include "backend/floors.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"

enum { RELEASES_MAX = 4, RELEASES_TEXT_SIZE = 96, PRERELEASE = -1 };

enum part { PART_ENGINE, PART_RUNC, PART_KERNEL, PART_SQLITE, PART_COUNT };

struct version {
    int number[3];
    bool distribution; /* a kernel such as 5.15.0-91: the third number is not upstream's */
};

struct release {
    int number[3]; /* all 0: none */
};

struct floor {
    enum part part;
    struct release since;               /* older ones never had the fault */
    struct release fixed[RELEASES_MAX]; /* ascending, the rest all 0 */
    const char *debian;                 /* the first package of an older version with the fix */
    const char *why;
};

static const char *const part_names[PART_COUNT] = {
    [PART_ENGINE] = "the Docker Engine",
    [PART_RUNC] = "runc",
    [PART_KERNEL] = "the kernel",
    [PART_SQLITE] = "SQLite",
};

/* clang-format off */
static const struct floor floors[] = {
    {PART_ENGINE, .fixed = {{{20, 10, 9}}},
     .why = "CVE-2021-41091: every account of this machine can run what containers have made setuid"},
    {PART_ENGINE, .fixed = {{{24, 0, 9}}, {{25, 0, 2}}},
     .why = "CVE-2024-24557: a build from scratch may take layers that another Dockerfile has made"},
    {PART_RUNC, .fixed = {{{1, 1, 12}}}, .debian = "1.1.5+ds1-1+deb12u1",
     .why = "CVE-2024-21626: an image can have a process begin in the host's file system"},
    {PART_RUNC, .fixed = {{{1, 2, 8}}, {{1, 3, 3}}, {{1, 4, 0}}},
     .why = "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881: an image can have files of the "
            "host's /proc written while its container starts"},
    {PART_KERNEL, .fixed = {{{5, 12, 0}}},
     .why = "it lacks mount_setattr(2), without which no workspace can be given to a container"},
    {PART_KERNEL, .since = {{5, 8, 0}}, .fixed = {{{5, 10, 102}}, {{5, 15, 25}}, {{5, 16, 11}}},
     .why = "CVE-2022-0847 (Dirty Pipe): commands can change files that they may only read, and so "
            "what other containers share with theirs"},
    {PART_SQLITE, .fixed = {{{3, 44, 6}}, {{3, 50, 7}}, {{3, 51, 3}}},
     .why = "its WAL may lose rows when two connections write at one moment; sandboxd keeps them "
            "apart by a lock of its own, which other programs that open the database do not hold"},
};
/* clang-format on */

static bool
is_none(const struct release *r)
{
    return r->number[0] == 0 && r->number[1] == 0 && r->number[2] == 0;
}

static int
compare(const struct version *v, const struct release *r)
{
    for (int i = 0; i < 3; i++)
        if (v->number[i] != r->number[i])
            return v->number[i] < r->number[i] ? -1 : 1;
    return 0;
}

/* One number of a version, and past it. */
static bool
take_number(const char **text, int *ret)
{
    char *end;
    long n;

    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    n = strtol(*text, &end, 10);
    if (errno != 0 || n > 1000000)
        return false;
    *text = end;
    *ret = (int)n;
    return true;
}

/* Two or three numbers, and after them anything that is no letter or dot: a suffix of whoever built
 * it. */
static bool
parse(const char *text, struct version *ret)
{
    struct version v = {0};

    if (*text == 'v')
        text++;
    if (!take_number(&text, &v.number[0]) || *text++ != '.' || !take_number(&text, &v.number[1]))
        return false;
    if (*text == '.') {
        text++;
        if (!take_number(&text, &v.number[2]))
            return false;
    }
    if (isalnum((unsigned char)*text))
        return false;
    v.distribution = v.number[2] == 0 && text[0] == '-' && isdigit((unsigned char)text[1]);
    if (strncmp(text, "-rc", 3) == 0 && v.number[2] == 0)
        v.number[2] = PRERELEASE;
    *ret = v;
    return true;
}

/* The release of @f's that decides: of the version's own branch, else the last. */
static const struct release *
deciding(const struct floor *f, const struct version *v)
{
    const struct release *last = &f->fixed[0];

    for (size_t i = 0; i < RELEASES_MAX && !is_none(&f->fixed[i]); i++) {
        last = &f->fixed[i];
        if (last->number[0] == v->number[0] && last->number[1] == v->number[1])
            break;
    }
    return last;
}

/* Whether the package @build is @fixed or a later revision of the same; it ends with a number. */
static bool
is_backport(const char *build, const char *fixed)
{
    size_t len = strlen(fixed);

    while (len > 0 && isdigit((unsigned char)fixed[len - 1]))
        len--;
    return strncmp(build, fixed, len) == 0 &&
           strtol(build + len, NULL, 10) >= strtol(fixed + len, NULL, 10);
}

/* "1.2.8, 1.3.3 or 1.4.0" */
static void
print_releases(const struct floor *f, char out[RELEASES_TEXT_SIZE])
{
    size_t used = 0;

    for (size_t i = 0; i < RELEASES_MAX && !is_none(&f->fixed[i]); i++) {
        const int *n = f->fixed[i].number;
        bool last = i + 1 == RELEASES_MAX || is_none(&f->fixed[i + 1]);
        int len = snprintf(out + used, RELEASES_TEXT_SIZE - used, "%s%d.%d.%d",
                           i == 0 ? "" : (last ? " or " : ", "), n[0], n[1], n[2]);

        used += (size_t)len;
    }
}

static json_t *
below_json(const struct floor *f, const char *text, const struct version *v,
           const struct release *decides)
{
    char releases[RELEASES_TEXT_SIZE] = "";

    print_releases(f, releases);
    if (v->distribution && decides->number[1] == v->number[1])
        return json_sprintf("%s %s is a distribution's, which does not say whether it has the fix "
                            "of %s: %s",
                            part_names[f->part], text, releases, f->why);
    return json_sprintf("%s %s is older than %s: %s", part_names[f->part], text, releases, f->why);
}

static int
check_floor(const struct floor *f, const char *text, const struct version *v, const char *build,
            json_t *sentences)
{
    const struct release *decides = deciding(f, v);

    if (compare(v, &f->since) < 0 || compare(v, decides) >= 0)
        return 0;
    if (f->debian && build && is_backport(build, f->debian))
        return 0;
    return json_array_append_new(sentences, below_json(f, text, v, decides)) < 0 ? -ENOMEM : 0;
}

static int
check_part(enum part part, const char *text, const char *build, json_t *sentences)
{
    struct version v;
    int r = 0;

    if (!text)
        return 0;
    if (!parse(text, &v)) {
        json_t *unknown = json_sprintf("the version of %s is unknown ('%s'), and so is what it is "
                                       "open to",
                                       part_names[part], text);

        return json_array_append_new(sentences, unknown) < 0 ? -ENOMEM : 0;
    }
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(floors); i++)
        if (floors[i].part == part)
            r = check_floor(&floors[i], text, &v, build, sentences);
    return r;
}

int
floors_check(const struct floor_versions *versions, json_t *sentences)
{
    const char *const texts[PART_COUNT] = {
        [PART_ENGINE] = versions->engine,
        [PART_RUNC] = versions->runc,
        [PART_KERNEL] = versions->kernel,
        [PART_SQLITE] = versions->sqlite,
    };
    int r = 0;

    for (enum part part = 0; r == 0 && part < PART_COUNT; part++)
        r = check_part(part, texts[part], part == PART_RUNC ? versions->runc_build : NULL,
                       sentences);
    return r;
}
