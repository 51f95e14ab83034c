/* Which versions are warned of, and which are not. */
#include "tests/test.h"

#include <string.h>

#include "backend/cleanup.h"
#include "backend/floors.h"

/* Versions that nothing is wrong with. */
static const struct floor_versions good = {
    .engine = "28.2.2",
    .runc = "1.2.8",
    .runc_build = "v1.2.8-0-gbe2dd8c",
    .kernel = "6.1.0-18-amd64",
    .sqlite = "3.51.3",
};

struct floor_case {
    const char *version;
    const char *build;    /* of runc */
    const char *mentions; /* in one of the sentences */
    size_t count;         /* of sentences */
};

/* Check each case as the member of struct floor_versions at @offset. */
static void
check_cases(size_t offset, const struct floor_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct floor_versions versions = good;
        json_auto_t *sentences = json_array();
        _cleanup_(freep) char *text = NULL;

        *(const char **)((char *)&versions + offset) = cases[i].version;
        if (cases[i].build)
            versions.runc_build = cases[i].build;
        assert_int_equal(floors_check(&versions, sentences), 0);
        text = json_dumps(sentences, 0);
        print_message("%s: %s\n", cases[i].version ? cases[i].version : "(none)", text);
        assert_int_equal(json_array_size(sentences), cases[i].count);
        assert_non_null(strstr(text, cases[i].mentions));
    }
}

static void
engines(void **state)
{
    static const struct floor_case cases[] = {
        {"28.2.2", NULL, "", 0},
        {"25.0.2", NULL, "", 0},
        {"25.0.1", NULL, "CVE-2024-24557", 1},
        {"24.0.9", NULL, "", 0},
        {"24.0.8", NULL, "older than 24.0.9 or 25.0.2", 1},
        {"23.0.99", NULL, "CVE-2024-24557", 1},
        {"20.10.24+dfsg1", NULL, "the Docker Engine 20.10.24+dfsg1 is older than", 1},
        {"20.10.8", NULL, "CVE-2021-41091", 2},
        {"29.0.0-rc.1", NULL, "", 0},
        {"", NULL, "unknown", 1},
        {"dev", NULL, "the version of the Docker Engine is unknown ('dev')", 1},
        {NULL, NULL, "", 0},
    };

    (void)state;
    check_cases(offsetof(struct floor_versions, engine), cases, ARRAY_LEN(cases));
}

static void
runcs(void **state)
{
    static const struct floor_case cases[] = {
        {"1.2.8", NULL, "", 0},
        {"1.2.7", NULL, "CVE-2025-31133", 1},
        {"1.3.3", NULL, "", 0},
        {"1.3.2", NULL, "CVE-2025-52881", 1},
        {"1.3.0-rc.2", NULL, "CVE-2025-52565", 1},
        {"1.4.0", NULL, "", 0},
        {"1.4.0-rc.1", NULL, "CVE-2025-31133", 1},
        {"1.1.12", NULL, "older than 1.2.8, 1.3.3 or 1.4.0", 1},
        {"1.1.11", NULL, "CVE-2024-21626", 2},
        {"1.0.0-rc93", NULL, "CVE-2024-21626", 2},
        /* Debian's changelog has CVE-2024-21626, and no other. */
        {"1.1.5+ds1", "1.1.5+ds1-1+deb12u1", "CVE-2025-31133", 1},
        {"1.1.5+ds1", "1.1.5+ds1-1+deb12u12", "CVE-2025-31133", 1},
        {"1.1.5+ds1", "1.1.5+ds1-1", "CVE-2024-21626", 2},
        {"1.1.5+ds1", "1.1.5+ds1-1+deb12u0", "CVE-2024-21626", 2},
        {"1.1.5+ds1", "", "CVE-2024-21626", 2},
        {"1.1.4+ds1", "1.1.4+ds1-1+deb12u1", "CVE-2024-21626", 2},
        {"ff819c7e9184c13b7c2607fe6c30ae19403a7aff", NULL, "unknown", 1},
        {"1", NULL, "unknown", 1},
        {"1.2x", NULL, "unknown", 1},
        {"99999999999999999999.1", NULL, "unknown", 1},
    };

    (void)state;
    check_cases(offsetof(struct floor_versions, runc), cases, ARRAY_LEN(cases));
}

static void
kernels(void **state)
{
    static const struct floor_case cases[] = {
        {"6.18.44-fc-v782", NULL, "", 0},
        {"5.17.0", NULL, "", 0},
        {"5.16.11", NULL, "", 0},
        {"5.16.10", NULL, "Dirty Pipe", 1},
        {"5.15.25-1-pve", NULL, "", 0},
        {"5.15.24", NULL, "Dirty Pipe", 1},
        {"5.15.0-91-generic", NULL, "is a distribution's", 1},
        {"5.13.19", NULL, "Dirty Pipe", 1},
        {"5.10.102", NULL, "mount_setattr", 1},
        {"5.10.0-28-amd64", NULL, "is a distribution's", 2},
        {"5.7.19", NULL, "mount_setattr", 1},
        {"4.19.0-26-amd64", NULL, "mount_setattr", 1},
        {"", NULL, "the version of the kernel is unknown", 1},
    };

    (void)state;
    check_cases(offsetof(struct floor_versions, kernel), cases, ARRAY_LEN(cases));
}

static void
sqlites(void **state)
{
    static const struct floor_case cases[] = {
        {"3.40.1", NULL, "older than 3.44.6, 3.50.7 or 3.51.3", 1},
        {"3.44.6", NULL, "", 0},
        {"3.44.5", NULL, "SQLite 3.44.5", 1},
        {"3.46.1", NULL, "WAL", 1},
        {"3.50.6", NULL, "WAL", 1},
        {"3.50.7", NULL, "", 0},
        {"3.51.2", NULL, "WAL", 1},
        {"3.52.0", NULL, "", 0},
    };

    (void)state;
    check_cases(offsetof(struct floor_versions, sqlite), cases, ARRAY_LEN(cases));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engines),
        cmocka_unit_test(runcs),
        cmocka_unit_test(kernels),
        cmocka_unit_test(sqlites),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
