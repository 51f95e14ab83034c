/* Reading a request: see request.h. */
#include "backend/guest/inside/request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { SLOTS = 512 };

/* Untouched pages of these cost nothing. */
static char buffer[64 << 10];       /* a request usually fits */
static char input_buffer[64 << 10]; /* apart from it: the child may still be reading its strings */
static char *slots[SLOTS];          /* the pointers to its strings usually fit */

/* Receive at least @want bytes into @to, and at most @size. Returns their number, 0 if the host
 * left. */
static size_t
receive(int fd, char *to, size_t want, size_t size)
{
    size_t have = 0;
    ssize_t len;

    while (have < want) {
        len = recv(fd, to + have, size - have, 0);
        if (len > 0)
            have += (size_t)len;
        else if (len == 0 || errno != EINTR)
            return 0;
    }
    return have;
}

static void *
allocate(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* Whether it is a detached one as it should be, or none. */
static bool
detachable(const struct guest_request *head)
{
    if (head->flags == 0)
        return true;
    return head->flags == GUEST_DETACHED && head->id != 0 && head->cap >= 2 &&
           head->cap <= GUEST_SPOOL_CAP_MAX;
}

static bool
acceptable(const struct guest_request *head)
{
    return head->magic == GUEST_REQUEST_MAGIC && head->body_len > 0 &&
           head->body_len <= GUEST_BODY_MAX && head->argc > 0 && head->argc < head->body_len &&
           head->envc < head->body_len && head->timeout_ms > 0 && head->reserved == 0 &&
           detachable(head);
}

/*
 * Receive the body, of which @have bytes followed the head in the buffer; what is beyond it is
 * input. On success *ret is the body. Returns as request_read().
 */
static int
receive_body(struct request *q, int fd, size_t have, char **ret)
{
    char *body = buffer + sizeof(q->head);
    size_t size = sizeof(buffer) - sizeof(q->head);
    size_t len = q->head.body_len;

    if (len > size) {
        body = q->body_map = allocate(len);
        if (!body)
            return ENOMEM;
        memcpy(body, buffer + sizeof(q->head), have);
        size = len;
    }
    if (have < len) {
        size_t more = receive(fd, body + have, len - have, size - have);

        if (more == 0)
            return -1;
        have += more;
    }
    q->input = body + len;
    q->input_len = have - len;
    *ret = body;
    return 0;
}

/* Receive what is left of the input. Returns as request_read(). */
static int
receive_input(struct request *q, int fd)
{
    size_t have = q->input_len;
    size_t left = (size_t)q->input_left;
    char *input;

    if (left == 0)
        return 0;
    input = q->input_map = allocate(have + left);
    if (!input)
        return ENOMEM;
    memcpy(input, q->input, have);
    if (receive(fd, input + have, left, left) == 0)
        return -1;
    q->input = input;
    q->input_len = have + left;
    q->input_left = 0;
    return 0;
}

/* The string at *@at, which moves on behind it; NULL if there is none before @end. */
static char *
next_string(char **at, char *end)
{
    char *s = *at;
    char *nul = s < end ? memchr(s, '\0', (size_t)(end - s)) : NULL;

    if (nul)
        *at = nul + 1;
    return nul ? s : NULL;
}

/* Take @count strings into @list. Returns whether there were as many. */
static bool
take_strings(char **at, char *end, char **list, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        list[i] = next_string(at, end);
        if (!list[i])
            return false;
    }
    return true;
}

static bool
same_name(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");

    return strncmp(a, b, len) == 0 && (b[len] == '=' || b[len] == '\0');
}

static bool
overridden(const char *entry, char *const *list, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (same_name(list[i], entry))
            return true;
    return false;
}

/* Put behind the request's @count entries of q->env those of @env that they do not override. */
static void
merge_env(struct request *q, char **env, size_t count)
{
    size_t n = count, i;

    for (; *env; env++)
        if (!overridden(*env, q->env, count))
            q->env[n++] = *env;
    q->env[n] = NULL;
    q->path = "/bin:/usr/bin"; /* not used: the guest's environment has one */
    for (i = n; i-- > 0;)
        if (strncmp(q->env[i], "PATH=", 5) == 0)
            q->path = q->env[i] + 5;
}

static size_t
count_strings(char *const *list)
{
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

static int
parse_body(struct request *q, char *body, char **env)
{
    char *at = body;
    char *end = body + q->head.body_len;
    size_t argc = q->head.argc;
    size_t envc = q->head.envc;
    size_t n = argc + envc + count_strings(env) + 3;
    char **list = slots;

    if (n > SLOTS) {
        q->slots_size = n * sizeof(*list);
        list = q->slots_map = allocate(q->slots_size);
        if (!list)
            return ENOMEM;
    }
    q->cwd = next_string(&at, end);
    q->argv = list + 1;
    q->argv[argc] = NULL;
    q->env = q->argv + argc + 1;
    if (!q->cwd || !take_strings(&at, end, q->argv, argc) ||
        !take_strings(&at, end, q->env, envc) || at != end)
        return EINVAL;
    merge_env(q, env, envc);
    return 0;
}

void
request_done(struct request *q)
{
    if (q->body_map)
        munmap(q->body_map, q->head.body_len);
    if (q->input_map)
        munmap(q->input_map, q->head.input_len);
    if (q->slots_map)
        munmap(q->slots_map, q->slots_size);
    *q = (struct request){0};
}

int
request_read(struct request *q, int fd, char **env)
{
    size_t have = receive(fd, buffer, sizeof(q->head), sizeof(buffer));
    char *body;
    int r;

    if (have == 0)
        return -1;
    memcpy(&q->head, buffer, sizeof(q->head));
    if (!acceptable(&q->head))
        return EINVAL;
    r = receive_body(q, fd, have - sizeof(q->head), &body);
    if (r != 0)
        return r;
    if (q->input_len > q->head.input_len)
        return EINVAL;
    q->input_left = q->head.input_len - q->input_len;
    r = q->head.flags & GUEST_DETACHED ? receive_input(q, fd) : 0;
    return r == 0 ? parse_body(q, body, env) : r;
}

int
request_input(struct request *q, int fd)
{
    size_t want =
        q->input_left < sizeof(input_buffer) ? (size_t)q->input_left : sizeof(input_buffer);
    ssize_t len = recv(fd, input_buffer, want, MSG_DONTWAIT);

    if (len > 0) {
        q->input = input_buffer;
        q->input_len = (size_t)len;
        q->input_left -= (uint64_t)len;
        return 0;
    }
    return len < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}
