/* The server's processes, files and engine: see host.h. */
#include "tests/test.h"

#include "tests/api/host.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"

const char *
host_path(const char *name, char out[PATH_MAX])
{
    assert_true(snprintf(out, PATH_MAX, "%s/%s", getenv("SANDBOX_STATE"), name) < PATH_MAX);
    return out;
}

bool
host_runs(pid_t pid)
{
    _cleanup_(freep) char *state = host_status(pid, "State");

    return state && state[0] != 'Z' && state[0] != 'X';
}

pid_t
host_pid_file(const char *name)
{
    _cleanup_(freep) char *text = state_file(name);
    pid_t pid = text ? (pid_t)strtol(text, NULL, 10) : 0;

    return pid > 0 && host_runs(pid) ? pid : 0;
}

char *
host_status(pid_t pid, const char *key)
{
    char path[64];
    char line[512];
    size_t len = strlen(key);
    char *value = NULL;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    f = fopen(path, "re");
    while (f && !value && fgets(line, sizeof(line), f)) {
        if (strncmp(line, key, len) != 0 || line[len] != ':')
            continue;
        line[strcspn(line, "\n")] = '\0';
        value = strdup(line + len + 1 + strspn(line + len + 1, " \t"));
    }
    if (f)
        fclose(f);
    return value;
}

static bool
is_child_of(pid_t pid, pid_t parent)
{
    _cleanup_(freep) char *text = host_status(pid, "PPid");

    return text && host_runs(pid) && strtol(text, NULL, 10) == parent;
}

struct pids
host_role(const char *role)
{
    _cleanup_(freep) char *log = state_file("log/sandboxd.log");
    pid_t manager = host_pid_file("run/sandboxd.pid");
    struct pids pids = {0};
    char words[64];

    snprintf(words, sizeof(words), "started the %s, pid ", role);
    for (char *p = log ? strstr(log, words) : NULL; p; p = strstr(p + 1, words)) {
        pid_t pid = (pid_t)strtol(p + strlen(words), NULL, 10);

        if (is_child_of(pid, manager) && pids.count < HOST_PIDS_MAX)
            pids.list[pids.count++] = pid;
    }
    return pids;
}

struct role_wanted {
    const char *role;
    size_t count;
    pid_t not ;
};

static bool
role_is_there(void *arg)
{
    const struct role_wanted *wanted = arg;
    struct pids pids = host_role(wanted->role);

    for (size_t i = 0; i < pids.count; i++)
        if (pids.list[i] == wanted->not )
            return false;
    return pids.count == wanted->count;
}

void
host_wait_role(const char *role, size_t count, pid_t not )
{
    struct role_wanted wanted = {role, count, not };

    wait_until(role_is_there, &wanted, 60, role);
}

long
host_workers_private_kib(void)
{
    struct pids workers = host_role("worker");
    long sum = 0, kib;
    char path[64];
    char line[256];

    for (size_t i = 0; i < workers.count; i++) {
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)workers.list[i]);
        f = fopen(path, "re");
        assert_non_null(f);
        while (fgets(line, sizeof(line), f))
            if (sscanf(line, "Private_%*[A-Za-z]: %ld", &kib) == 1)
                sum += kib;
        fclose(f);
    }
    return sum;
}

void
host_write(const char *name, const char *text)
{
    char path[PATH_MAX], new_path[PATH_MAX + 8];
    FILE *f;

    host_path(name, path);
    snprintf(new_path, sizeof(new_path), "%s.new", path);
    f = fopen(new_path, "we");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(new_path, path), 0);
}

int
host_shell(const char *format, ...)
{
    char command[4 * PATH_MAX];
    va_list ap;
    int status;

    va_start(ap, format);
    assert_true(vsnprintf(command, sizeof(command), format, ap) < (int)sizeof(command));
    va_end(ap);
    status = system(command); /* NOLINT(cert-env33-c): the test's own words */
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct reply
host_engine(const char *method, const char *path, const char *body)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct reply r = {0};
    FILE *out = open_memstream(&r.body, &r.body_len);
    char url[1024], socket[PATH_MAX];

    assert_non_null(curl);
    assert_non_null(out);
    snprintf(url, sizeof(url), "http://docker%s", path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, host_path("docker/docker.sock", socket));
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    if (body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &r.status);
    fclose(out);
    r.json = json_loadb(r.body, r.body_len, 0, NULL);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return r;
}

void
host_engine_name(const char *id, char *out, size_t size)
{
    _cleanup_(freep) char *instance = state_file("instance");

    assert_non_null(instance);
    snprintf(out, size, "%s-%s", id, instance);
}

bool
host_engine_has(const char *id)
{
    char name[128], path[192];
    struct reply r;
    bool has;

    host_engine_name(id, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s/json", name);
    r = host_engine("GET", path, NULL);
    if (r.status != 200 && r.status != 404)
        fail_msg("the engine says %ld: %s", r.status, r.body);
    has = r.status == 200;
    reply_done(&r);
    return has;
}

void
host_nudge_janitor(void)
{
    struct pids janitors = host_role("janitor");

    assert_int_equal(janitors.count, 1);
    assert_int_equal(kill(janitors.list[0], SIGUSR2), 0);
}

bool
host_answers(void *ignored)
{
    struct reply r = call(ADMIN, "GET", "/status", NULL, NULL);
    bool answers = r.status == 200;

    (void)ignored;
    reply_done(&r);
    return answers;
}

void
host_kill_service(void)
{
    static const char *const roles[] = {"worker", "janitor", "broker", "builder"};
    pid_t manager = host_pid_file("run/sandboxd.pid");

    assert_true(manager > 0);
    assert_int_equal(host_shell("cp /proc/%d/cmdline \"$SANDBOX_STATE/cmdline\"", (int)manager), 0);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        struct pids pids = host_role(roles[i]);

        for (size_t k = 0; k < pids.count; k++)
            kill(pids.list[k], SIGKILL);
    }
    assert_int_equal(kill(manager, SIGKILL), 0);
    while (host_runs(manager))
        usleep(10000);
    assert_int_equal(host_shell("cd / && xargs -0 -a \"$SANDBOX_STATE/cmdline\" setsid --fork "
                                "</dev/null >>\"$SANDBOX_STATE/log/sandboxd.log\" 2>&1"),
                     0);
}
