/* What containers reached for: see ledger.h. */
#include "backend/egress/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <uthash.h>
#include <utlist.h>

#include "backend/cleanup.h"
#include "backend/egress/name.h"
#include "backend/egress/verdict.h"
#include "backend/utf8.h"

enum { ENTRIES_MAX = LEDGER_HOSTS_MAX + 2 }; /* of a container: with those of the other hosts */

#define OTHER_HOSTS "*" /* stands for those that no line was left for */

/* One host, port and rule of one container, from its first attempt until the minute is over. */
struct line {
    char host[EGRESS_NAME_SIZE];
    char rule[EGRESS_RULE_SIZE];
    unsigned port;
    bool allowed;
    int64_t opened_ms;
    /* What is not written yet. */
    int64_t first_ms, last_ms;
    uint64_t attempts;
    uint64_t sent, received; /* bytes */
    struct line *prev, *next;
};

/* A container that has lines. */
struct account {
    char container_id[CONTAINER_ID_SIZE]; /* key */
    char owner[OWNER_SIZE];
    char agent_id[NAME_SIZE];
    char session_id[NAME_SIZE];
    char tier[NAME_SIZE];
    char template_name[NAME_SIZE];
    struct line *lines;
    size_t count;
    UT_hash_handle hh;
};

/* Lifetime: process. */
struct ledger {
    struct account *accounts;
    size_t count;   /* of all lines */
    int64_t now_ms; /* when somebody last said what time it is */
};

struct ledger *
ledger_new(void)
{
    return calloc(1, sizeof(struct ledger));
}

static void
remove_line(struct ledger *l, struct account *a, struct line *line)
{
    DL_DELETE(a->lines, line);
    a->count--;
    l->count--;
    free(line);
}

static void
free_account(struct account *a)
{
    struct line *line, *next;

    DL_FOREACH_SAFE(a->lines, line, next) free(line);
    free(a);
}

void
ledger_free(struct ledger *l)
{
    struct account *a, *next;

    if (!l)
        return;
    a = l->accounts;
    HASH_CLEAR(hh, l->accounts);
    for (; a; a = next) {
        next = a->hh.next;
        free_account(a);
    }
    free(l);
}

/* The account of @c, made if there is none. NULL without memory. */
static struct account *
account_of(struct ledger *l, const struct container *c)
{
    struct account *a = NULL;

    HASH_FIND_STR(l->accounts, c->id, a);
    if (a)
        return a;
    a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    snprintf(a->container_id, sizeof(a->container_id), "%s", c->id);
    snprintf(a->owner, sizeof(a->owner), "%s", c->owner);
    snprintf(a->agent_id, sizeof(a->agent_id), "%s", c->agent_id);
    snprintf(a->session_id, sizeof(a->session_id), "%s", c->session_id);
    snprintf(a->tier, sizeof(a->tier), "%s", c->tier);
    snprintf(a->template_name, sizeof(a->template_name), "%s", c->template_name);
    HASH_ADD_STR(l->accounts, container_id, a);
    return a;
}

static void
drop_if_empty(struct ledger *l, struct account *a)
{
    if (a->lines)
        return;
    HASH_DEL(l->accounts, a);
    free(a);
}

/* A name is ASCII; what is none may be anything, and the log takes text. */
static void
copy_host(const char *host, char out[EGRESS_NAME_SIZE])
{
    snprintf(out, EGRESS_NAME_SIZE, "%s", host);
    for (char *c = out; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

/* The line of @a with this host, port and verdict, and rule where @rule is not NULL; NULL if there
 * is none. */
static struct line *
find_line(struct account *a, const char *host, unsigned port, bool allowed, const char *rule)
{
    struct line *line;

    DL_FOREACH(a->lines, line)
    {
        if (line->port == port && line->allowed == allowed && strcmp(line->host, host) == 0 &&
            (!rule || strcmp(line->rule, rule) == 0))
            return line;
    }
    return NULL;
}

/* Open a line, or find that of all the hosts that there is no line for. NULL without memory. */
static struct line *
open_line(struct ledger *l, struct account *a, const struct line *is, int64_t now_ms)
{
    struct line *line;
    bool full = a->count >= LEDGER_HOSTS_MAX || l->count >= LEDGER_LINES_MAX;

    if (full) {
        line = find_line(a, OTHER_HOSTS, 0, is->allowed, NULL);
        if (line)
            return line;
    }
    line = malloc(sizeof(*line));
    if (!line)
        return NULL;
    *line = *is;
    line->opened_ms = now_ms;
    if (full) {
        snprintf(line->host, sizeof(line->host), "%s", OTHER_HOSTS);
        snprintf(line->rule, sizeof(line->rule), "more hosts in a minute than are told apart");
        line->port = 0;
    }
    DL_APPEND(a->lines, line);
    a->count++;
    l->count++;
    return line;
}

/* "host:port", as an authority of a URL is written. */
static char *
spell_command(const struct line *line)
{
    bool brackets = strchr(line->host, ':') != NULL;
    char *text = NULL;
    int n;

    if (line->port == 0)
        return strdup(line->host);
    n = asprintf(&text, "%s%s%s:%u", brackets ? "[" : "", line->host, brackets ? "]" : "",
                 line->port);
    return n < 0 ? NULL : text;
}

/* The entry's `details`; owned by the caller. */
static char *
spell_details(const struct line *line)
{
    json_auto_t *json = json_pack(
        "{s:s, s:i, s:b, s:s, s:I, s:I, s:I}", "host", line->host, "port", (int)line->port,
        "allowed", line->allowed, "rule", line->rule, "attempts", (json_int_t)line->attempts,
        "bytes_sent", (json_int_t)line->sent, "bytes_received", (json_int_t)line->received);

    return json ? json_dumps(json, JSON_COMPACT) : NULL;
}

/* The entry of what @line has that is not written yet; audit_entry_done() frees it. */
static int
make_entry(const struct account *a, const struct line *line, struct audit_entry *ret,
           struct error *err)
{
    *ret = (struct audit_entry){
        .kind = AUDIT_NETWORK,
        .status = line->allowed ? AUDIT_COMPLETED : AUDIT_REFUSED,
        .started_at_ms = line->first_ms,
        .finished_at_ms = line->last_ms,
        .duration_ms = line->last_ms - line->first_ms,
        .exit_code = -1,
        .request_id = "egress",
        .command = spell_command(line),
        .details = spell_details(line),
    };
    id_audit(ret->id);
    snprintf(ret->owner, sizeof(ret->owner), "%s", a->owner);
    snprintf(ret->agent_id, sizeof(ret->agent_id), "%s", a->agent_id);
    snprintf(ret->session_id, sizeof(ret->session_id), "%s", a->session_id);
    snprintf(ret->container_id, sizeof(ret->container_id), "%s", a->container_id);
    snprintf(ret->tier, sizeof(ret->tier), "%s", a->tier);
    snprintf(ret->template_name, sizeof(ret->template_name), "%s", a->template_name);
    return ret->command && ret->details ? 0 : error_errno(err, ENOMEM, "network entry");
}

/* Write what the @count @lines of @a have, all or none. */
static int
write_lines(struct store *store, const struct account *a, struct line *const *lines, size_t count,
            struct error *err)
{
    struct audit_entry entries[ENTRIES_MAX] = {0};
    size_t made = 0;
    int r = 0;

    while (r == 0 && made < count) {
        r = make_entry(a, lines[made], &entries[made], err);
        made++;
    }
    if (r == 0 && count > 0)
        r = store_audit_insert_all(store, entries, count, err);
    for (size_t i = 0; i < made; i++)
        audit_entry_done(&entries[i]);
    for (size_t i = 0; r == 0 && i < count; i++) {
        lines[i]->attempts = 0;
        lines[i]->sent = lines[i]->received = 0;
    }
    return r;
}

/* Whether @line has something that is not written yet. */
static bool
is_pending(const struct line *line)
{
    return line->attempts > 0 || line->sent > 0 || line->received > 0;
}

static void
touch(struct line *line, int64_t now_ms)
{
    if (!is_pending(line))
        line->first_ms = now_ms;
    line->last_ms = now_ms > line->first_ms ? now_ms : line->first_ms; /* clocks go back, too */
}

int
ledger_note(struct ledger *l, struct store *store, const struct ledger_attempt *attempt,
            int64_t now_ms, struct error *err)
{
    struct account *a = account_of(l, attempt->container);
    struct line is = {.port = attempt->port, .allowed = attempt->allowed}, *line = NULL;
    bool first = false;

    l->now_ms = now_ms;
    copy_host(attempt->host, is.host);
    snprintf(is.rule, sizeof(is.rule), "%s", attempt->rule);
    is.rule[utf8_trim_end(is.rule, strlen(is.rule))] = '\0';
    if (a)
        line = find_line(a, is.host, is.port, is.allowed, is.rule);
    if (a && !line) {
        size_t before = a->count;

        line = open_line(l, a, &is, now_ms);
        first = a->count > before;
    }
    if (!line) {
        if (a)
            drop_if_empty(l, a);
        return error_errno(err, ENOMEM, "network entry");
    }
    touch(line, now_ms);
    line->attempts++;
    return first ? write_lines(store, a, &line, 1, err) : 0;
}

void
ledger_carried(struct ledger *l, const struct container *container, const char *host, unsigned port,
               uint64_t sent, uint64_t received)
{
    struct line is = {.port = port, .allowed = true}, *line = NULL;
    struct account *a;

    if (sent == 0 && received == 0)
        return;
    a = account_of(l, container);
    if (!a)
        return;
    copy_host(host, is.host);
    snprintf(is.rule, sizeof(is.rule), "connected before");
    line = find_line(a, is.host, port, true, NULL);
    if (!line)
        line = open_line(l, a, &is, l->now_ms);
    if (line) {
        touch(line, l->now_ms);
        line->sent += sent;
        line->received += received;
    }
    drop_if_empty(l, a);
}

/* Write the lines of @a whose minute is over, and close them. */
static int
flush_account(struct ledger *l, struct store *store, struct account *a, struct error *err)
{
    struct line *over[ENTRIES_MAX], *pending[ENTRIES_MAX] = {NULL}, *line;
    size_t over_count = 0, pending_count = 0;
    int r;

    DL_FOREACH(a->lines, line)
    {
        if (l->now_ms >= line->opened_ms && l->now_ms - line->opened_ms < LEDGER_WINDOW_MS)
            continue;
        over[over_count++] = line;
        if (is_pending(line))
            pending[pending_count++] = line;
    }
    r = write_lines(store, a, pending, pending_count, err);
    for (size_t i = 0; r == 0 && i < over_count; i++)
        remove_line(l, a, over[i]);
    return r;
}

int
ledger_flush(struct ledger *l, struct store *store, int64_t now_ms, struct error *err)
{
    struct account *a, *next;
    int r = 0;

    l->now_ms = now_ms;
    HASH_ITER(hh, l->accounts, a, next)
    {
        if (r == 0)
            r = flush_account(l, store, a, err);
        drop_if_empty(l, a);
    }
    return r;
}
