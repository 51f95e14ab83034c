/*
 * What the host and the guest in a container say to each other, over one unix stream socket
 * connection an execution. Both sides run on one machine and are built together, so that numbers
 * are in the machine's order.
 *
 * Host to guest: a struct guest_request, then body_len bytes of strings, then input_len bytes for
 * the command's stdin. Nothing follows; the host's closing or half-closing its side cancels the
 * command.
 *
 * Guest to host: frames, each a struct guest_frame and its payload.
 *   either  STARTED, any number of STDOUT and STDERR, EXIT
 *   or      FAILED alone: the command was not executed
 */
#ifndef BACKEND_GUEST_PROTOCOL_H
#define BACKEND_GUEST_PROTOCOL_H

#include <stdint.h>

#define GUEST_SOCKET "guest.sock" /* in the container's socket directory */

enum {
    GUEST_REQUEST_MAGIC = 0x31425347, /* changes with this file */
    GUEST_BODY_MAX = 2 << 20,         /* bytes of a request's strings */
    GUEST_OUTPUT_MAX = 64 << 10,      /* bytes of output in one frame */
    /*
     * Tasks that a container has beyond its tier's max_processes: PID 1, the supervisor of an
     * execution and an idle one. So a lone command gets max_processes exactly; executions that run
     * at the same time pay for their supervisors out of it.
     */
    GUEST_RESERVED_TASKS = 3
};

/* The body holds NUL-terminated strings: cwd ("" for the default), then argv, then the environment.
 */
struct guest_request {
    uint32_t magic;
    uint32_t body_len;
    uint32_t argc; /* at least 1 */
    uint32_t envc;
    uint32_t uid; /* neither is ever 0 */
    uint32_t gid;
    int64_t timeout_ms;
    uint64_t input_len; /* 0: stdin is /dev/null */
};

enum guest_frame_type {
    GUEST_FRAME_STARTED = 1, /* no payload */
    GUEST_FRAME_STDOUT,      /* 1..GUEST_OUTPUT_MAX bytes */
    GUEST_FRAME_STDERR,      /* likewise */
    GUEST_FRAME_EXIT,        /* struct guest_exit */
    GUEST_FRAME_FAILED       /* struct guest_failure */
};

struct guest_frame {
    uint32_t type;
    uint32_t len; /* of the payload */
};

/* Values of guest_exit.end, in the order of enum guest_end. */
enum guest_exit_end {
    GUEST_END_EXITED,    /* value is the exit status, 0..255 */
    GUEST_END_SIGNALED,  /* value is the signal */
    GUEST_END_TIMED_OUT, /* value is SIGKILL */
    GUEST_END_CANCELLED  /* value is SIGKILL */
};

struct guest_exit {
    uint32_t end;
    uint32_t value;
    uint32_t oom_killed; /* 0 or 1 */
    uint32_t reserved;   /* 0 */
    int64_t duration_us;
    int64_t cpu_us;
    int64_t max_memory_kib;
};

/* What the guest was doing when it could not start the command. */
enum guest_stage {
    GUEST_STAGE_REQUEST = 1, /* it did not like the request */
    GUEST_STAGE_FORK,        /* no process to be had */
    GUEST_STAGE_IDENTITY,    /* becoming the user */
    GUEST_STAGE_CWD,
    GUEST_STAGE_EXEC
};

struct guest_failure {
    uint32_t stage;
    int32_t error; /* errno */
};

#endif
