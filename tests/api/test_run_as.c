/*
 * Tenants with accounts of the host: commands run as them, workspaces are theirs, also on their own
 * ground, where they try to lead the broker astray.
 */
#include "tests/test.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/rules.h"
#include "tests/api/said.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"

enum { UID = 41001, GID = 41002, RACES = 25 };

/* Where tenants' ground is: root's alone, all the way down. */
static char ground[64];

static int
begin(void **state)
{
    snprintf(ground, sizeof(ground), "/srv/sandbox-test.%d", (int)getpid());
    if (mkdir("/srv", 0755) < 0 && access("/srv", F_OK) < 0)
        return -1;
    return mkdir(ground, 0755) < 0 ? -1 : rules_keep(state);
}

static int
end(void **state)
{
    int r = rules_restore(state);

    return host_shell("rm -rf --one-file-system %s", ground) != 0 ? -1 : r;
}

/* A teardown: nothing of the test's is left on the ground. */
static int
clear(void **state)
{
    int r = remove_containers(state);

    return host_shell("find %s -mindepth 1 -delete", ground) != 0 ? -1 : r;
}

static int
cool_and_clear(void **state)
{
    int r = warm_close(state);

    return clear(state) < 0 ? -1 : r;
}

/* Run @command as bob in @agent's workspace; it has to exit with 0 and print @expected. */
static void
assert_prints(const char *agent, const char *command, const char *expected)
{
    struct reply r =
        execute(BOB, "{s:s, s:s, s:s}", "agent_id", agent, "scope", "agent", "command", command);

    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), expected);
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
}

static void
assert_owner(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        fail_msg("%s is not there", path);
    assert_int_equal(st.st_uid, uid);
    assert_int_equal(st.st_gid, gid);
    if (mode)
        assert_int_equal(st.st_mode & 07777, mode);
}

static void
commands_and_files_are_the_accounts(void **state)
{
    char path[PATH_MAX];

    (void)state;
    rules_are("  bob: {role: user, run_as: {uid: %d, gid: %d}}\n", UID, GID);
    if (getenv("USERNS")) /* inside, the engine's users have numbers of their own */
        assert_prints("account", "echo hi >file", "");
    else
        assert_prints("account", "id -u; id -g; id -G; echo hi >file", "41001\n41002\n41002\n");
    assert_owner(host_path("workspaces/bob/account", path), UID, GID, 0700);
    assert_owner(host_path("workspaces/bob/account/file", path), UID, GID, 0);
    /* The home inside is theirs, too. */
    assert_prints("account", "echo x >\"$HOME\"/f && cat \"$HOME\"/f", "x\n");
}

static void
an_account_is_named_by_the_user(void **state)
{
    struct reply r;
    int made;

    (void)state;
    made = host_shell("useradd -M -U -s /usr/sbin/nologin sbx%d-bob", (int)getpid());
    assert_int_equal(made, 0);
    rules_are("groups:\n  tenants:\n    users: [alice, bob]\n    role: user\n"
              "    run_as: {account: \"sbx%d-{user}\"}\n",
              (int)getpid());
    r = execute(BOB, "{s:s, s:s, s:s}", "agent_id", "named", "scope", "agent", "command",
                "echo hi >file");
    made = host_shell("test \"$(stat -c %%U:%%G \"$SANDBOX_STATE/workspaces/bob/named/file\")\" = "
                      "sbx%d-bob:sbx%d-bob",
                      (int)getpid(), (int)getpid());
    assert_int_equal(host_shell("userdel sbx%d-bob", (int)getpid()), 0);
    assert_status(&r, 200);
    reply_done(&r);
    assert_int_equal(made, 0);
    r = execute(ALICE, "{s:s}", "command", "true"); /* has none */
    assert_problem(&r, 409, "conflict");
    assert_said(text_at(&r, "detail"),
                "access.yaml: groups.tenants.run_as names an account that the host does not have");
    reply_done(&r);
}

/* A container that was made for nobody, before it was known whose it would be. */
static void
the_pools_containers_are_the_accounts(void **state)
{
    json_auto_t *before = NULL, *now = NULL;
    char path[PATH_MAX];
    struct reply r;

    (void)state;
    rules_are("  bob: {role: user, run_as: {uid: %d, gid: %d}}\n", UID, GID);
    before = warm_engine_ids();
    r = execute(BOB, "{s:s, s:s, s:s, s:s}", "agent_id", "warm", "scope", "agent", "tier",
                "Sandbox", "command", "echo hi >file; echo x >~/f && cat ~/f");
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "x\n");
    now = warm_inspect(text_at(&r, "container_id"));
    assert_non_null(json_object_get(before, json_string_value(json_object_get(now, "Id"))));
    assert_owner(host_path("workspaces/bob/warm/file", path), UID, GID, 0);
    reply_done(&r);
}

static void
a_system_account_is_refused(void **state)
{
    struct reply r;

    (void)state;
    rules_are("  bob: {role: user, run_as: {account: daemon}}\n");
    r = execute(BOB, "{s:s}", "command", "true");
    assert_problem(&r, 409, "conflict");
    assert_said(text_at(&r, "detail"),
                "access.yaml: users.bob.run_as names an account whose uid or gid is the system's "
                "(below 1000), nobody's or of the service's own range");
    reply_done(&r);
}

/* A container of one account does not serve another. */
static void
another_account_gets_another_container(void **state)
{
    static const char body[] = "{\"agent_id\": \"moved\", \"scope\": \"agent\"}";
    char first[STEP_ID_SIZE], second[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    rules_are("  bob: {role: user, run_as: {uid: %d}}\n", UID);
    make_container(BOB, body, first);
    rules_are("  bob: {role: user, run_as: {uid: %d}}\n", UID + 5);
    make_container(BOB, body, second);
    r = act(BOB, "POST", "/containers/%s/restart", first);
    assert_problem(&r, 409, "conflict");
    assert_non_null(strstr(text_at(&r, "detail"), "was made for another account"));
    reply_done(&r);
}

static void
use_ground(void)
{
    rules_are("  bob: {role: user, run_as: {uid: %d, gid: %d}, "
              "workspace_root: \"%s/{user}/work/{agent_id}\"}\n",
              UID, GID, ground);
}

static void
workspaces_are_made_on_the_tenants_ground(void **state)
{
    char path[PATH_MAX];

    (void)state;
    use_ground();
    assert_prints("a1", "pwd; echo hi >file", "/workspace\n");
    snprintf(path, sizeof(path), "%s/bob", ground);
    assert_owner(path, UID, GID, 0700);
    snprintf(path, sizeof(path), "%s/bob/work", ground);
    assert_owner(path, UID, GID, 0700);
    snprintf(path, sizeof(path), "%s/bob/work/a1", ground);
    assert_owner(path, UID, GID, 0700);
    snprintf(path, sizeof(path), "%s/bob/work/a1/file", ground);
    assert_owner(path, UID, GID, 0);
    assert_int_equal(access(host_path("workspaces/bob/a1", path), F_OK), -1);
    assert_prints("a2", "ls -A | wc -l", "0\n"); /* another agent's is another one */
}

/* What is there is used as it is. */
static void
what_is_there_stays_as_it_is(void **state)
{
    char path[PATH_MAX];

    (void)state;
    use_ground();
    assert_int_equal(host_shell("cd %s && mkdir -m 755 bob && mkdir -m 1777 bob/work && "
                                "mkdir -m 750 bob/work/old && chown %d:%d bob bob/work/old && "
                                "chown %d:77 bob/work && echo kept >bob/work/old/file",
                                ground, UID, GID, UID),
                     0);
    assert_prints("old", "cat file", "kept\n");
    snprintf(path, sizeof(path), "%s/bob", ground);
    assert_owner(path, UID, GID, 0755);
    snprintf(path, sizeof(path), "%s/bob/work", ground);
    assert_owner(path, UID, 77, 01777);
    snprintf(path, sizeof(path), "%s/bob/work/old", ground);
    assert_owner(path, UID, GID, 0750);
    snprintf(path, sizeof(path), "%s/bob/work/old/file", ground);
    assert_owner(path, 0, 0, 0);
}

/* The tenant, or somebody else, has put something else where a component should be. */
static void
what_is_in_the_way_is_refused_and_left_alone(void **state)
{
    static const struct {
        const char *name, *setup, *component; /* the setup is a script in the ground */
    } cases[] = {
        {"a link to a directory", "ln -s ../canary bob/work", "'work' is a link or a file"},
        {"a link to nothing", "ln -s ../canary/new bob/work", "'work' is a link or a file"},
        {"a link at the end", "mkdir bob/work && ln -s ../../canary bob/work/x",
         "'x' is a link or a file"},
        {"an absolute link", "mkdir bob/work && ln -s \"$PWD/canary\" bob/work/x",
         "'x' is a link or a file"},
        {"a fifo", "mkfifo bob/work", "'work' is a link or a file"},
        {"a file", "echo x >bob/work", "'work' is a link or a file"},
        {"a hard link", "ln canary/file bob/work", "'work' is a link or a file"},
        {"a socket's kind of thing", "mknod bob/work c 1 3", "'work' is a link or a file"},
        {"a directory of root's", "mkdir bob/work bob/work/x && chown 0:0 bob/work/x",
         "'x' is not the user's own"},
        {"a directory of another's", "mkdir bob/work bob/work/x && chown 41999 bob/work/x",
         "'x' is not the user's own"},
        {"one that is root's to write", "mkdir -m 755 bob/work", "'x' is not"},
        {"a closed one",
         "mkdir bob/work && mkdir -m 0 bob/work/y && chown 0 bob/work && "
         "chmod 700 bob/work",
         "'x' is not the user's to use"},
        {"a mount", "mkdir bob/work bob/work/x && mount -t tmpfs none bob/work/x",
         "'x' is a mount"},
        {"another's home", "chown 41999 bob", "'bob' is another user's"},
        {"a link for a home", "rmdir bob && ln -s canary bob", "'bob' is a link or a file"},
    };

    (void)state;
    use_ground();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r;
        int unchanged;

        print_message("    %s\n", cases[i].name);
        assert_int_equal(
            host_shell("cd %s && mkdir -m 700 canary && echo 1 >canary/file && "
                       "mkdir bob && { %s; } && "
                       "find . -printf '%%p %%U:%%G %%m %%y %%n\\n' | sort >../list.%d",
                       ground, cases[i].setup, (int)getpid()),
            0);
        r = execute(BOB, "{s:s, s:s, s:s}", "agent_id", "x", "scope", "agent", "command",
                    "echo intruded >file");
        unchanged = host_shell("cd %s && find . -printf '%%p %%U:%%G %%m %%y %%n\\n' | sort | "
                               "diff ../list.%d - && grep -qx 1 canary/file",
                               ground, (int)getpid());
        host_shell("cd %s && { umount bob/work/x 2>/dev/null; rm -r ../list.%d bob canary; }",
                   ground, (int)getpid());
        assert_problem(&r, 409, "conflict");
        if (!strstr(text_at(&r, "detail"), cases[i].component))
            fail_msg("not '%s' but '%s'", cases[i].component, text_at(&r, "detail"));
        assert_null(strstr(text_at(&r, "detail"), ground));
        reply_done(&r);
        assert_int_equal(unchanged, 0);
    }
}

/* Swap `work` and `trap`, and `work/spare` and whatever stands beside it, for ever, as the tenant.
 */
static pid_t
start_swapper(void)
{
    pid_t pid = fork();
    char work[PATH_MAX], trap[PATH_MAX];

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(work, sizeof(work), "%s/bob/work", ground);
    snprintf(trap, sizeof(trap), "%s/bob/trap", ground);
    if (setgroups(0, NULL) < 0 || setresgid(GID, GID, GID) < 0 || setresuid(UID, UID, UID) < 0)
        _exit(1);
    for (;;)
        if (renameat2(AT_FDCWD, work, AT_FDCWD, trap, RENAME_EXCHANGE) < 0)
            _exit(2);
}

/*
 * While the tenant swaps a directory and a link to root's own, workspaces are asked for in it. Each
 * is made on the tenant's ground, as the tenant's, or refused; what the link leads to stays as it
 * is.
 */
static void
a_race_leads_nowhere(void **state)
{
    int served = 0, refused = 0, status = 0;
    pid_t swapper;

    (void)state;
    use_ground();
    assert_int_equal(host_shell("cd %s && mkdir -m 755 canary bob bob/work && "
                                "ln -s ../canary bob/trap && chown -h %d:%d bob bob/work bob/trap",
                                ground, UID, GID),
                     0);
    swapper = start_swapper();
    assert_true(swapper > 0);
    for (int i = 0; i < RACES; i++) {
        char agent[16];
        struct reply r;

        snprintf(agent, sizeof(agent), "race%d", i);
        r = execute(BOB, "{s:s, s:s, s:s}", "agent_id", agent, "session_id", "s", "command",
                    "echo hi >file");
        served += r.status == 200;
        refused += r.status == 409;
        if (r.status != 200)
            assert_problem(&r, 409, "conflict");
        reply_done(&r);
        remove_containers(NULL);
    }
    assert_int_equal(waitpid(swapper, &status, WNOHANG), 0); /* it swapped all the time */
    kill(swapper, SIGKILL);
    waitpid(swapper, &status, 0);
    print_message("    %d served, %d refused\n", served, refused);
    assert_int_equal(served + refused, RACES);
    assert_int_equal(host_shell("cd %s && test -z \"$(ls -A canary)\" && "
                                "test \"$(stat -c %%u:%%g:%%a canary)\" = 0:0:755 && "
                                "test -z \"$(find bob -not -uid %d)\"",
                                ground, UID),
                     0);
}

/* The part of the path that is the admin's has to be there, root's, and safe from others. */
static void
what_is_above_has_to_be_roots(void **state)
{
    static const struct {
        const char *setup, *detail;
    } cases[] = {
        {"true", "'above' is not there"},
        {"mkdir -m 777 above", "'above' has to be root's, and writable for nobody else"},
        {"mkdir above && chown 41001 above", "'above' has to be root's"},
        {"mkdir -m 755 real && ln -s real above", "'above' is a link or a file"},
    };

    (void)state;
    rules_are("  bob: {role: user, run_as: {uid: %d}, workspace_root: \"%s/above/{agent_id}\"}\n",
              UID, ground);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r;

        print_message("    %s\n", cases[i].setup);
        assert_int_equal(host_shell("cd %s && %s", ground, cases[i].setup), 0);
        r = execute(BOB, "{s:s, s:s, s:s}", "agent_id", "x", "scope", "agent", "command", "true");
        host_shell("cd %s && rm -rf above real", ground);
        assert_problem(&r, 409, "conflict");
        if (!strstr(text_at(&r, "detail"), cases[i].detail))
            fail_msg("not '%s' but '%s'", cases[i].detail, text_at(&r, "detail"));
        reply_done(&r);
    }
}

int
suite_run_as(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(commands_and_files_are_the_accounts, clear),
        cmocka_unit_test_teardown(an_account_is_named_by_the_user, clear),
        cmocka_unit_test_setup_teardown(the_pools_containers_are_the_accounts, warm_open,
                                        cool_and_clear),
        cmocka_unit_test_teardown(a_system_account_is_refused, clear),
        cmocka_unit_test_teardown(another_account_gets_another_container, clear),
        cmocka_unit_test_teardown(workspaces_are_made_on_the_tenants_ground, clear),
        cmocka_unit_test_teardown(what_is_there_stays_as_it_is, clear),
        cmocka_unit_test_teardown(what_is_in_the_way_is_refused_and_left_alone, clear),
        cmocka_unit_test_teardown(a_race_leads_nowhere, clear),
        cmocka_unit_test_teardown(what_is_above_has_to_be_roots, clear),
    };

    return cmocka_run_group_tests_name("api: run-as", tests, begin, end);
}
