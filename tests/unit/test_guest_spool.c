/* backend/guest/spool.c against files that no guest of ours writes. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/guest/protocol.h"
#include "backend/guest/spool.h"

enum { ID = 0xab, SPOOL_CAP = 8, FULL_SIZE = GUEST_SPOOL_DATA + 2 * SPOOL_CAP };

static char dir[] = "/tmp/test-spool-XXXXXX";
static char path[64];

static int
setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/test-spool-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/spool-%016x", dir, ID);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    return rmdir(dir);
}

/* A good one: ended, "abcd" + "wxyz" of ten bytes on stdout, nothing on stderr. */
static struct guest_spool_head
good_head(void)
{
    return (struct guest_spool_head){
        .magic = GUEST_REQUEST_MAGIC,
        .ended = 1,
        .cap = SPOOL_CAP,
        .streams = {{.claimed = 10, .total = 10}},
        .exit = {.end = GUEST_END_KILLED, .value = SIGKILL, .duration_us = 1},
    };
}

static void
write_spool(const struct guest_spool_head *h, off_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, h, sizeof(*h), 0), sizeof(*h));
    assert_int_equal(pwrite(fd, "abcdyzwx", SPOOL_CAP, GUEST_SPOOL_DATA), SPOOL_CAP);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

static void
a_good_one_is_read(void **state)
{
    const struct guest_spool_head h = good_head();
    _cleanup_(guest_spool_freep) struct guest_spool *s = NULL;
    _cleanup_(freep) char *text = NULL;
    struct guest_spool_state st;
    size_t len, head;
    uint64_t total;

    (void)state;
    write_spool(&h, FULL_SIZE);
    assert_int_equal(guest_spool_open(dir, ID, &s, NULL), 0);
    assert_int_equal(guest_spool_state(s, &st, NULL), 0);
    assert_true(st.ended);
    assert_int_equal(st.result.end, GUEST_KILLED);
    assert_int_equal(guest_spool_read(s, GUEST_STDOUT, 0, &text, &len, &head, &total, NULL), 0);
    assert_int_equal(total, 10);
    assert_int_equal(head, 4);
    assert_int_equal(len, 8);
    assert_string_equal(text, "abcdwxyz");
    assert_int_equal(unlink(path), 0);
}

/* The guest is about to write over what it has not counted yet. */
static void
what_is_claimed_is_left_out(void **state)
{
    struct guest_spool_head h = good_head();
    uint64_t claimed;

    (void)state;
    for (claimed = 10; claimed < 20; claimed++) {
        static const char *const kept[] = {"abcdwxyz", "abcdxyz", "abcdyz", "abcdz", "abcd"};
        _cleanup_(guest_spool_freep) struct guest_spool *s = NULL;
        _cleanup_(freep) char *text = NULL;
        size_t len, head;
        uint64_t total;

        h.streams[GUEST_STDOUT].claimed = claimed;
        write_spool(&h, FULL_SIZE);
        assert_int_equal(guest_spool_open(dir, ID, &s, NULL), 0);
        assert_int_equal(guest_spool_read(s, GUEST_STDOUT, 0, &text, &len, &head, &total, NULL), 0);
        assert_int_equal(total, 10);
        assert_int_equal(head, 4);
        assert_string_equal(text, kept[claimed < 14 ? claimed - 10 : 4]);
    }
    assert_int_equal(unlink(path), 0);
}

static void
damage_cap_huge(struct guest_spool_head *h)
{
    h->cap = UINT64_MAX / 2;
}

static void
damage_cap_over(struct guest_spool_head *h)
{
    h->cap = GUEST_SPOOL_CAP_MAX + 1;
}

static void
damage_cap_one(struct guest_spool_head *h)
{
    h->cap = 1;
}

static void
damage_cap_zero(struct guest_spool_head *h)
{
    h->cap = 0;
}

static void
damage_magic(struct guest_spool_head *h)
{
    h->magic++;
}

static void
damage_ended(struct guest_spool_head *h)
{
    h->ended = 2;
}

static void
damage_total(struct guest_spool_head *h)
{
    h->streams[GUEST_STDERR].total = h->streams[GUEST_STDERR].claimed = UINT64_MAX;
}

static void
damage_claim_low(struct guest_spool_head *h)
{
    h->streams[GUEST_STDOUT].claimed = 9;
}

static void
damage_claim_high(struct guest_spool_head *h)
{
    h->streams[GUEST_STDOUT].claimed = 11 + GUEST_OUTPUT_MAX;
}

static void
damage_nothing(struct guest_spool_head *h)
{
    (void)h;
}

static void
damage_missing_bytes(struct guest_spool_head *h)
{
    h->streams[GUEST_STDERR].total = h->streams[GUEST_STDERR].claimed = 3;
}

static const struct {
    const char *name;
    void (*damage)(struct guest_spool_head *h);
    off_t size;
} hostile[] = {
    {"a huge cap", damage_cap_huge, FULL_SIZE},
    {"a cap over the most", damage_cap_over, FULL_SIZE},
    {"a cap of 1", damage_cap_one, FULL_SIZE},
    {"no cap", damage_cap_zero, FULL_SIZE},
    {"another magic", damage_magic, FULL_SIZE},
    {"a third truth", damage_ended, FULL_SIZE},
    {"a total beyond all", damage_total, FULL_SIZE},
    {"fewer claimed than written", damage_claim_low, FULL_SIZE},
    {"too many claimed", damage_claim_high, FULL_SIZE},
    {"empty", damage_nothing, 0},
    {"half a head", damage_nothing, 20},
    {"a head alone", damage_nothing, sizeof(struct guest_spool_head)},
    {"stdout cut off", damage_nothing, GUEST_SPOOL_DATA + SPOOL_CAP - 1},
    {"stderr cut off", damage_missing_bytes, GUEST_SPOOL_DATA + SPOOL_CAP + 2},
    {"larger than the caps", damage_nothing, FULL_SIZE + 1},
};

static void
hostile_figures_are_refused(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(hostile); i++) {
        struct guest_spool_head h = good_head();
        struct guest_spool *s = NULL;
        struct error err = {0};

        print_message("  %s\n", hostile[i].name);
        hostile[i].damage(&h);
        write_spool(&h, hostile[i].size);
        assert_int_equal(guest_spool_open(dir, ID, &s, &err), -EIO);
        assert_int_equal(err.code, ERR_INTERNAL);
        assert_null(s);
        assert_int_equal(unlink(path), 0);
    }
}

static void
impossible_ends_are_refused(void **state)
{
    static const struct guest_exit ends[] = {
        {.end = GUEST_END_CANCELLED, .value = SIGKILL},
        {.end = GUEST_END_KILLED + 1, .value = SIGKILL},
        {.end = GUEST_END_EXITED, .value = 256},
        {.end = GUEST_END_KILLED, .value = SIGTERM},
        {.end = GUEST_END_EXITED, .duration_us = -1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(ends); i++) {
        struct guest_spool_head h = good_head();
        _cleanup_(guest_spool_freep) struct guest_spool *s = NULL;
        struct guest_spool_state st;

        h.exit = ends[i];
        write_spool(&h, FULL_SIZE);
        assert_int_equal(guest_spool_open(dir, ID, &s, NULL), 0);
        assert_int_equal(guest_spool_state(s, &st, NULL), -EIO);
    }
    assert_int_equal(unlink(path), 0);
}

static void
a_change_for_the_worse_is_noticed(void **state)
{
    struct guest_spool_head h = good_head();
    _cleanup_(guest_spool_freep) struct guest_spool *s = NULL;
    struct guest_spool_state st;
    char *text = NULL;
    size_t len, head;
    uint64_t total;

    (void)state;
    write_spool(&h, FULL_SIZE);
    assert_int_equal(guest_spool_open(dir, ID, &s, NULL), 0);
    h.cap = SPOOL_CAP + 1;
    write_spool(&h, FULL_SIZE);
    assert_int_equal(guest_spool_state(s, &st, NULL), -EIO);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(guest_spool_state(s, &st, NULL), -EIO);
    assert_int_equal(guest_spool_read(s, GUEST_STDOUT, 0, &text, &len, &head, &total, NULL), -EIO);
    assert_null(text);
    assert_int_equal(unlink(path), 0);
}

static void
other_kinds_of_file_are_refused(void **state)
{
    const struct guest_spool_head h = good_head();
    struct guest_spool *s = NULL;
    struct error err = {0};
    char other[64];

    (void)state;
    assert_int_equal(guest_spool_open(dir, ID, &s, &err), -ENOENT);
    assert_int_equal(err.code, ERR_NOT_FOUND);

    write_spool(&h, FULL_SIZE);
    snprintf(other, sizeof(other), "%s/other", dir);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink("other", path), 0);
    assert_int_equal(guest_spool_open(dir, ID, &s, NULL), -EIO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(other), 0);

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(guest_spool_open(dir, ID, &s, NULL), -EIO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(guest_spool_open(dir, ID, &s, NULL), -EIO);
    assert_int_equal(rmdir(path), 0);
    assert_null(s);
}

static void
only_spools_are_listed(void **state)
{
    static const char *const names[] = {"spool-00000000000000ab",
                                        "spool-ffffffffffffffff",
                                        "spool-0000000000000001",
                                        "spool-00000000000000AB",
                                        "spool-ab",
                                        "spool-00000000000000ab0",
                                        "spool-00000000000000 b",
                                        "guest.sock",
                                        "spool-",
                                        "spool-0x000000000000ab",
                                        "xspool-00000000000000a"};
    _cleanup_(freep) uint64_t *ids = NULL;
    uint64_t *none = NULL;
    uint64_t sum = 0;
    char name[96];
    size_t count, i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
        assert_int_equal(close(open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    }
    assert_int_equal(guest_spool_list(dir, &ids, &count, NULL), 0);
    assert_int_equal(count, 3);
    for (i = 0; i < count; i++)
        sum += ids[i];
    assert_int_equal(sum, 0xab + UINT64_MAX + 1);
    for (i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
        unlink(name);
    }
    assert_int_equal(guest_spool_list("/nowhere", &none, &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_null(none);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_good_one_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_claimed_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_figures_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(impossible_ends_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_for_the_worse_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(other_kinds_of_file_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(only_spools_are_listed, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
