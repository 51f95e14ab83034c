/* `sandboxd check`: see check_command.h. */
#include "fcgi/check_command.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "backend/checkup.h"
#include "backend/config/settings.h"
#include "backend/store/store.h"
#include "backend/warnings.h"
#include "fcgi/check_state.h"

static int
usage(void)
{
    fputs("usage: sandboxd check DIR|--state DIR [--docker HOST]\n", stderr);
    return 2;
}

static void
print_counts(const struct settings *s)
{
    printf("settings: ok (sandbox.yaml, tiers.yaml, templates.yaml, access.yaml)\n"
           "tiers: %zu\n"
           "templates: %zu\n"
           "users: %zu\n"
           "sqlite: %s\n",
           s->tiers.count, s->templates.count, s->users.count, store_library_version());
}

static void
print_each(FILE *to, const char *prefix, const json_t *sentences)
{
    json_t *sentence;
    size_t i;

    json_array_foreach(sentences, i, sentence)
    {
        fprintf(to, "%s%s\n", prefix, json_string_value(sentence));
    }
}

/* Every mistake of the file with the first one, each with its place. */
static void
print_mistakes(const struct error *err)
{
    int name_len = (int)strcspn(err->msg, ":");

    fprintf(stderr, "%s%s%s\n", err->msg, err->detail[0] ? ": " : "", err->detail);
    for (size_t i = 1; i < err->violation_count; i++) {
        const struct violation *v = &err->violations[i];

        fprintf(stderr, "%.*s:%u:%u: %s%s%s\n", name_len, err->msg, v->line, v->column, v->pointer,
                v->pointer[0] ? ": " : "", v->detail);
    }
}

/* What an admin should know; NULL where memory is short. */
static json_t *
find_warnings(const struct settings *s, const struct engine_info *engine)
{
    json_auto_t *list = warnings_of_versions(engine);
    json_auto_t *networks = warnings_of_networks(s, engine);

    return json_array_extend(list, networks) == 0 && checkup_nameservers(s, list) == 0 ? TAKE(list)
                                                                                       : NULL;
}

/* What the engine says, and what is to be said of it and of the machine. Returns the exit status.
 */
static int
check_machine(const struct settings *s, const char *docker_host)
{
    struct engine_info engine = {0};
    struct error err = {0};
    bool answers = checkup_engine(docker_host, &engine, &err) == 0;
    json_auto_t *warnings = find_warnings(s, answers ? &engine : NULL);
    json_auto_t *refusals = answers ? warnings_of_refusals(s, &engine) : json_array();
    json_auto_t *arguments = answers ? warnings_of_arguments(s, &engine) : json_array();

    if (!warnings || !refusals || !arguments) {
        fputs("sandboxd: out of memory\n", stderr);
        return 1;
    }
    if (answers)
        printf("engine: %s (runc %s, kernel %s)\n", engine.version, engine.runc, engine.kernel);
    else
        printf("warning: %s: %s; tiers' runtimes are not checked\n", docker_host, err.msg);
    print_each(stdout, "warning: ", warnings);
    print_each(stdout, "warning: ", arguments);
    print_each(stderr, "", refusals);
    return json_array_size(refusals) > 0 ? 1 : 0;
}

/* What files and accounts say; @state NULL: only the YAML is there. Returns the exit status. */
static int
check_files(const struct settings *s, const char *yaml_dir, const char *state)
{
    json_auto_t *warnings = json_array();
    json_auto_t *refusals = json_array();

    if (check_yaml_files(yaml_dir, s, warnings, refusals) < 0 ||
        (state && check_state(state, s, warnings, refusals) < 0)) {
        fputs("sandboxd: out of memory\n", stderr);
        return 1;
    }
    print_each(stdout, "warning: ", warnings);
    print_each(stderr, "", refusals);
    return json_array_size(refusals) > 0 ? 1 : 0;
}

int
check_command(int argc, char **argv, const char *docker_host)
{
    static const struct option options[] = {
        {"docker", required_argument, NULL, 'd'},
        {"state", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    _cleanup_(settings_unrefp) struct settings *settings = NULL;
    const char *state = NULL;
    char yaml_dir[PATH_MAX];
    struct error err = {0};
    int option, files, machine;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT: no threads */
        if (option == 'd')
            docker_host = optarg;
        else if (option == 's')
            state = optarg;
        else
            return usage();
    }
    if (optind != argc - (state ? 0 : 1))
        return usage();
    snprintf(yaml_dir, sizeof(yaml_dir), "%s%s", state ? state : argv[optind],
             state ? "/yaml" : "");
    if (settings_load(yaml_dir, NULL, &settings, &err) < 0) {
        print_mistakes(&err);
        return 1;
    }
    print_counts(settings);
    files = check_files(settings, yaml_dir, state);
    machine = check_machine(settings, docker_host);
    return files || machine;
}
