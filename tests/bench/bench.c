/*
 * make bench: what one `sh -c 'echo hi'` costs, three ways in one run, interleaved, so that the
 * noise of the machine falls on all alike: through the API (HTTPS, keep-alive, two audit writes),
 * through Docker's exec API in the same container, and as a bare posix_spawn on the host. Then the
 * same through the API beside a container at full load, and the memory of the idle service. The
 * server is named by the environment that tests/with-server sets.
 */
#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>
#include <jansson.h>

#include "backend/buf.h"
#include "backend/cleanup.h"

enum {
    ROUNDS_DEFAULT = 300,
    BLOCK = 10,      /* rounds of one way before the next has its turn */
    SETTLE_MS = 200, /* before each block */
    WARM_UP = 2,     /* rounds at the start of each block that do not count */
    PATH_SIZE = 4096,
    REPLY_MAX = 1 << 20
};

extern char **environ;

/* The server, and what is asked of it. */
static struct {
    const char *url;
    const char *state;
    const char *cacert;
    char password[64];
    char docker_socket[PATH_SIZE + 32];
    char container[64]; /* the engine's name of the container that both use */
    char load[64];      /* the id of the container that makes the load */
    CURL *api;
    CURL *docker;
} bench;

/* One way to run the command. */
struct way {
    const char *name;
    void (*run)(void);
    double *ms; /* a time for each round */
};

static void
die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(EXIT_FAILURE);
}

static double
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The first line of the state directory's file @name. */
static void
read_line(const char *name, char *out, size_t size)
{
    char path[PATH_SIZE];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", bench.state, name);
    f = fopen(path, "re");
    if (!f || !fgets(out, (int)size, f))
        die(path);
    fclose(f);
    out[strcspn(out, "\n")] = '\0';
}

static size_t
take(char *data, size_t size, size_t count, void *arg)
{
    return buf_append(arg, data, size * count) < 0 ? 0 : size * count;
}

/* One request; the answer's body goes to @body. Returns the status. */
static long
request(CURL *curl, const char *url, const char *method, const char *json, struct buf *body)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    long status = 0;

    headers = curl_slist_append(headers, "Expect:");
    buf_clear(body);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (json)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json);
    else
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    if (curl_easy_perform(curl) != CURLE_OK)
        die(url);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    return status;
}

static void
run_api(void)
{
    _cleanup_(buf_done) struct buf body;
    char url[PATH_SIZE];

    buf_init(&body, REPLY_MAX);
    snprintf(url, sizeof(url), "%s/execute", bench.url);
    if (request(bench.api, url, "POST", "{\"command\":\"echo hi\",\"session_id\":\"bench\"}",
                &body) != 200 ||
        !strstr(body.data, "\"stdout\":\"hi\\n\""))
        die(body.data ? body.data : "no answer");
}

/* Docker's exec API: create, start (the output is read to its end), inspect. */
static void
run_docker(void)
{
    _cleanup_(buf_done) struct buf body;
    json_auto_t *created = NULL;
    const char *id;
    char url[PATH_SIZE];

    buf_init(&body, REPLY_MAX);
    snprintf(url, sizeof(url), "http://docker/containers/%s/exec", bench.container);
    if (request(bench.docker, url, "POST",
                "{\"Cmd\":[\"sh\",\"-c\",\"echo hi\"],\"User\":\"200000\","
                "\"AttachStdout\":true,\"AttachStderr\":true}",
                &body) != 201)
        die(body.data);
    created = json_loads(body.data, 0, NULL);
    id = json_string_value(json_object_get(created, "Id"));
    if (!id)
        die("docker: no exec id");
    snprintf(url, sizeof(url), "http://docker/exec/%s/start", id);
    if (request(bench.docker, url, "POST", "{\"Detach\":false,\"Tty\":false}", &body) != 200 ||
        !memmem(body.data, body.len, "hi\n", 3))
        die("docker: exec start");
    snprintf(url, sizeof(url), "http://docker/exec/%s/json", id);
    if (request(bench.docker, url, "GET", NULL, &body) != 200 ||
        !strstr(body.data, "\"ExitCode\":0"))
        die("docker: exec inspect");
}

static void
run_spawn(void)
{
    char sh[] = "/bin/sh", flag[] = "-c", command[] = "echo hi";
    char *argv[] = {sh, flag, command, NULL};
    posix_spawn_file_actions_t actions;
    int out[2], status;
    char text[16];
    ssize_t n;
    pid_t pid;

    if (pipe(out) < 0)
        die("pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, out[0]);
    posix_spawn_file_actions_addclose(&actions, out[1]);
    if (posix_spawn(&pid, sh, &actions, NULL, argv, environ) != 0)
        die("posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    n = read(out[0], text, sizeof(text));
    if (n != 3 || waitpid(pid, &status, 0) != pid || status != 0)
        die("spawned sh");
    close(out[0]);
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
percentile(const struct way *w, int rounds, int percent)
{
    return w->ms[(rounds - 1) * percent / 100];
}

static void
print_rows(const struct way *ways, size_t count, int rounds)
{
    const double base = percentile(&ways[0], rounds, 50);

    for (size_t i = 0; i < count; i++)
        printf("%-38s %9.2f %9.2f %9.2f %13.2fx\n", ways[i].name, percentile(&ways[i], rounds, 50),
               percentile(&ways[i], rounds, 95), percentile(&ways[i], rounds, 99),
               percentile(&ways[i], rounds, 50) / base);
}

/* What the neighbour does. */
static const struct {
    const char *name;
    const char *command;
} loads[] = {
    {"beside nobody", NULL},
    {"beside busy loops", "while :; do :; done & while :; do :; done"},
    {"beside forks", "while :; do /bin/true; done & while :; do (:) ; done"},
    {"beside writes", "while :; do head -c 64m /dev/zero > ~/io; sync; rm ~/io; done"},
    {"beside memory churn", "while :; do head -c 200m /dev/zero | tail -c 200m | wc -c; done"},
};

/* POST @json to @path, and the answer's member @member. */
static void
post(const char *path, const char *json, const char *member, char *out, size_t size)
{
    _cleanup_(buf_done) struct buf body;
    json_auto_t *answer = NULL;
    const char *text;
    char url[PATH_SIZE];

    buf_init(&body, REPLY_MAX);
    snprintf(url, sizeof(url), "%s%s", bench.url, path);
    if (request(bench.api, url, "POST", json, &body) / 100 != 2)
        die(body.data ? body.data : "no answer");
    answer = json_loads(body.data, 0, NULL);
    text = json_string_value(json_object_get(answer, member));
    snprintf(out, size, "%s", text ? text : "");
}

/* Have the load's container run @command (NULL: nothing). */
static void
load_start(const char *command, char id[64])
{
    json_auto_t *json = json_pack("{s:s*, s:b}", "command", command, "background", 1);
    _cleanup_(freep) char *text = json_dumps(json, 0);
    char path[128];

    id[0] = '\0';
    if (!command)
        return;
    snprintf(path, sizeof(path), "/containers/%s/exec", bench.load);
    post(path, text, "id", id, 64);
}

static void
load_end(const char *id)
{
    char path[128], status[64];

    snprintf(path, sizeof(path), "/audit/%s/kill", id);
    if (id[0])
        post(path, "{}", "status", status, sizeof(status));
}

static long
pss_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "Pss: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

static pid_t
parent_of(pid_t pid)
{
    char path[64];
    int parent = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (f && fscanf(f, "%*d (%*[^)]) %*c %d", &parent) != 1)
        parent = 0;
    if (f)
        fclose(f);
    return parent;
}

/* The proportional set size of the process in @pid_file and its children, and how many they are. */
static long
tree_pss_kib(const char *pid_file, int *ret_processes)
{
    char text[32];
    pid_t root;
    long kib;
    const struct dirent *entry;
    DIR *proc;

    read_line(pid_file, text, sizeof(text));
    root = (pid_t)strtol(text, NULL, 10);
    kib = pss_kib(root);
    *ret_processes = 1;
    proc = opendir("/proc");
    while (proc && (entry = readdir(proc))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid <= 0 || parent_of(pid) != root)
            continue;
        kib += pss_kib(pid);
        ++*ret_processes;
    }
    if (proc)
        closedir(proc);
    return kib;
}

static void
print_memory(void)
{
    int ours, nginx;
    long ours_kib = tree_pss_kib("run/sandboxd.pid", &ours);
    long nginx_kib = tree_pss_kib("nginx/nginx.pid", &nginx);

    printf("%-38s %9s %9s\n", "memory of the idle service", "PSS MB", "processes");
    printf("%-38s %9.1f %9d\n", "sandboxd, all roles", (double)ours_kib / 1024, ours);
    printf("%-38s %9.1f %9d\n", "nginx", (double)nginx_kib / 1024, nginx);
    printf("%-38s %9.1f %9d\n", "both", (double)(ours_kib + nginx_kib) / 1024, ours + nginx);
}

/* The socket of the engine that the server uses, as the start-up scripts noted it. */
static void
find_docker(void)
{
    char engine[PATH_SIZE];

    read_line("engine", engine, sizeof(engine));
    if (strncmp(engine, "unix://", 7) == 0)
        snprintf(bench.docker_socket, sizeof(bench.docker_socket), "%s", engine + 7);
    else
        snprintf(bench.docker_socket, sizeof(bench.docker_socket), "%s/docker/docker.sock",
                 bench.state);
}

static void
connect_all(void)
{
    char instance[32];
    json_auto_t *json = NULL;
    _cleanup_(buf_done) struct buf body;
    char url[PATH_SIZE];

    read_line("admin-password", bench.password, sizeof(bench.password));
    read_line("instance", instance, sizeof(instance));
    find_docker();
    bench.api = curl_easy_init();
    bench.docker = curl_easy_init();
    if (!bench.api || !bench.docker)
        die("curl");
    curl_easy_setopt(bench.api, CURLOPT_CAINFO, bench.cacert);
    curl_easy_setopt(bench.api, CURLOPT_USERNAME, "admin");
    curl_easy_setopt(bench.api, CURLOPT_PASSWORD, bench.password);
    curl_easy_setopt(bench.api, CURLOPT_PROXY, "");
    curl_easy_setopt(bench.docker, CURLOPT_UNIX_SOCKET_PATH, bench.docker_socket);
    buf_init(&body, REPLY_MAX);
    snprintf(url, sizeof(url), "%s/containers", bench.url);
    if (request(bench.api, url, "POST", "{\"session_id\":\"bench\"}", &body) / 100 != 2)
        die(body.data);
    json = json_loads(body.data, 0, NULL);
    snprintf(bench.container, sizeof(bench.container), "%s-%s",
             json_string_value(json_object_get(json, "id")), instance);
}

/* Time the rounds from @first to before @end. */
static void
run_block(struct way *w, int first, int end)
{
    const struct timespec settle = {.tv_nsec = SETTLE_MS * 1000000L};

    nanosleep(&settle, NULL);
    for (int round = first - WARM_UP; round < end; round++) {
        double start = now_ms();

        w->run();
        if (round >= first)
            w->ms[round] = now_ms() - start;
    }
}

/* The API beside each load, in turns; the load has one core's time of the machine's. */
static void
measure_neighbours(int rounds)
{
    struct way ways[ARRAY_LEN(loads)];
    char id[64];

    post("/containers", "{\"session_id\":\"load\",\"agent_id\":\"load\",\"tier\":\"Standard\"}",
         "id", bench.load, sizeof(bench.load));
    for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
        ways[i] = (struct way){loads[i].name, run_api, calloc((size_t)rounds, sizeof(double))};
        if (!ways[i].ms)
            die("out of memory");
    }
    for (int first = 0; first < rounds; first += BLOCK)
        for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
            load_start(loads[i].command, id);
            run_block(&ways[i], first, first + BLOCK < rounds ? first + BLOCK : rounds);
            load_end(id);
        }
    for (size_t i = 0; i < ARRAY_LEN(loads); i++)
        qsort(ways[i].ms, (size_t)rounds, sizeof(double), by_value);
    printf("\n%-38s %9s %9s %9s %14s\n", "neighbour, 1 core's time each", "p50 ms", "p95 ms",
           "p99 ms", "p50 over alone");
    print_rows(ways, ARRAY_LEN(loads), rounds);
    printf("(the load may use 1 of %ld cores)\n\n", sysconf(_SC_NPROCESSORS_ONLN));
    for (size_t i = 0; i < ARRAY_LEN(loads); i++)
        free(ways[i].ms);
}

int
main(int argc, char **argv)
{
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    struct way ways[] = {
        {"POST execute over HTTPS, audited", run_api, NULL},
        {"Docker exec API, same container", run_docker, NULL},
        {"posix_spawn on the host", run_spawn, NULL},
    };

    bench.url = getenv("SANDBOX_URL");
    bench.state = getenv("SANDBOX_STATE");
    bench.cacert = getenv("SANDBOX_CACERT");
    if (!bench.url || !bench.state || !bench.cacert || rounds < 10)
        die("run it by tests/with-server");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    connect_all();
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        ways[i].ms = calloc((size_t)rounds, sizeof(double));
        if (!ways[i].ms)
            die("out of memory");
    }
    for (int first = 0; first < rounds; first += BLOCK)
        for (size_t i = 0; i < ARRAY_LEN(ways); i++)
            run_block(&ways[i], first, first + BLOCK < rounds ? first + BLOCK : rounds);
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        qsort(ways[i].ms, (size_t)rounds, sizeof(double), by_value);
    printf("%d rounds, interleaved in blocks of %d\n\n", rounds, BLOCK);
    printf("%-38s %9s %9s %9s %14s\n", "sh -c 'echo hi'", "p50 ms", "p95 ms", "p99 ms",
           "p50 over ours");
    print_rows(ways, ARRAY_LEN(ways), rounds);
    measure_neighbours(rounds);
    print_memory();
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        free(ways[i].ms);
    curl_easy_cleanup(bench.api);
    curl_easy_cleanup(bench.docker);
    return EXIT_SUCCESS;
}
