/*
 * `sandboxd token`: see token_command.h. It works on the state directory, beside a service that
 * runs or without one, as root or as the account that started the service.
 */
#include "fcgi/token_command.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "backend/token.h"
#include "fcgi/visit.h"
#include "handlers/json.h"

enum { LIST_PAGE = 100, DECIMAL = 10 };

struct arguments {
    const char *state;
    const char *name;
    int64_t expires_in;
    const char *operand; /* a user or a token's id; NULL: none */
};

static int
usage(void)
{
    fputs(
        "usage: sandboxd token add USER --state DIR [--name NAME] [--expires-in SECONDS]\n"
        "       sandboxd token list --state DIR\n"
        "       sandboxd token revoke ID --state DIR\n"
        "\n"
        "  add     make a token that stands for USER, and print it: this once, it is kept nowhere\n"
        "  list    every token as GET tokens has it, one JSON object a line, newest first\n"
        "  revoke  the next request with it is refused\n",
        stderr);
    return 2;
}

/* Read a number of seconds, from 1 on. */
static bool
parse_seconds(const char *text, int64_t *ret)
{
    char *end = NULL;

    errno = 0;
    *ret = strtoll(text, &end, DECIMAL);
    return errno == 0 && end != text && *end == '\0' && *ret > 0;
}

static bool
parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"state", required_argument, NULL, 's'},
        {"name", required_argument, NULL, 'n'},
        {"expires-in", required_argument, NULL, 'e'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT: no threads */
        if (option == 's')
            a->state = optarg;
        else if (option == 'n')
            a->name = optarg;
        else if (option == 'e' && !parse_seconds(optarg, &a->expires_in))
            return false;
        else if (option == '?')
            return false;
    }
    a->operand = optind < argc ? argv[optind] : NULL;
    return a->state && argc - optind <= 1;
}

static int
failed(const struct error *err)
{
    fprintf(stderr, "sandboxd token: %s%s%s\n", err->msg, err->detail[0] ? ": " : "", err->detail);
    return 1;
}

/* Who types this, for the audit log. */
static struct caller
administrator(const char *action)
{
    const struct passwd *account = getpwuid(getuid()); /* NOLINT(concurrency-mt-unsafe) */

    return (struct caller){
        .user = account ? account->pw_name : "root",
        .role = ROLE_ADMIN,
        .action = action,
        .request_id = "command",
    };
}

static int
add(struct backend *b, const struct arguments *a)
{
    const struct caller caller = administrator("sandboxd token add");
    const struct token_spec spec = {
        .user = a->operand,
        .name = a->name,
        .expires_in = a->expires_in,
    };
    char secret[TOKEN_SECRET_SIZE], expires[TIMESTAMP_SIZE] = "never";
    struct error err = {0};
    struct token t = {0};
    bool shown;

    if (token_create(b, &caller, &spec, &t, secret, &err) < 0)
        return failed(&err);
    if (t.expires_at_ms)
        time_format(t.expires_at_ms, expires);
    shown = puts(secret) >= 0 && fflush(stdout) == 0;
    sodium_memzero(secret, sizeof(secret));
    if (!shown) {
        fprintf(stderr, "sandboxd token: cannot print the token %s; revoke it\n", t.id);
        return 1;
    }
    fprintf(stderr, "%s for %s, expires: %s\n", t.id, t.owner, expires);
    return 0;
}

static bool
print(const struct token_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        json_auto_t *json = json_token(&page->items[i]);
        _cleanup_(freep) char *text = json ? json_print(json) : NULL;

        if (!text || puts(text) == EOF)
            return false;
    }
    return true;
}

static int
list(struct backend *b)
{
    struct error err = {0};
    int64_t before = 0;
    bool printed;

    do {
        struct token_page page = {0};

        if (token_list(b, NULL, before, LIST_PAGE, &page, &err) < 0)
            return failed(&err);
        printed = print(&page);
        before = page.next;
        token_page_done(&page);
    } while (printed && before);
    if (printed && fflush(stdout) == 0)
        return 0;
    fputs("sandboxd token: cannot write the list\n", stderr);
    return 1;
}

static int
take_back(struct backend *b, const char *id)
{
    const struct caller caller = administrator("sandboxd token revoke");
    struct error err = {0};

    if (token_revoke(b, &caller, id, &err) < 0)
        return failed(&err);
    printf("%s is revoked\n", id);
    return fflush(stdout) == 0 ? 0 : 1;
}

int
token_command(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    _cleanup_(visit_done) struct visit v = VISIT_NONE;
    struct arguments a = {0};
    struct error err = {0};
    bool adds = strcmp(command, "add") == 0, lists = strcmp(command, "list") == 0;

    if ((!adds && !lists && strcmp(command, "revoke") != 0) || !parse(argc - 1, argv + 1, &a) ||
        lists == (a.operand != NULL) || (!adds && (a.name || a.expires_in)))
        return usage();
    if (sodium_init() < 0)
        return 1;
    if (visit_begin(&v, a.state, &err) < 0)
        return failed(&err);
    if (adds)
        return add(v.backend, &a);
    return lists ? list(v.backend) : take_back(v.backend, a.operand);
}
