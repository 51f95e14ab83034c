/* seccomp.json, as the engine would apply it: what a system call without or with arguments gets. */
#include "tests/test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/docker/seccomp.h"

enum { ALLOWED = 0, ARGS = 3 };

static json_t *profile;

static bool
names_call(const json_t *rule, const char *name)
{
    json_t *each;
    size_t i;

    json_array_foreach(json_object_get(rule, "names"), i, each)
    {
        if (strcmp(json_string_value(each), name) == 0)
            return true;
    }
    return false;
}

/* Whether all of the rule's conditions hold; libseccomp compares 64 bits. */
static bool
conditions_hold(const json_t *rule, const uint64_t args[ARGS])
{
    json_t *condition;
    size_t i;

    json_array_foreach(json_object_get(rule, "args"), i, condition)
    {
        uint64_t arg = args[json_integer_value(json_object_get(condition, "index"))];
        uint64_t value = (uint64_t)json_integer_value(json_object_get(condition, "value"));
        uint64_t two = (uint64_t)json_integer_value(json_object_get(condition, "valueTwo"));
        const char *op = json_string_value(json_object_get(condition, "op"));

        if (strcmp(op, "SCMP_CMP_EQ") == 0 ? arg != value : (arg & value) != two)
            return false;
    }
    return true;
}

/* The errno that the call gets; ALLOWED: none. */
static int
verdict(const char *name, const uint64_t args[ARGS])
{
    json_t *rule;
    size_t i;

    json_array_foreach(json_object_get(profile, "syscalls"), i, rule)
    {
        const char *action = json_string_value(json_object_get(rule, "action"));

        if (!names_call(rule, name) || !conditions_hold(rule, args))
            continue;
        if (strcmp(action, "SCMP_ACT_ALLOW") == 0)
            return ALLOWED;
        assert_string_equal(action, "SCMP_ACT_ERRNO");
        return (int)json_integer_value(json_object_get(rule, "errnoRet"));
    }
    assert_string_equal(json_string_value(json_object_get(profile, "defaultAction")),
                        "SCMP_ACT_ERRNO");
    return EPERM;
}

static void
calls_get_what_the_table_says(void **state)
{
    static const struct {
        int verdict;
        const char *names[32];
    } cases[] = {
        {ALLOWED,
         {"read", "openat", "execve", "futex", "mmap", "rt_sigaction", "epoll_wait", "ptrace",
          "inotify_init1", "prctl", "setresuid", "setgroups", "capset", "close_range", "getrandom",
          "rseq", "memfd_create", "faccessat2"}},
        {ENOSYS, {"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup"}},
        {EPERM, {"userfaultfd",  "keyctl",
                 "add_key",      "request_key",
                 "unshare",      "setns",
                 "mount",        "umount2",
                 "move_mount",   "open_tree",
                 "fsopen",       "mount_setattr",
                 "pivot_root",   "chroot",
                 "bpf",          "perf_event_open",
                 "kexec_load",   "init_module",
                 "finit_module", "swapon",
                 "reboot",       "clock_settime",
                 "settimeofday", "adjtimex",
                 "sethostname",  "open_by_handle_at",
                 "fanotify_init"}},
        {EPERM,
         {"quotactl", "acct", "iopl", "ioperm", "process_vm_readv", "process_vm_writev", "kcmp",
          "pidfd_getfd", "memfd_secret", "lookup_dcookie", "vm86", "vmsplice", "syslog",
          "no_such_call"}},
    };
    static const uint64_t none[ARGS];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t j = 0; j < ARRAY_LEN(cases[i].names) && cases[i].names[j]; j++) {
            print_message("%s\n", cases[i].names[j]);
            assert_int_equal(verdict(cases[i].names[j], none), cases[i].verdict);
        }
    }
}

static void
arguments_decide(void **state)
{
    static const struct {
        const char *name;
        uint64_t args[ARGS];
        int verdict;
    } cases[] = {
        {"clone", {17}, ALLOWED},               /* fork: SIGCHLD */
        {"clone", {0x3d0f00}, ALLOWED},         /* pthread_create */
        {"clone", {0x10000000 | 17}, EPERM},    /* CLONE_NEWUSER */
        {"clone", {0x00020000 | 17}, EPERM},    /* CLONE_NEWNS */
        {"clone", {0x40000000 | 17}, EPERM},    /* CLONE_NEWNET */
        {"clone", {0x20000000 | 17}, EPERM},    /* CLONE_NEWPID */
        {"socket", {1, 1, 0}, ALLOWED},         /* AF_UNIX */
        {"socketpair", {1, 1, 0}, ALLOWED},     /* AF_UNIX */
        {"socket", {2, 1, 6}, ALLOWED},         /* AF_INET, TCP */
        {"socket", {10, 2, 17}, ALLOWED},       /* AF_INET6, UDP */
        {"socket", {2, 1, 132}, EPERM},         /* SCTP */
        {"socket", {16, 3, 0}, ALLOWED},        /* AF_NETLINK, route */
        {"socket", {16, 3, 12}, EPERM},         /* AF_NETLINK, netfilter */
        {"socket", {17, 3, 0}, EPERM},          /* AF_PACKET */
        {"socket", {38, 5, 0}, EPERM},          /* AF_ALG */
        {"socket", {40, 1, 0}, EPERM},          /* AF_VSOCK */
        {"personality", {0}, ALLOWED},          /* as it is */
        {"personality", {0xffffffff}, ALLOWED}, /* asked for */
        {"personality", {0x0040000}, EPERM},    /* without randomised addresses */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu, %s(%llu, …)\n", i, cases[i].name,
                      (unsigned long long)cases[i].args[0]);
        assert_int_equal(verdict(cases[i].name, cases[i].args), cases[i].verdict);
    }
}

/* What has another table of calls, or hides a socket's family, is no way around. */
static void
no_other_architecture_is_allowed(void **state)
{
    json_t *entry;
    size_t i;

    (void)state;
    assert_int_equal(json_array_size(json_object_get(profile, "archMap")), 2);
    json_array_foreach(json_object_get(profile, "archMap"), i, entry)
    {
        assert_int_equal(json_array_size(json_object_get(entry, "subArchitectures")), 0);
    }
}

static int
parse(void **state)
{
    (void)state;
    profile = json_loads(docker_seccomp_profile, JSON_REJECT_DUPLICATES, NULL);
    return profile ? 0 : -1;
}

static int
forget(void **state)
{
    (void)state;
    json_decref(profile);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_get_what_the_table_says),
        cmocka_unit_test(arguments_decide),
        cmocka_unit_test(no_other_architecture_is_allowed),
    };

    return cmocka_run_group_tests(tests, parse, forget);
}
