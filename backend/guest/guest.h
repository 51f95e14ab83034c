/*
 * The host's side of the guest: run one command in a container by talking to its PID 1 over the
 * unix socket `guest.sock` in the container's socket directory. All that comes back is untrusted
 * input: frames are bounded, counted and checked, and a guest that breaks the protocol ends the
 * execution.
 */
#ifndef BACKEND_GUEST_GUEST_H
#define BACKEND_GUEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/capture.h"
#include "backend/cleanup.h"
#include "backend/error.h"

enum guest_stream { GUEST_STDOUT, GUEST_STDERR };

/*
 * Who hears of an execution as it goes; a function may be NULL. One that returns a negative value
 * ends the command as the peer's going away would.
 */
struct guest_sink {
    void *arg;
    int (*started)(void *arg);
    int (*output)(void *arg, enum guest_stream stream, const char *data, size_t len);
    int (*quiet)(void *arg); /* quiet_ms have passed since anything was heard */
    int64_t quiet_ms;        /* 0: quiet is not called */
};

/* What to run. Everything is borrowed for the call. */
struct guest_command {
    uint64_t id; /* names the execution for guest_kill() and the spool; 0: nobody asks */
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH as execvp(3) does */
    const char *const *env;  /* NULL-terminated "NAME=value", added over the image's; may be NULL */
    const char *cwd;         /* absolute; NULL: the guest's default */
    int64_t timeout_ms;      /* from the start of the command; the guest kills what is left then */
    const void *input;       /* bytes for its stdin; NULL: /dev/null */
    size_t input_len;
    const struct guest_sink *sink; /* NULL: nobody listens */
    int cancel_fd; /* a peer's going away on this socket (POLLRDHUP) ends the command; -1: none */
};

enum guest_end {
    GUEST_EXITED,    /* exit_code is set */
    GUEST_SIGNALED,  /* signal is set */
    GUEST_TIMED_OUT, /* killed at its deadline; signal is SIGKILL */
    GUEST_CANCELLED, /* killed because the peer on cancel_fd went away; signal is SIGKILL */
    GUEST_KILLED     /* killed by guest_kill(); signal is SIGKILL */
};

struct guest_result {
    enum guest_end end;
    int exit_code;
    int signal;
    bool oom_killed;        /* the kernel's memory limit killed a process meanwhile */
    int64_t duration_us;    /* start of the command until its tree was gone, by the guest's clock */
    int64_t cpu_us;         /* user and system time of the whole tree */
    int64_t max_memory_kib; /* the largest resident set of any of its processes */
};

/*
 * Open a connection to the guest whose socket directory is @directory (host path). The socket is
 * opened so that a symlink or another kind of file in its place leads nowhere (O_PATH|O_NOFOLLOW,
 * fstat, then connect through /proc/self/fd).
 * Returns 0 and a descriptor that is the caller's in *ret_fd; or -ENOTCONN
 * (ERR_CONTAINER_NOT_RUNNING) if nobody listens there, or -EIO (ERR_INTERNAL) if what is there is
 * not a socket.
 */
int guest_connect(const char *directory, int *ret_fd, struct error *err);

/*
 * Run @command over the connection @fd (which is used up; the caller closes it) and wait for its
 * end. Output goes to @out and @errout as it arrives; the caller has initialised them with its
 * caps. A guest that has not started the command after 5 s, or not ended it 5 s past the deadline
 * or past the peer's going away, has gone bad. A program or a working directory that is not there
 * or not fit is the command's failure: exit code 127 or 126, and a word on @errout. Returns 0 with
 * *ret set, or -EMLINK (ERR_PROCESS_LIMIT)  the container has no process left to run it; nothing
 * was run -EINVAL (ERR_VALIDATION)     command and environment are larger than 2 MiB -EPROTO,
 * without a code of the API: the guest broke the protocol, was cut off or went silent. The caller
 * records the execution as interrupted; @err (ERR_INTERNAL) says what happened.
 */
int guest_run(int fd, const struct guest_command *command, struct capture *out,
              struct capture *errout, struct guest_result *ret, struct error *err);

/*
 * Start @command over the connection @fd so that it goes on without us: the guest keeps its result,
 * and the head and tail of each stream up to @cap bytes, in the spool (spool.h) until
 * guest_forget(). cancel_fd and sink are not used. Returns when it has been started, with
 * *ret_ended false; or, where the program or directory is not there, with *ret_ended true and *ret,
 * @errout as of guest_run(). Errors: as guest_run().
 */
int guest_detach(int fd, const struct guest_command *command, size_t cap, struct capture *errout,
                 bool *ret_ended, struct guest_result *ret, struct error *err);

#endif
