/*
 * `sandboxd explain`: see explain_command.h. It reads the YAML as it lies there, which a service
 * that runs may not have taken over yet, and the overrides of PUT config. The engine is not asked.
 */
#include "fcgi/explain_command.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/explain.h"
#include "backend/store/store.h"

enum { REFUSED = 1, FAILED = 2 };

struct arguments {
    const char *state;
    const char *domain;
    struct placement where;
};

static int
usage(void)
{
    fputs(
        "usage: sandboxd explain --state DIR --user NAME [--tier T] [--agent A] [--template T]\n"
        "                        [--sandbox] [--domain D]\n"
        "\n"
        "  what an execution of NAME would meet, and which line or override says so; exit status\n"
        "  1 where it, or the domain D, is refused\n",
        stderr);
    return FAILED;
}

static bool
parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"state", required_argument, NULL, 's'},    {"user", required_argument, NULL, 'u'},
        {"tier", required_argument, NULL, 't'},     {"agent", required_argument, NULL, 'a'},
        {"template", required_argument, NULL, 'i'}, {"domain", required_argument, NULL, 'd'},
        {"sandbox", no_argument, NULL, 'x'},        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT: no threads */
        if (option == 's')
            a->state = optarg;
        else if (option == 'u')
            a->where.user = optarg;
        else if (option == 't')
            a->where.tier = optarg;
        else if (option == 'a')
            a->where.agent_id = optarg;
        else if (option == 'i')
            a->where.template_name = optarg;
        else if (option == 'd')
            a->domain = optarg;
        else if (option == 'x')
            a->where.sandbox = true;
        else
            return false;
    }
    return a->state && a->where.user && optind == argc;
}

static int
failed(const struct error *err)
{
    fprintf(stderr, "sandboxd explain: %s%s%s\n", err->msg, err->detail[0] ? ": " : "",
            err->detail);
    return FAILED;
}

/* Have @b read the database and the settings of @state. */
static int
open_state(struct backend *b, const char *state, struct error *err)
{
    json_auto_t *overrides = NULL;
    char path[PATH_MAX];
    int r;

    snprintf(path, sizeof(path), "%s/sandbox.db", state);
    r = store_open_reading(path, &b->store, err);
    if (r == 0)
        r = store_override_get(b->store, &overrides, err);
    snprintf(path, sizeof(path), "%s/yaml", state);
    return r < 0 ? r : settings_load(path, overrides, &b->settings, err);
}

static void
print_limits(const struct explanation *x)
{
    const struct limits *l = &x->plan.limits;
    const double values[EXPLAIN_LIMIT_COUNT] = {
        [EXPLAIN_CPU_CORES] = l->cpu_cores,
        [EXPLAIN_MEMORY_MB] = (double)l->memory_mb,
        [EXPLAIN_DISK_MB] = (double)l->disk_mb,
        [EXPLAIN_MAX_PROCESSES] = (double)l->max_processes,
        [EXPLAIN_TIMEOUT_SECONDS] = (double)l->timeout_seconds,
    };

    for (int i = 0; i < EXPLAIN_LIMIT_COUNT; i++)
        printf("%s %.15g (%s)\n", explain_limit_names[i], values[i], x->sources[i]);
}

static int
print(const struct explanation *x, const char *domain)
{
    bool reached = !domain || x->domain_allowed;

    if (x->planned) {
        printf("container  %s\n", x->plan.id[0] ? x->plan.id : "a new one");
        printf("tier       %s\n", x->plan.tier[0] ? x->plan.tier : "none");
        printf("template   %s\n", x->plan.template_name);
        print_limits(x);
        printf("network    %s (%s)\n", network_names[x->network - 1], x->network_source);
    }
    if (x->planned && domain)
        printf("%s is %s: %s (%s)\n", domain, reached ? "reached" : "refused", x->domain_rule,
               x->domain_source);
    if (x->refusal.code != ERR_NONE)
        printf("refused    %s: %s\n", error_name(x->refusal.code), x->refusal.msg);
    return x->refusal.code == ERR_NONE && reached ? 0 : REFUSED;
}

int
explain_command(int argc, char **argv)
{
    struct service_context ctx = {0};
    _cleanup_(backend_freep) struct backend *b = NULL;
    struct arguments a = {0};
    struct explanation x = {0};
    struct error err = {0};

    if (!parse(argc, argv, &a))
        return usage();
    ctx.state_dir = a.state;
    b = backend_new(&ctx);
    if (!b || sodium_init() < 0) {
        fputs("sandboxd explain: out of memory\n", stderr);
        return FAILED;
    }
    if (open_state(b, a.state, &err) < 0)
        return failed(&err);
    return explain_rules(b, &a.where, a.domain, &x, &err) < 0 ? failed(&err) : print(&x, a.domain);
}
