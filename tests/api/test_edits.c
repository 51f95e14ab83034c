/*
 * An admin edits the YAML of the running server: whatever way it is saved it is noticed, what is
 * good is in force everywhere, and what is not changes nothing and is told.
 */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/edits.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

#define FIRST_PROCESSES "/tiers", "tiers.0.max_processes"

static void
a_sixth_tier_is_yaml_alone(void **state)
{
    struct reply r;

    (void)state;
    edit_by_sed("tiers.yaml", "0,/max_processes: 16/s//max_processes: 17/;$ a\\  Huge: {cpu_cores: "
                              "2.5, memory_mb: 192, disk_mb: 300, max_processes: 33, "
                              "timeout_seconds: 7, network: None}");
    noticed_until(FIRST_PROCESSES, "17");
    r = call(ADMIN, "POST", "/explain", "{\"tier\": \"Huge\", \"sandbox\": true}", NULL);
    assert_status(&r, 200);
    assert_non_null(strstr(text_at(&r, "limits.memory_mb.source"),
                           ": tiers.Huge.memory_mb (the request's tier)"));
    reply_done(&r);
    r = execute(ADMIN, "{s:s, s:s, s:b}", "command", "echo here", "tier", "huge", "sandbox", 1);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "here\n");
    reply_done(&r);
    r = execute(ADMIN, "{s:s, s:s, s:b, s:i}", "command", "echo here", "tier", "Huge", "sandbox", 1,
                "timeout_seconds", 8);
    assert_violation(&r, "/timeout_seconds");
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s, s:b}", "command", "echo here", "tier", "Huge", "sandbox", 1);
    assert_problem(&r, 403, "forbidden"); /* it is the highest now, above max_tier */
    reply_done(&r);
}

/* Ways to save what `s` makes of the file $f, in its directory. */
static const char *const ways[] = {
    "s >../saved && cat ../saved >$f",        /* in place */
    "s >.$f.swp && mv .$f.swp $f",            /* by rename */
    "s >../saved && mv ../saved $f",          /* from elsewhere */
    "s >../saved && rm $f && cp ../saved $f", /* anew */
    /* with its directory */
    "cp -a . ../y2 && s >../y2/$f && cd .. && mv yaml y1 && mv y2 yaml && rm -r y1",
    "s >../saved && ln -sf ../saved $f", /* as a link to a file elsewhere */
};

static void
every_way_of_saving_is_noticed(void **state)
{
    int processes = 16;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++, processes++) {
        char expected[8];

        print_message("%s\n", ways[i]);
        snprintf(expected, sizeof(expected), "%d", processes + 1);
        assert_int_equal(host_shell("cd \"$SANDBOX_STATE/yaml\" && f=tiers.yaml &&"
                                    " s() { sed '0,/processes: %d/s//processes: %d/' $f; } && %s",
                                    processes, processes + 1, ways[i]),
                         0);
        noticed_until(FIRST_PROCESSES, expected);
    }
}

/* Files of which nothing is taken over: how they are made in the directory, and what is said. */
static const struct {
    const char *make, *said;
} bad[] = {
    {"head -c 600 tiers.yaml >../half && cat ../half >tiers.yaml", "tiers.yaml:"},
    {"sed '/^  Elevated/,$ d; s/network: Restricted/netw/' tiers.yaml >../half &&"
     " cat ../half >tiers.yaml",
     "not valid YAML"},
    {": >tiers.yaml", "tiers.yaml:1:1: the file is empty"},
    {"rm access.yaml", "access.yaml:1:1: the file cannot be read: No such file or directory"},
    {"mv templates.yaml ../", "templates.yaml:1:1: the file cannot be read: No such file"},
    {"rm sandbox.yaml; mkdir sandbox.yaml", "sandbox.yaml:1:1: the file cannot be read: it is not"},
    {"rm sandbox.yaml; mkfifo sandbox.yaml; chmod 644 sandbox.yaml",
     "sandbox.yaml:1:1: the file cannot be read: it is not a regular file"},
    {"chmod 0 tiers.yaml; chown root tiers.yaml",
     "tiers.yaml:1:1: the file cannot be read: Permission denied"},
    {"printf 'a: &a [x,x,x,x]\\nb: &b [*a,*a,*a,*a]\\nc: &c [*b,*b,*b,*b]\\nmode: *c\\n'"
     " >sandbox.yaml",
     "sandbox.yaml:1:4: /a: anchors are not accepted"},
    {"{ echo 'mode: all'; head -c 10485760 /dev/zero | tr '\\0' '#'; } >sandbox.yaml",
     "sandbox.yaml:1:1: the file is larger than 256 KiB"},
    {"head -c 200000 /dev/zero | tr '\\0' '[' >sandbox.yaml", "nested more than"},
    {"head -c 4096 /dev/urandom >access.yaml", "access.yaml:1:"},
    {"printf 'mode:\\tall\\n\\tscope_mode: agent\\n' >sandbox.yaml", "sandbox.yaml:2:1: not valid"},
    {"sed -i 's/max_tier: Elevated/max_tier: Elevatd/' access.yaml",
     "/users/alice/max_tier: no tier is called 'Elevatd'; did you mean 'Elevated'?"},
};

static bool
log_holds(const char *text)
{
    _cleanup_(freep) char *log = state_file("log/sandboxd.log");

    return log && strstr(log, text);
}

static void
what_is_not_good_changes_nothing(void **state)
{
    pid_t manager = host_pid_file("run/sandboxd.pid");
    struct pids workers = host_role("worker");
    struct reply before = fetch(ADMIN, "/tiers"), config = fetch(ADMIN, "/config");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char logged[512];
        struct reply r;

        print_message("%s\n", bad[i].make);
        assert_int_equal(host_shell("cd \"$SANDBOX_STATE/yaml\" && { %s; }", bad[i].make), 0);
        await_refusal(bad[i].said);
        snprintf(logged, sizeof(logged), "the settings stay as they were: %s",
                 strstr(bad[i].said, ".yaml:") ? bad[i].said : "");
        assert_true(log_holds(logged));
        r = fetch(ADMIN, "/tiers");
        assert_true(json_equal(r.json, before.json));
        reply_done(&r);
        r = fetch(ADMIN, "/config");
        assert_true(json_equal(r.json, config.json));
        reply_done(&r);
        r = fetch(ALICE, "/whoami");
        assert_string_equal(text_at(&r, "max_tier"), "Elevated");
        reply_done(&r);
        assert_int_equal(edits_close(state), 0);
    }
    assert_int_equal(host_pid_file("run/sandboxd.pid"), manager);
    for (size_t i = 0; i < workers.count; i++)
        assert_true(host_runs(workers.list[i]));
    reply_done(&before);
    reply_done(&config);
}

/* A role that dies comes back with the settings in force, not with what the files say now. */
static void
a_role_that_comes_back_has_the_last_good(void **state)
{
    struct pids workers = host_role("worker");
    struct reply before = fetch(ADMIN, "/tiers"), r;

    (void)state;
    edit_by_sed("tiers.yaml", "0,/max_processes: 16/s//max_processes: none/");
    await_refusal("tiers.yaml:");
    host_shell("kill -9 %d", (int)workers.list[0]);
    host_wait_role("worker", workers.count, workers.list[0]);
    for (int i = 0; i < 8; i++) {
        r = fetch(ADMIN, "/tiers");
        assert_true(json_equal(r.json, before.json));
        reply_done(&r);
    }
    reply_done(&before);
}

static void
others_learn_of_the_place_alone(void **state)
{
    struct reply r;

    (void)state;
    edit_by_sed("access.yaml", "s/bob: {role: user/bob: {role: usr/");
    await_refusal("/users/bob/role: must be one of");
    r = fetch(VIEWER, "/status");
    assert_null(strstr(text_at(&r, "yaml.error"), "bob"));
    assert_int_equal(strncmp(text_at(&r, "yaml.error"), "access.yaml:", 12), 0);
    reply_done(&r);
}

int
suite_edits(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sixth_tier_is_yaml_alone, edits_open, edits_close),
        cmocka_unit_test_setup_teardown(every_way_of_saving_is_noticed, edits_open, edits_close),
        cmocka_unit_test_setup_teardown(what_is_not_good_changes_nothing, edits_open, edits_close),
        cmocka_unit_test_setup_teardown(a_role_that_comes_back_has_the_last_good, edits_open,
                                        edits_close),
        cmocka_unit_test_setup_teardown(others_learn_of_the_place_alone, edits_open, edits_close),
    };

    return cmocka_run_group_tests_name("edits", tests, NULL, NULL);
}
