/*
 * `sandboxd audit`: see audit_command.h. Both subcommands only read, beside a service that runs or
 * without one; as root, or as the account that the database is of.
 */
#include "fcgi/audit_command.h"

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/store/store.h"
#include "handlers/json.h"

enum { EXPORT_PAGE = 50 }; /* entries in memory at a time */

struct arguments {
    const char *state;
    struct audit_filter filter;
};

static int
usage(void)
{
    fputs("usage: sandboxd audit verify --state DIR\n"
          "       sandboxd audit export --state DIR [--since TIME] [--until TIME]\n"
          "\n"
          "  verify  walk along the hash chain; exit status 1 and where, if it is broken\n"
          "  export  every entry as GET audit has it, one JSON object a line, newest first\n"
          "  TIME    as 2026-03-02T10:00:00Z; --since is included, --until is not\n",
          stderr);
    return 2;
}

static bool
parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"state", required_argument, NULL, 's'},
        {"since", required_argument, NULL, 'f'},
        {"until", required_argument, NULL, 'u'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT: no threads */
        if (option == 's')
            a->state = optarg;
        else if (option == 'f' && !time_parse(optarg, &a->filter.since_ms))
            return false;
        else if (option == 'u' && !time_parse(optarg, &a->filter.until_ms))
            return false;
        else if (option == '?')
            return false;
    }
    return a->state && optind == argc;
}

static int
failed(const struct error *err)
{
    fprintf(stderr, "sandboxd audit: %s%s%s\n", err->msg, err->detail[0] ? ": " : "", err->detail);
    return 1;
}

static int
verify(struct store *store)
{
    struct chain_report report = {0};
    struct error err = {0};

    if (store_chain_verify(store, &report, &err) < 0)
        return failed(&err);
    if (report.what[0] && report.position > 0)
        printf("position %" PRId64 ": %s\n", report.position, report.what);
    else if (report.what[0])
        printf("%s\n", report.what);
    else
        printf("%" PRId64 " entries, %" PRId64 " removed by %" PRId64 " cleanups: ok\nhead %s\n",
               report.entries, report.removed, report.cleanups, report.head);
    return report.what[0] ? 1 : 0;
}

static bool
print(const struct audit_entry *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_auto_t *json = json_audit_entry(&list[i]);
        _cleanup_(freep) char *text = json ? json_print(json) : NULL;

        if (!text || puts(text) == EOF)
            return false;
    }
    return true;
}

static int export(struct store *store, const struct audit_filter *filter)
{
    struct audit_filter next = *filter;
    struct error err = {0};
    size_t count;
    bool printed;

    next.limit = EXPORT_PAGE;
    do {
        struct audit_entry *list = NULL;

        if (store_audit_list(store, &next, &list, &count, &err) < 0)
            return failed(&err);
        printed = print(list, count);
        if (count > 0)
            next.before = list[count - 1].seq;
        store_audit_list_free(list, count);
    } while (printed && count == EXPORT_PAGE);
    if (printed && fflush(stdout) == 0)
        return 0;
    fputs("sandboxd audit: cannot write the entries\n", stderr);
    return 1;
}

int
audit_command(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    _cleanup_(store_freep) struct store *store = NULL;
    struct arguments a = {0};
    struct error err = {0};
    char path[PATH_MAX];
    bool verifies = strcmp(command, "verify") == 0;

    if ((!verifies && strcmp(command, "export") != 0) || !parse(argc - 1, argv + 1, &a) ||
        (verifies && (a.filter.since_ms || a.filter.until_ms)))
        return usage();
    snprintf(path, sizeof(path), "%s/sandbox.db", a.state);
    if (sodium_init() < 0)
        return 1;
    if (store_open_reading(path, &store, &err) < 0)
        return failed(&err);
    return verifies ? verify(store) : export(store, &a.filter);
}
