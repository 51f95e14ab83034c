/* The guest, which is PID 1 and its supervisors: its memory, its sockets and its program. */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"

enum { STARTS_DURING_RACE = 60, BODY_SIZE = 1024 };

static void
it_can_be_neither_read_nor_signalled_nor_traced(void **state)
{
    struct reply r = attack(ALICE, "guest", "guest", "");

    (void)state;
    assert_got(&r, "mem: Permission denied\n"
                   "maps: Permission denied\n"
                   "environ: Permission denied\n"
                   "auxv: Permission denied\n"
                   "stack: Permission denied\n"
                   "syscall: Permission denied\n"
                   "pagemap: Permission denied\n"
                   "io: Permission denied\n"
                   "exe: Permission denied\n"
                   "fd: Permission denied\n"
                   "cwd: Permission denied\n"
                   "root: Permission denied\n"
                   "map_files: Permission denied\n"
                   "ns/mnt: Permission denied\n"
                   "clear_refs: Permission denied\n"
                   "oom_score_adj: Permission denied\n"
                   "comm: Permission denied\n"
                   "task/1/mem: Permission denied\n"
                   "where exe leads: Permission denied\n"
                   "any signal: Operation not permitted\n"
                   "sigqueueinfo: Operation not permitted\n"
                   "ptrace attach: Operation not permitted\n"
                   "ptrace seize: Operation not permitted\n"
                   "process_vm_readv: Operation not permitted\n"
                   "process_vm_writev: Operation not permitted\n"
                   "prlimit: Operation not permitted\n"
                   "setpriority: Operation not permitted\n"
                   "sched_setaffinity: Operation not permitted\n"
                   "sched_setscheduler: Operation not permitted\n"
                   "setpgid: No such process\n"
                   "pidfd_getfd: Operation not permitted\n"
                   "pidfd_send_signal: Operation not permitted\n"
                   "supervisors: tried\n");
    reply_done(&r);
}

/* A listener of the host's in the abstract namespace; *name is what to say to the attacker. */
static int
listen_abstract(char *name, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(name, size, "@sandbox-hostile-%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name + 1));
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void
no_socket_but_its_own_is_within_reach(void **state)
{
    char name[64];
    _cleanup_(closep) int fd = listen_abstract(name, sizeof(name));
    struct reply r = attack(ALICE, "guest", "sockets", name);

    (void)state;
    assert_got(&r, "connect: Permission denied\n"
                   "connect to control: Permission denied\n"
                   "connect through PID 1's root: Permission denied\n"
                   "connect from inside: Permission denied\n"
                   "list: Permission denied\n"
                   "open: Permission denied\n"
                   "watch: Permission denied\n"
                   "bind beside it: Permission denied\n"
                   "change its mode: Operation not permitted\n"
                   "remove it: Permission denied\n"
                   "move its directory: Cross-device link\n"
                   "link it: Permission denied\n"
                   "connect to the host's: Connection refused\n"
                   "abstract sockets: 0\n");
    reply_done(&r);
}

/* The guest's program, whose copy was made before, is as it was. */
static void
assert_program_untouched(void)
{
    assert_int_equal(host_shell("cmp -s \"$GUEST\" \"$SANDBOX_STATE/guest-before\""), 0);
}

static void
its_program_cannot_be_overwritten(void **state)
{
    char body[BODY_SIZE];
    struct parallel attacker = {.user = ALICE, .method = "POST", .path = "/execute", .body = body};
    struct pending *pending;

    (void)state;
    assert_int_equal(host_shell("cp \"$GUEST\" \"$SANDBOX_STATE/guest-before\""), 0);
    attack_place(ALICE, "guest", "overwriter");
    snprintf(body, sizeof(body),
             "{\"command\": \"/workspace/overwriter 2>/dev/null\", \"agent_id\": \"guest\","
             " \"session_id\": \"attack\"}");
    pending = pending_start(&attacker);
    for (int i = 0; i < STARTS_DURING_RACE; i++)
        run_in(ALICE, "guest", "attack", "true");
    pending_finish(pending);
    assert_got(&attacker.reply, "open for writing: Permission denied\n"
                                "truncate: Permission denied\n"
                                "remove: Permission denied\n"
                                "replace: Cross-device link\n"
                                "change its mode: Read-only file system\n"
                                "change its times: Read-only file system\n"
                                "make a link to it: Cross-device link\n"
                                "map it for writing: Permission denied\n"
                                "what PID 1 runs: Permission denied\n"
                                "what runs it no more: Permission denied\n"
                                "caught while starting: 0\n");
    reply_done(&attacker.reply);
    assert_program_untouched();
}

/* What runs a path of the image's choice (CVE-2019-5736) runs it as a command, never as the guest.
 */
static void
it_executes_nothing_of_the_image_for_itself(void **state)
{
    static const struct {
        const char *program, *expected; /* NULL: what it prints does not matter */
    } cases[] = {
        {"/proc/self/exe", NULL},  {"/proc/1/exe", NULL},     {"/proc/self/fd/3", NULL},
        {"/proc/self/fd/5", NULL}, {"/workspace/bang", NULL},
    };

    (void)state;
    assert_int_equal(host_shell("cp \"$GUEST\" \"$SANDBOX_STATE/guest-before\""), 0);
    run_in(ALICE, "guest", "attack",
           "printf '#!/proc/self/exe\\n' > bang; chmod +x bang; printf x > library.so");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = execute(ALICE, "{s:[s], s:s, s:s, s:{s:s, s:s}}", "argv", cases[i].program,
                                 "agent_id", "guest", "session_id", "attack", "env", "LD_PRELOAD",
                                 "/workspace/library.so", "LD_LIBRARY_PATH", "/workspace");

        assert_status(&r, 200);
        if (null_at(&r, "exit_code") || int_at(&r, "exit_code") == 0)
            fail_msg("%s: %s", cases[i].program, r.body);
        assert_string_equal(text_at(&r, "stdout"), "");
        reply_done(&r);
    }
    assert_program_untouched();
}

int
suite_guest(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_can_be_neither_read_nor_signalled_nor_traced, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(no_socket_but_its_own_is_within_reach, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(its_program_cannot_be_overwritten, world_note, world_check),
        cmocka_unit_test_setup_teardown(it_executes_nothing_of_the_image_for_itself, world_note,
                                        world_check),
    };

    return cmocka_run_group_tests_name("guest", tests, NULL, world_done);
}
