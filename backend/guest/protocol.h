/*
 * What the host and the guest in a container say to each other: over one unix stream socket
 * connection an execution, in one packet each way on the control socket, and through the spools.
 * Both sides run on one machine and are built together, so that numbers are in the machine's order.
 *
 * An execution, host to guest: a struct guest_request, then body_len bytes of strings, then
 * input_len bytes for the command's stdin. Nothing follows; the host's closing or half-closing its
 * side cancels a command that is not detached.
 *
 * Guest to host: frames, each a struct guest_frame and its payload.
 *   either  STARTED, any number of STDOUT and STDERR, EXIT
 *   or      STARTED alone, of a detached one: what follows is in the spool
 *   or      FAILED alone: the command was not executed
 */
#ifndef BACKEND_GUEST_PROTOCOL_H
#define BACKEND_GUEST_PROTOCOL_H

#include <stdint.h>

#define GUEST_SOCKET "guest.sock" /* in the container's socket directory, as all of these */
#define GUEST_CONTROL_SOCKET "control.sock"
#define GUEST_RELAY_URL "http://127.0.0.1:3128" /* of GUEST_RELAY_PORT */
#define GUEST_SPOOL_PREFIX "spool-" /* and the execution's id in 16 hexadecimal digits */

enum {
    GUEST_REQUEST_MAGIC = 0x34425347, /* changes with this file */
    GUEST_BODY_MAX = 2 << 20,         /* bytes of a request's strings */
    GUEST_OUTPUT_MAX = 64 << 10,      /* bytes of output in one frame */
    GUEST_SPOOL_CAP_MAX = 16 << 20,   /* bytes that are kept of each stream of a detached one */
    GUEST_SPOOL_DATA = 4096,          /* where in a spool the streams begin */
    /*
     * Tasks that a container has beyond its tier's max_processes: PID 1, the supervisor of an
     * execution and an idle one. So a lone command gets max_processes exactly; executions that run
     * at the same time pay for their supervisors out of it.
     */
    GUEST_RESERVED_TASKS = 3,
    GUEST_RELAY_TASKS = 1,  /* and this, where it has a relay to the egress proxy */
    GUEST_RELAY_PORT = 3128 /* of 127.0.0.1, where commands find that */
};

enum guest_request_flags {
    GUEST_DETACHED = 1 /* goes on without the host: STARTED is the last frame */
};

/* The body holds NUL-terminated strings: cwd ("" for the default), then argv, then the environment.
 */
struct guest_request {
    uint32_t magic;
    uint32_t body_len;
    uint32_t argc; /* at least 1 */
    uint32_t envc;
    uint32_t flags;
    uint32_t reserved; /* 0 */
    int64_t timeout_ms;
    uint64_t input_len; /* 0: stdin is /dev/null */
    uint64_t id;  /* names the execution for GUEST_CONTROL_KILL and its spool; 0: nobody asks */
    uint64_t cap; /* of a detached one, 2..GUEST_SPOOL_CAP_MAX */
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
    GUEST_END_CANCELLED, /* value is SIGKILL */
    GUEST_END_KILLED     /* value is SIGKILL */
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
    GUEST_STAGE_EXEC,
    GUEST_STAGE_SPOOL /* making the file for a detached one's output */
};

struct guest_failure {
    uint32_t stage;
    int32_t error; /* errno */
};

/*
 * The head of a spool. Behind it, at GUEST_SPOOL_DATA, cap bytes for stdout, then cap for stderr:
 * of each the first cap - cap / 2 bytes are the stream's first; the others are a ring, in which the
 * byte n of those behind is at n % (cap / 2). Bytes not written yet are missing or a hole.
 *
 * The host reads while the guest writes: `claimed` is written before bytes are, `total` after them,
 * and `ended` at the very last.
 */
struct guest_spool_head {
    uint32_t magic; /* GUEST_REQUEST_MAGIC */
    uint32_t ended; /* 0, or 1: exit is set, and nothing follows */
    uint64_t cap;
    struct guest_spool_stream {
        uint64_t claimed; /* no byte from here on has been touched */
        uint64_t total;   /* all bytes before this are there, as far as they are kept */
    } streams[2];         /* stdout, stderr */
    struct guest_exit exit;
};

/* Control requests: one packet in, the answer, an int32_t errno (0: done), one packet out. */
enum guest_control_type {
    GUEST_CONTROL_KILL = 1, /* value: the id of an execution. ENOENT: none such runs */
    GUEST_CONTROL_FORGET,   /* value: the id of an execution whose spool is to go */
    GUEST_CONTROL_ADOPT     /* value: gid << 32 | uid of the container's user from now on */
};

struct guest_control {
    uint32_t magic; /* GUEST_REQUEST_MAGIC */
    uint32_t type;
    uint64_t value;
};

#endif
