/*
 * The contract: the service describes itself in openapi.json, and here every operation of that
 * description is used as it says and answers as it says. An operation without an example fails the
 * test, and so does a declared success that no example brings about.
 */
#include "tests/test.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/contract.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"
#include "tests/common/json_schema.h"

#define JSON "application/json"
#define EVENTS "text/event-stream"
#define LINES "application/x-ndjson"

static void
with_background(void)
{
    struct reply r = call(ALICE, "POST", "/execute",
                          "{\"agent_id\": \"contract\", \"session_id\": \"1\", \"background\": "
                          "true, \"command\": \"sleep 60\"}",
                          NULL);

    assert_status(&r, 202);
    snprintf(contract.entry, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

static void
with_template(void)
{
    snprintf(contract.template, STEP_ID_SIZE, "contract-file");
}

static void
with_image(void)
{
    snprintf(contract.template, STEP_ID_SIZE, "contract-image");
}

static void
after_jobs(void)
{
    job_wait("contract-file", "ready");
    job_wait("contract-image", "failed");
}

static void
with_change(void)
{
    struct reply r = fetch(ALICE, "/audit?kind=change&limit=1");

    snprintf(contract.entry, STEP_ID_SIZE, "%s", text_at(&r, "entries.0.id"));
    reply_done(&r);
}

/* In this order; each operation's parameters are the things that are there, or what `prepare` puts
 * in their place. */
static const struct example {
    const char *operation;
    long status;
    const char *query, *body; /* NULL: none */
    const char *accept;       /* NULL: JSON */
    const char *filled;       /* the member that has to be a list with something in it, or not null;
                                 NULL: there is none */
    void (*prepare)(void);
} examples[] = {
    /* clang-format off */
    {.operation = "putConfig", .status = 200, .filled = "network_policy.allowed_domains",
     .body = "{\"network_policy\": {\"allowed_domains\": [\"a.example\"],"
             " \"blocked_domains\": [\"b.example\"]}}"},
    {.operation = "getConfig", .status = 200, .filled = "network_policy.blocked_domains"},
    {.operation = "putConfig", .status = 200, .body = "{\"network_policy\": null}"},
    {.operation = "getStatus", .status = 200, .filled = "runtimes"},
    {.operation = "getTiers", .status = 200, .filled = "tiers"},
    {.operation = "getWhoami", .status = 200, .filled = "limits"},
    {.operation = "getOpenapiJson", .status = 200},
    {.operation = "getMetrics", .status = 200},
    {.operation = "getGpu", .status = 200, .filled = "gpus"},
    {.operation = "getPool", .status = 200, .filled = "pools"},
    {.operation = "postPoolDrain", .status = 200, .body = "{\"refill\": false}"},

    {.operation = "postExecute", .status = 200, .body = "{\"command\": \"echo a; echo b >&2\"}"},
    {.operation = "postExecute", .status = 200, .filled = "signal",
     .body = "{\"argv\": [\"sh\", \"-c\", \"kill -9 $$\"]}"},
    {.operation = "postExecute", .status = 200, .filled = "stdout",
     .body = "{\"command\": \"echo '\\u00e9\\u4e2d\\ud83d\\ude00 $(id) %s'\"}"},
    {.operation = "postExecute", .status = 202, .filled = "container_id",
     .body = "{\"command\": \"true\", \"background\": true}"},
    {.operation = "postExecute", .status = 200, .accept = EVENTS, .body = "{\"command\": \"id\"}"},
    {.operation = "postExecute", .status = 200, .accept = LINES, .body = "{\"command\": \"id\"}"},
    {.operation = "postExplain", .status = 200, .filled = "network.domain",
     .body = "{\"command\": \"id\", \"tier\": \"Standard\", \"domain\": \"a.example\"}"},
    {.operation = "postExplain", .status = 200, .filled = "detail",
     .body = "{\"command\": \"id\", \"tier\": \"Unrestricted\"}"},

    {.operation = "postContainers", .status = 201, .filled = "session_id",
     .body = "{\"agent_id\": \"contract\", \"session_id\": \"2\", \"labels\": {\"a\": \"b\"}}"},
    {.operation = "postContainers", .status = 200, .filled = "labels",
     .body = "{\"agent_id\": \"contract\", \"session_id\": \"2\"}"},
    {.operation = "getContainers", .status = 200, .filled = "containers"},
    {.operation = "getContainers", .status = 200, .query = "limit=1", .filled = "next_cursor"},
    {.operation = "getContainersById", .status = 200, .filled = "started_at"},
    {.operation = "postContainersByIdStop", .status = 200},
    {.operation = "getContainersById", .status = 200},
    {.operation = "postContainersByIdStart", .status = 200},
    {.operation = "postContainersByIdRestart", .status = 200},
    {.operation = "postContainersByIdExec", .status = 200, .body = "{\"command\": \"id\"}"},
    {.operation = "postContainersByIdExec", .status = 202,
     .body = "{\"command\": \"true\", \"background\": true}"},
    {.operation = "postContainersByIdExec", .status = 200, .accept = EVENTS,
     .body = "{\"command\": \"id\"}"},
    {.operation = "postContainersByIdExec", .status = 200, .accept = LINES,
     .body = "{\"command\": \"id\"}"},
    {.operation = "postContainersByIdSnapshots", .status = 201, .body = "{\"name\": \"two\"}"},
    {.operation = "getContainersByIdSnapshots", .status = 200, .filled = "snapshots"},
    {.operation = "postContainersByIdSnapshotsBySidRollback", .status = 200},

    {.operation = "getAudit", .status = 200, .filled = "entries"},
    {.operation = "getAudit", .status = 200, .query = "kind=change", .filled = "entries"},
    {.operation = "getAudit", .status = 200, .accept = LINES},
    {.operation = "getAuditById", .status = 200, .filled = "hash"},
    {.operation = "getAuditByIdOutput", .status = 200},
    {.operation = "postAuditByIdKill", .status = 200, .prepare = with_background},
    {.operation = "getAuditById", .status = 200, .filled = "after", .prepare = with_change},
    {.operation = "getAuditSummary", .status = 200, .filled = "duration_ms.max"},
    {.operation = "postAuditCleanup", .status = 200, .body = "{\"older_than_days\": 3650}"},

    {.operation = "postTemplates", .status = 201,
     .body = "{\"name\": \"contract-image\", \"image\": \"localhost:1/none:latest\"}"},
    {.operation = "postTemplates", .status = 201,
     .body = "{\"name\": \"contract-file\", \"files\": {\"a/b\": \"text\"},"
             " \"dockerfile\": \"FROM sandbox-base:latest\\nCOPY a/b /b\\n\"}"},
    {.operation = "postTemplatesByIdBuild", .status = 202, .prepare = with_template},
    {.operation = "postTemplatesByIdPull", .status = 202, .prepare = with_image},
    {.operation = "getTemplatesById", .status = 200, .filled = "error", .prepare = after_jobs},
    {.operation = "getTemplatesByIdLog", .status = 200},
    {.operation = "getTemplates", .status = 200, .filled = "templates"},
    {.operation = "deleteTemplatesById", .status = 204},

    {.operation = "postTokens", .status = 201, .filled = "token",
     .body = "{\"user\": \"nobody\", \"name\": \"two\", \"expires_in_seconds\": 1}"},
    {.operation = "getTokens", .status = 200, .filled = "tokens"},
    {.operation = "deleteTokensById", .status = 204},

    {.operation = "deleteContainersByIdSnapshotsBySid", .status = 204},
    {.operation = "postContainersCleanup", .status = 200, .filled = "removed",
     .body = "{\"idle_seconds\": 0, \"dry_run\": true}"},
    {.operation = "deleteContainersById", .status = 204},
    /* clang-format on */
};

/* Lists that this machine would have nothing in: GPUs (of the double), and what is kept ready. */
static int
open_with_all(void **state)
{
    char self[PATH_MAX] = "", double_path[PATH_MAX], script[PATH_MAX + 256];

    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    *strrchr(self, '/') = '\0';
    host_path("nvml-two.so", double_path);
    assert_int_equal(host_shell("install -m 755 %s/nvml-double.so %s", self, double_path), 0);
    snprintf(script, sizeof(script),
             "s|^  library: [^ ]*|  library: %s|;"
             "/^pool:/,/targets:/s|enabled: false|enabled: true|;"
             "s|^  targets: \\[\\]|  targets: [{template: base, tier: Sandbox, count: 1}]|",
             double_path);
    yaml_edit("sandbox.yaml", script);
    warm_wait(1);
    return contract_open(state);
}

static int
close_with_all(void **state)
{
    int r = contract_close(state);

    host_shell("rm -f \"$SANDBOX_STATE\"/nvml-two.so");
    return r;
}

/* A line each has to be an entry, as the list's items are. */
static void
check_audit_lines(const struct reply *r)
{
    struct json_schema check = {.document = contract.document, .closed = true};
    const json_t *schema =
        json_schema_resolve(contract.document, "#/components/schemas/AuditEntry");
    _cleanup_(freep) char *copy = strdup(r->body);
    size_t count = 0;
    char *rest = NULL;

    assert_non_null(copy);
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        json_auto_t *entry = json_loads(line, 0, NULL);

        if (!entry || json_schema_check(&check, schema, entry) != 0)
            fail_msg("%s, in the line %s", entry ? check.why : "not JSON", line);
        count++;
    }
    assert_true(count > 0);
}

static void
check_filled(const struct reply *r, const struct example *e)
{
    const json_t *value = at(r, e->filled);

    if (json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ||
        (json_is_object(value) && json_object_size(value) == 0) ||
        (json_is_string(value) && json_string_length(value) == 0))
        fail_msg("%s: '%s' is empty: %s", e->operation, e->filled, r->body);
}

/* Send one, and note in @seen what it brought about: "getAudit 200 application/x-ndjson". */
static void
try_example(const struct example *e, json_t *seen)
{
    const struct operation op = contract_operation(e->operation);
    _cleanup_(freep) char *path = NULL, *with_query = NULL;
    char accept[64], note[256];
    struct reply r;

    print_message("    %s\n", e->operation);
    if (e->prepare)
        e->prepare();
    path = contract_path(&op, NULL, NULL);
    assert_true(
        asprintf(&with_query, "%s%s%s", path, e->query ? "?" : "", e->query ? e->query : "") > 0);
    snprintf(accept, sizeof(accept), "Accept: %s", e->accept ? e->accept : "*/*");
    r = call(op.user, op.method, with_query, e->body, accept, NULL);
    if (r.status != e->status)
        fail_msg("%s: %ld, not %ld: %s", e->operation, r.status, e->status, r.body);
    contract_check(&op, &r, e->body ? e->body : "no body");
    if (e->filled)
        check_filled(&r, e);
    if (strcmp(e->operation, "getAudit") == 0 && e->accept)
        check_audit_lines(&r);
    r.content_type[strcspn(r.content_type, ";")] = '\0';
    snprintf(note, sizeof(note), "%s %ld %s", e->operation, r.status, r.content_type);
    json_object_set_new(seen, note, json_true());
    reply_done(&r);
}

static json_t *seen;

/* Fail the test if a success of @op that is declared was not brought about. */
static void
check_seen(const struct operation *op)
{
    const char *status, *type;
    json_t *answer, *media;
    char note[256];

    json_object_foreach(json_object_get(op->json, "responses"), status, answer)
    {
        json_t *content = json_object_get(answer, "content");

        if (status[0] != '2')
            continue;
        snprintf(note, sizeof(note), "%s %s ", op->id, status);
        if (!content && !json_object_get(seen, note))
            fail_msg("there is no example for %s", note);
        json_object_foreach(content, type, media)
        {
            snprintf(note, sizeof(note), "%s %s %s", op->id, status, type);
            if (!json_object_get(seen, note))
                fail_msg("there is no example for %s", note);
        }
    }
}

static void
every_operation_answers_as_it_is_described(void **state)
{
    json_auto_t *notes = json_object();

    (void)state;
    seen = notes;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++)
        try_example(&examples[i], seen);
    contract_each(check_seen);
}

int
suite_contract(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_answers_as_it_is_described),
    };

    return cmocka_run_group_tests_name("contract", tests, open_with_all, close_with_all);
}
