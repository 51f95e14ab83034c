/* See tenants.h. */
#include "tests/test.h"

#include "tests/api/tenants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/buf.h"
#include "backend/cleanup.h"

enum { ANSWER_MAX = 8 << 20 };

struct tenant tenant_alice, tenant_bob;

/* Note the id in an answer that has to be @status. */
static void
take_id(struct reply r, long status, char ret[STEP_ID_SIZE])
{
    assert_status(&r, status);
    snprintf(ret, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

static void
take_newest_change(char ret[STEP_ID_SIZE])
{
    struct reply r = fetch(ALICE, "/audit?kind=change&limit=1");

    snprintf(ret, STEP_ID_SIZE, "%s", text_at(&r, "entries.0.id"));
    reply_done(&r);
}

static void
make_containers(void)
{
    static const char *const bodies[TENANT_CONTAINERS] = {
        "{\"agent_id\": \"" NEEDLE "-a\", \"session_id\": \"" NEEDLE "-s\","
        " \"labels\": {\"" NEEDLE "-k\": \"" NEEDLE "-v\"}}",
        "{\"agent_id\": \"" NEEDLE "-a\", \"scope\": \"agent\", \"tier\": \"Standard\"}",
        "{\"scope\": \"shared\"}",
        "{\"agent_id\": \"" NEEDLE "-a\", \"session_id\": \"" NEEDLE "-stopped\"}",
    };
    struct reply r;

    for (size_t i = 0; i < TENANT_CONTAINERS; i++)
        make_container(ALICE, bodies[i], tenant_alice.containers[i]);
    r = act(ALICE, "POST", "/containers/%s/stop", tenant_alice.containers[3]);
    assert_status(&r, 200);
    reply_done(&r);
}

void
tenant_make_alice(void)
{
    struct tenant *t = &tenant_alice;
    _cleanup_(freep) char *path = NULL;

    make_containers();
    take_id(execute(ALICE, "{s:s, s:s, s:s, s:s, s:{s:s}}", "agent_id", NEEDLE "-a", "session_id",
                    NEEDLE "-s", "command", "echo " NEEDLE "-out; cat; echo $V >&2", "stdin",
                    NEEDLE "-in", "env", "V", NEEDLE "-env"),
            200, t->entries[0]);
    take_id(execute(ALICE, "{s:s, s:s, s:s}", "agent_id", NEEDLE "-a", "session_id", NEEDLE "-s",
                    "command", "exit 3; " NEEDLE),
            200, t->entries[1]);
    take_id(execute(ALICE, "{s:s, s:s}", "agent_id", NEEDLE "-one", "command", "echo " NEEDLE), 200,
            t->entries[2]);
    take_id(execute(ALICE, "{s:s, s:s, s:s, s:b}", "agent_id", NEEDLE "-a", "session_id",
                    NEEDLE "-s", "command", "echo " NEEDLE "; sleep 600", "background", 1),
            202, t->entries[3]);
    take_newest_change(t->entries[4]);
    assert_true(asprintf(&path, "/containers/%s/snapshots", t->containers[0]) > 0);
    take_id(call(ALICE, "POST", path, "{\"name\": \"" NEEDLE "-snapshot\"}", NULL), 201,
            t->snapshot);
}

void
tenant_make_bob(void)
{
    struct tenant *t = &tenant_bob;

    make_container(BOB, "{\"agent_id\": \"own\", \"session_id\": \"own\"}", t->containers[0]);
    take_id(execute(BOB, "{s:s, s:s, s:s}", "agent_id", "own", "session_id", "own", "command",
                    "echo own"),
            200, t->entries[0]);
    take_id(act(BOB, "POST", "/containers/%s/snapshots", t->containers[0]), 201, t->snapshot);
}

static size_t
take(char *data, size_t size, size_t count, void *arg)
{
    return buf_append(arg, data, size * count) < 0 ? 0 : size * count;
}

static size_t
take_header(char *line, size_t size, size_t count, void *arg)
{
    return strncasecmp(line, "Date:", 5) == 0 ? size * count : take(line, size, count, arg);
}

struct raw
tenant_ask(const char *user, const char *method, const char *path, const char *body,
           const char *accept, const char *key)
{
    const char *const lines[] = {"X-Request-Id: tenant", "Expect:", accept, key,
                                 body ? "Content-Type: application/json" : NULL};
    CURL *curl = client_handle(user, path);
    struct curl_slist *headers = NULL;
    struct raw r = {0};
    struct buf text;

    buf_init(&text, ANSWER_MAX);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        headers = lines[i] ? curl_slist_append(headers, lines[i]) : headers;
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    if (body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &text);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &r.status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    assert_true(text.len > 0);
    r.text = buf_take(&text);
    return r;
}

static void
assert_without(const struct raw *r, const char *word, const char *what)
{
    if (word[0] && strcasestr(r->text, word))
        fail_msg("%s: bob sees '%s': %s", what, word, r->text);
}

void
tenant_assert_clean(const struct raw *r, const char *what)
{
    const struct tenant *t = &tenant_alice;

    assert_without(r, NEEDLE, what);
    assert_without(r, ALICE, what);
    for (size_t i = 0; i < TENANT_CONTAINERS; i++)
        assert_without(r, t->containers[i], what);
    for (size_t i = 0; i < TENANT_ENTRIES; i++)
        assert_without(r, t->entries[i], what);
    assert_without(r, t->snapshot, what);
}

json_t *
tenant_state(void)
{
    struct reply ran = fetch(ALICE, "/audit?limit=500"), did = fetch(ALICE, "/audit?kind=change");
    struct reply kept = act(ALICE, "GET", "/containers/%s/snapshots", tenant_alice.containers[0]);
    struct reply list = fetch(ALICE, "/containers");
    json_t *containers = json_object(), *item, *all;
    size_t i;

    json_array_foreach(at(&list, "containers"), i, item)
        json_object_set(containers, json_string_value(json_object_get(item, "id")),
                        json_object_get(item, "status"));
    all = json_pack("{s:O, s:O, s:O, s:o}", "ran", at(&ran, "entries"), "did", at(&did, "entries"),
                    "kept", at(&kept, "snapshots"), "containers", containers);
    assert_non_null(all);
    reply_done(&ran);
    reply_done(&did);
    reply_done(&kept);
    reply_done(&list);
    return all;
}
