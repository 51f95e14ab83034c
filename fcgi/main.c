/* The program's subcommands. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/backend.h"
#include "backend/cleanup.h"
#include "backend/nvml.h"
#include "fcgi/audit_command.h"
#include "fcgi/check_command.h"
#include "fcgi/explain_command.h"
#include "fcgi/manager.h"
#include "fcgi/token_command.h"
#include "handlers/json.h"
#include "handlers/openapi/openapi.h"
#include "handlers/routes.h"

#define DEFAULT_DOCKER "unix:///var/run/docker.sock"

static const char usage_text[] =
    "usage: sandboxd run --state DIR [--docker HOST] [--guest PATH]\n"
    "       sandboxd check DIR|--state DIR [--docker HOST]\n"
    "                               validate the YAML files in DIR (or DIR/yaml), and look at the\n"
    "                               engine, at who may read what, and at the service's sockets\n"
    "       sandboxd gpu [LIBRARY]  show what NVIDIA's library says, as JSON\n"
    "       sandboxd audit verify|export --state DIR\n"
    "       sandboxd token add|list|revoke --state DIR\n"
    "       sandboxd explain --state DIR --user NAME [--tier T] [--agent A] [--template T]\n"
    "                        [--sandbox] [--domain D]\n"
    "                               what an execution would meet, and which rule decides\n"
    "       sandboxd openapi        print the API's description, as GET openapi.json answers it\n"
    "       sandboxd version\n"
    "\n"
    "  --state DIR    where everything is kept; DIR/yaml holds the settings\n"
    "  --docker HOST  unix:///path or tcp://host:port (default: $DOCKER_HOST, else\n"
    "                 " DEFAULT_DOCKER ")\n"
    "  --guest PATH   the program sandbox-guest (default: the one beside sandboxd)\n";

static int
usage(void)
{
    fputs(usage_text, stderr);
    return 2;
}

/* Write the path of sandbox-guest beside this program to @out. Returns 0 or a negative errno. */
static int
default_guest(char out[PATH_MAX])
{
    static const char name[] = "sandbox-guest";
    ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);
    char *slash;

    if (len < 0)
        return -errno;
    out[len] = '\0';
    slash = strrchr(out, '/');
    if (!slash || (size_t)(slash + 1 - out) + sizeof(name) > PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(slash + 1, name, sizeof(name));
    return 0;
}

/* Make @given absolute in @out; it must exist. Says on stderr what is wrong. */
static bool
absolute(const char *given, const char *what, char out[PATH_MAX])
{
    char text[96];

    if (realpath(given, out))
        return true;
    fprintf(stderr, "sandboxd: %s %s: %s\n", what, given, strerror_r(errno, text, sizeof(text)));
    return false;
}

/* The engine's address where no option names one. Borrowed from the environment. */
static const char *
default_docker(void)
{
    const char *docker = getenv("DOCKER_HOST"); /* NOLINT(concurrency-mt-unsafe): no threads here */

    return docker && docker[0] ? docker : DEFAULT_DOCKER;
}

static int
run(int argc, char **argv)
{
    static const struct option options[] = {
        {"state", required_argument, NULL, 's'},
        {"docker", required_argument, NULL, 'd'},
        {"guest", required_argument, NULL, 'g'},
        {NULL, 0, NULL, 0},
    };
    static char state_path[PATH_MAX], guest_path[PATH_MAX], guest_beside[PATH_MAX];
    const char *state = NULL, *guest = NULL;
    const char *docker = default_docker();
    struct service_context ctx = {0};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT: no threads */
        if (option == 's')
            state = optarg;
        else if (option == 'd')
            docker = optarg;
        else if (option == 'g')
            guest = optarg;
        else
            return usage();
    }
    if (!state || optind != argc)
        return usage();
    if (!guest && default_guest(guest_beside) == 0)
        guest = guest_beside;
    if (!absolute(state, "--state", state_path) ||
        !absolute(guest ? guest : "sandbox-guest", "--guest", guest_path))
        return 1;
    ctx.state_dir = state_path;
    ctx.docker_host = docker;
    ctx.guest_binary = guest_path;
    return manager_run(&ctx);
}

static int
openapi(void)
{
    json_auto_t *document = openapi_document(route_tables);
    _cleanup_(freep) char *text = document ? json_print(document) : NULL;

    if (!text)
        fputs("sandboxd: out of memory\n", stderr);
    return text && puts(text) >= 0 && fflush(stdout) == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (strcmp(command, "run") == 0)
        return run(argc - 1, argv + 1);
    if (strcmp(command, "check") == 0)
        return check_command(argc - 1, argv + 1, default_docker());
    if (strcmp(command, "gpu") == 0 && argc <= 3)
        return nvml_main(argc == 3 ? argv[2] : "libnvidia-ml.so.1");
    if (strcmp(command, "audit") == 0)
        return audit_command(argc - 1, argv + 1);
    if (strcmp(command, "token") == 0)
        return token_command(argc - 1, argv + 1);
    if (strcmp(command, "explain") == 0)
        return explain_command(argc - 1, argv + 1);
    if (strcmp(command, "openapi") == 0 && argc == 2)
        return openapi();
    if (strcmp(command, "version") == 0 && argc == 2) {
        puts("sandboxd " SANDBOXD_VERSION);
        return 0;
    }
    return usage();
}
