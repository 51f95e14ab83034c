/* The installation's secret: made once, read ever after. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/secret.h"

static char dir[] = "/tmp/test-secret.XXXXXX", path[64], new_path[64];

static int
dir_open(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/" SECRET_FILE, dir);
    snprintf(new_path, sizeof(new_path), "%s/" SECRET_FILE ".new", dir);
    return 0;
}

static int
dir_close(void **state)
{
    (void)state;
    unlink(path);
    unlink(new_path);
    return rmdir(dir);
}

static int
take(unsigned char key[BACKEND_CURSOR_KEY_SIZE], struct error *err)
{
    struct service_context ctx = {.state_dir = dir};
    int r = secret_take(&ctx, err);

    memcpy(key, ctx.cursor_key, BACKEND_CURSOR_KEY_SIZE);
    return r;
}

static void
write_file(const char *name, const char *text)
{
    _cleanup_(closep) int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void
it_is_made_once_for_its_owner_alone(void **state)
{
    unsigned char first[BACKEND_CURSOR_KEY_SIZE], again[BACKEND_CURSOR_KEY_SIZE],
        anew[BACKEND_CURSOR_KEY_SIZE];
    struct error err = {0};
    struct stat st;

    (void)state;
    write_file(new_path, "of a start that broke off");
    assert_int_equal(take(first, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 32);
    assert_int_equal(access(new_path, F_OK), -1);
    assert_int_equal(take(again, &err), 0);
    assert_memory_equal(first, again, sizeof(first));
    assert_false(sodium_is_zero(first, sizeof(first)));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(take(anew, &err), 0);
    assert_memory_not_equal(first, anew, sizeof(first));
}

static void
a_damaged_one_is_said_so_and_kept(void **state)
{
    static const char *const texts[] = {"", "too short", "one byte more than there are to be"};
    unsigned char key[BACKEND_CURSOR_KEY_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct error err = {0};
        struct stat st;

        write_file(path, texts[i]);
        assert_int_equal(take(key, &err), -EIO);
        assert_non_null(strstr(err.msg, "is damaged"));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, strlen(texts[i]));
    }
}

static void
a_link_in_its_place_is_not_followed(void **state)
{
    unsigned char key[BACKEND_CURSOR_KEY_SIZE];
    struct error err = {0};

    (void)state;
    unlink(path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_true(take(key, &err) < 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_made_once_for_its_owner_alone),
        cmocka_unit_test(a_damaged_one_is_said_so_and_kept),
        cmocka_unit_test(a_link_in_its_place_is_not_followed),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("secret", tests, dir_open, dir_close);
}
