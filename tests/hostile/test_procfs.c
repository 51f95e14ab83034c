/* What the kernel offers as files: /proc, /sys, cgroups and /dev. */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"

enum { ARGUMENTS_SIZE = 4096 };

static void
nothing_of_the_kernels_can_be_written(void **state)
{
    static const char *const files[] = {
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/fs/binfmt_misc/register",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/proc/1/oom_score_adj=1000",
        "/proc/self/oom_score_adj=-1",
        "/proc/self/oom_score_adj=-1000",
        "/proc/self/task/1/comm",
        "/proc/self/setgroups=allow",
        "'/proc/self/uid_map=0 0 4294967295'",
        "/proc/kcore",
        "/proc/kmsg",
        "/proc/mtrr",
        "/sys/kernel/uevent_helper",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/power/state",
        "/sys/class/net/lo/mtu",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes=-1",
        "/sys/fs/cgroup/memory/memory.oom_control",
        "/sys/fs/cgroup/memory/cgroup.procs=1",
        "/sys/fs/cgroup/memory/release_agent=/workspace/agent",
        "/sys/fs/cgroup/memory/notify_on_release",
        "/sys/fs/cgroup/pids/pids.max=max",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us=-1",
        "/sys/fs/cgroup/devices/devices.allow=a",
        "/sys/fs/cgroup/freezer/freezer.state=FROZEN",
        "/sys/fs/cgroup/memory.max=max",
        "/sys/fs/cgroup/pids.max=max",
        "/sys/fs/cgroup/cgroup.procs=1",
        "/sys/fs/cgroup/cgroup.subtree_control=+pids",
        "/dev/mem",
        "/dev/kmsg",
        "/dev/vda",
        "/dev/sda",
        "/dev/loop-control",
        "/dev/fuse",
        "/etc/passwd",
        "/etc/hosts",
        "/etc/hostname",
        "/etc/resolv.conf",
        "/.dockerenv",
    };
    char arguments[ARGUMENTS_SIZE] = "";
    struct reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        size_t len = strlen(arguments);

        snprintf(arguments + len, sizeof(arguments) - len, " %s", files[i]);
    }
    r = attack(ALICE, "procfs", "writer", arguments);
    assert_refused(&r, ARRAY_LEN(files));
    reply_done(&r);
}

static void
what_tells_of_the_host_is_empty(void **state)
{
    struct reply r =
        attack_shell(ALICE, "procfs",
                     "cat /proc/keys /proc/timer_list /proc/sched_debug /proc/latency_stats"
                     " 2>/dev/null; ls /proc/acpi /proc/scsi /sys/firmware 2>/dev/null"
                     " | grep -v : ; true");

    (void)state;
    assert_status(&r, 200);
    for (const char *p = text_at(&r, "stdout"); *p; p++)
        assert_true(*p == '\n');
    reply_done(&r);
}

static void
no_device_but_the_harmless_ones_is_there(void **state)
{
    struct reply r = attack_shell(
        ALICE, "procfs", "find /dev -type b; find /dev -type c | grep -v /dev/pts/ | sort");

    (void)state;
    assert_got(&r, "/dev/full\n/dev/null\n/dev/random\n/dev/tty\n/dev/urandom\n/dev/zero\n");
    reply_done(&r);
}

/*
 * A command may make itself a worse choice for the OOM killer than it was, but not than the host's
 * processes are. Where the guest is chosen before it, that ends the attacker's own sandbox.
 */
static void
who_hides_from_the_oom_killer_harms_itself(void **state)
{
    struct reply r =
        attack_shell(ALICE, "procfs",
                     "echo 0 >/proc/self/oom_score_adj || echo 500 >/proc/self/oom_score_adj;"
                     " for i in 1 2 3 4 5 6; do (dd if=/dev/zero of=/dev/null bs=150M "
                     "count=100000) & done; wait");

    (void)state;
    assert_status(&r, 200);
    if (!bool_at(&r, "oom_killed") && strcmp(text_at(&r, "status"), "interrupted") != 0 &&
        strcmp(text_at(&r, "status"), "completed") != 0)
        fail_msg("the hog got: %s", r.body);
    reply_done(&r);
    run_in(ALICE, "procfs", "attack", "true");
}

int
suite_procfs(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_of_the_kernels_can_be_written, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(what_tells_of_the_host_is_empty, world_note, world_check),
        cmocka_unit_test_setup_teardown(no_device_but_the_harmless_ones_is_there, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(who_hides_from_the_oom_killer_harms_itself, world_note,
                                        world_check),
    };

    return cmocka_run_group_tests_name("procfs", tests, NULL, world_done);
}
