/*
 * Starting the command: see spawn.h. The child shares our memory and we stand still until it
 * executes the command, as with vfork(2): where page faults are dear, copying even this little
 * takes longer than all the rest. Other processes of the command's user cannot trace the child,
 * which is not dumpable, but they can stop it between its change of uid and its exec, and with it
 * us: for that there is an alarm, of which we die; PID 1 then clears up.
 */
#include "backend/guest/inside/spawn.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/guest/inside/keeper.h"
#include "backend/guest/inside/oom.h"

enum { EXIT_NOT_STARTED = 127, STACK_SIZE = 16 << 10, ALARM_SECONDS = 5 };

static _Alignas(16) char stack[STACK_SIZE];

/* libc's setters would look after other threads; there are none. */
static int
become(const struct guest *g)
{
    uid_t uid;
    gid_t gid;

    keeper_user(g, &uid, &gid);
    if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, gid, gid, gid) < 0 ||
        syscall(SYS_setresuid, uid, uid, uid) < 0)
        return errno;
    return 0;
}

static int
enter(const struct guest *g, const char *cwd)
{
    if (cwd[0] != '\0')
        return chdir(cwd) < 0 ? errno : 0;
    if ((g->workspace && chdir(g->workspace) == 0) || chdir(g->home) == 0)
        return 0;
    return chdir("/") < 0 ? errno : 0;
}

/* execve(2), with the shell for a script without interpreter, as execvp(3) does. Returns the errno.
 */
static int
execute(const struct request *q, char *file)
{
    static char shell[] = "/bin/sh";
    char **argv = q->argv - 1;

    execve(file, q->argv, q->env);
    if (errno != ENOEXEC)
        return errno;
    argv[0] = shell;
    argv[1] = file;
    execve(shell, argv, q->env);
    return ENOEXEC;
}

/* Look the program up in PATH. Returns the errno of the failure that says most. */
static int
execute_in_path(const struct request *q)
{
    static char file[PATH_MAX];
    char *name = q->argv[0];
    const char *dir = q->path;
    int result = ENOENT;
    int len, r;

    if (name[0] == '\0' || strchr(name, '/'))
        return execute(q, name);
    while (dir) {
        const char *colon = strchrnul(dir, ':');

        len = (int)(colon - dir); /* an empty entry is the working directory */
        len = snprintf(file, sizeof(file), "%.*s%s%s", len, dir, len > 0 ? "/" : "", name);
        r = len < (int)sizeof(file) ? execute(q, file) : ENOENT;
        if (r == EACCES)
            result = r;
        else if (r != ENOENT && r != ENOTDIR)
            return r;
        dir = *colon ? colon + 1 : NULL;
    }
    return result;
}

static void
fail(struct spawn *s, enum guest_stage stage, int errnum)
{
    s->failure = (struct guest_failure){.stage = stage, .error = errnum};
    _exit(EXIT_NOT_STARTED);
}

/* The child. */
static int
become_command(void *p)
{
    struct spawn *s = p;
    sigset_t none;
    int r;

    setsid();
    oom_score_raise();
    if (dup2(s->in, STDIN_FILENO) < 0 || dup2(s->out, STDOUT_FILENO) < 0 ||
        dup2(s->err, STDERR_FILENO) < 0)
        fail(s, GUEST_STAGE_FORK, errno);
    r = become(s->g);
    if (r != 0)
        fail(s, GUEST_STAGE_IDENTITY, r);
    r = enter(s->g, s->request->cwd);
    if (r != 0)
        fail(s, GUEST_STAGE_CWD, r);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    fail(s, GUEST_STAGE_EXEC, execute_in_path(s->request));
    return 0;
}

pid_t
spawn_command(struct spawn *s)
{
    pid_t pid;

    s->failure = (struct guest_failure){0};
    alarm(ALARM_SECONDS);
    pid = clone(become_command, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, s);
    alarm(0);
    if (pid < 0)
        s->failure = (struct guest_failure){.stage = GUEST_STAGE_FORK, .error = errno};
    if (s->failure.stage == 0)
        return pid;
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return -1;
}
