/* The nameservers that the egress proxy asks: which those are, and whether one answers. */
#include "tests/unit/egress_world.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "backend/egress/resolvers.h"

enum { PATIENT_MS = WORLD_PATIENCE_SECONDS * 1000 / 3, IMPATIENT_MS = 100 };

static void
assert_list(const struct resolvers *r, const char *expected)
{
    char text[512] = "";

    for (size_t i = 0; i < r->count; i++) {
        size_t len = strlen(text);

        snprintf(text + len, sizeof(text) - len, "%s ", r->list[i]);
    }
    assert_string_equal(text, expected);
}

static void
the_configured_come_first(void **state)
{
    const char *items[] = {"192.0.2.1:5353", "127.0.0.1", "[2001:db8::1]:53"};
    const struct strings list = {.items = items, .count = ARRAY_LEN(items)};
    const struct resolvers r = resolvers_find(&list, "/nonexistent");

    (void)state;
    assert_list(&r, "192.0.2.1:5353 127.0.0.1 [2001:db8::1]:53 ");
}

static void
else_they_are_those_of_resolv_conf(void **state)
{
    static const char text[] = "# nameserver 192.0.2.9\n"
                               "search example.org\n"
                               "nameserver 127.0.0.53\n"
                               "nameserver\t192.0.2.1 # the first\n"
                               "nameserver 2001:db8::1\n"
                               "nameserver192.0.2.8\n"
                               "nameserver\n"
                               "nameserver example.org\n"
                               "nameserver   192.0.2.2";
    static const struct strings nobody;
    char path[] = "/tmp/test-resolvers.XXXXXX";
    int fd = mkstemp(path);
    struct resolvers r;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    r = resolvers_find(&nobody, path);
    assert_list(&r, "127.0.0.53 192.0.2.1 2001:db8::1 192.0.2.2 ");
    unlink(path);
    r = resolvers_find(&nobody, path);
    assert_list(&r, "");
}

/* A real one, one that is silent, and ports at which nobody is. */
static void
whether_one_answers_is_found_out(void **state)
{
    struct egress_world *w = world_new(NULL);
    struct resolvers real = {.count = 2}, silent = {.count = 1}, none = {.count = 0};
    siginfo_t info;

    (void)state;
    snprintf(real.list[0], RESOLVER_SIZE, "127.0.0.1:%u", w->rebinding_port);
    snprintf(real.list[1], RESOLVER_SIZE, "127.9.9.53:%u", w->dns_port);
    memcpy(silent.list[0], real.list[0], RESOLVER_SIZE);
    assert_true(resolvers_answer(&real, PATIENT_MS));
    assert_false(resolvers_answer(&silent, IMPATIENT_MS));
    assert_false(resolvers_answer(&none, IMPATIENT_MS));
    kill(w->dns, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)w->dns, &info, WEXITED | WNOWAIT), 0);
    assert_false(resolvers_answer(&real, IMPATIENT_MS));
    world_free(w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_configured_come_first),
        cmocka_unit_test(else_they_are_those_of_resolv_conf),
        cmocka_unit_test(whether_one_answers_is_found_out),
    };

    world_isolate();
    return cmocka_run_group_tests_name("resolvers", tests, NULL, NULL);
}
