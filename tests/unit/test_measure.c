/* Counting the files of a tree that is not to be trusted, and flattening one that is too deep. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/broker/measure.h"
#include "backend/cleanup.h"

enum { DEEP = 3000, FLAT = 16, KIB = 1024, NO_LIMIT = 1 << 30 };

static const struct measure no_limit = {.bytes = INT64_MAX, .files = NO_LIMIT};
static char dir[64];

static int
make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/test_measure.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int
remove_dir(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 64, FTW_DEPTH | FTW_PHYS);
}

/* The file @name with @kib KiB of content. */
static void
make_file(const char *name, size_t kib)
{
    char path[128], block[KIB] = "x";
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "we");
    assert_non_null(f);
    for (size_t i = 0; i < kib; i++)
        assert_int_equal(fwrite(block, 1, sizeof(block), f), sizeof(block));
    assert_int_equal(fflush(f), 0);
    assert_int_equal(fsync(fileno(f)), 0); /* so that its blocks are allocated */
    fclose(f);
}

static struct measure
measured(void)
{
    struct measure m = {0};

    assert_int_equal(measure_tree(dir, &no_limit, &m), 0);
    return m;
}

static void
test_what_is_counted(void **state)
{
    char from[128], to[128];
    struct measure before, m;

    (void)state;
    make_file("one", 100);
    before = measured();
    assert_int_equal(before.files, 1);
    assert_in_range(before.bytes, 100 * KIB, 128 * KIB);
    /* A second name of it, a link out of the tree, and a hole. */
    snprintf(from, sizeof(from), "%s/one", dir);
    snprintf(to, sizeof(to), "%s/two", dir);
    assert_int_equal(link(from, to), 0);
    snprintf(to, sizeof(to), "%s/out", dir);
    assert_int_equal(symlink("/", to), 0);
    make_file("hole", 0);
    snprintf(to, sizeof(to), "%s/hole", dir);
    assert_int_equal(truncate(to, (off_t)1 << 40), 0);
    m = measured();
    assert_int_equal(m.files, 4);
    assert_true(m.bytes - before.bytes < 16 * KIB);
}

static void
test_counting_ends_over_the_limit(void **state)
{
    struct measure m = {0};
    char name[32];

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "%d", i);
        make_file(name, 8);
    }
    assert_int_equal(measure_tree(dir, &(struct measure){.bytes = INT64_MAX, .files = 10}, &m), 0);
    assert_int_equal(m.files, 11);
    m = (struct measure){0};
    assert_int_equal(measure_tree(dir, &(struct measure){.bytes = 40 * KIB, .files = NO_LIMIT}, &m),
                     0);
    assert_true(m.bytes > 40 * KIB && m.files < 10);
    assert_int_equal(measure_tree("/no/such/directory", &no_limit, &m), -ENOENT);
}

static int deepest;

static int
note_depth(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path;
    (void)st;
    (void)type;
    deepest = at->level > deepest ? at->level : deepest;
    return 0;
}

static void
test_a_deep_tree_is_counted_and_flattened(void **state)
{
    char cwd[PATH_MAX];
    struct measure m;

    (void)state;
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_int_equal(chdir(dir), 0);
    for (int i = 0; i < DEEP; i++) {
        assert_int_equal(mkdir("d", 0700), 0);
        assert_int_equal(chdir("d"), 0);
    }
    assert_int_equal(chdir(cwd), 0);
    m = measured();
    assert_int_equal(m.files, DEEP);
    assert_int_equal(measure_flatten(dir), 0);
    deepest = 0;
    assert_int_equal(nftw(dir, note_depth, 64, FTW_PHYS), 0);
    assert_true(deepest > 1 && deepest < FLAT);
    m = measured();
    assert_int_equal(m.files, DEEP);
}

/* This test stands for a container: its root, its pid namespace, and a file that has no name. */
static void
test_nameless_files_are_found_once(void **state)
{
    struct stat root;
    struct measure m = {0};
    char path[128];
    int fd, again, bytes = 3 << 20;

    (void)state;
    assert_int_equal(stat("/", &root), 0);
    snprintf(path, sizeof(path), "%s/gone", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, bytes), 0);
    assert_int_equal(unlink(path), 0);
    again = dup(fd);
    assert_int_equal(measure_nameless(getpid(), &no_limit, &m), 0);
    /* Others on this machine may have some as well. */
    assert_true(m.files >= 1 && m.bytes >= bytes);
    close(again);
    close(fd);
}

#define measure_test(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        measure_test(test_what_is_counted),
        measure_test(test_counting_ends_over_the_limit),
        measure_test(test_a_deep_tree_is_counted_and_flattened),
        measure_test(test_nameless_files_are_found_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
