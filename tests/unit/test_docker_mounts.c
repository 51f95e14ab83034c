/*
 * What the engine says is mounted in a container that it made: our binds, and the volumes of its
 * image where they are in nobody's way.
 */
#include "tests/unit/posture_case.h"

#define NAME "0b77b9de844089f6ab750415d5a70375f390a6d8083b0547bb2c0d215047edd1"
#define VOLUME(name, driver, target)                                                               \
    "{\"Type\":\"volume\",\"Name\":\"" name "\",\"Driver\":\"" driver                              \
    "\",\"Destination\":\"" target                                                                 \
    "\",\"Source\":\"/var/lib/docker/volumes/x/_data\",\"RW\":true}"
#define OWN(target) VOLUME(NAME, "local", target)
#define BIND(source, target, rw, propagation)                                                      \
    "{\"Type\":\"bind\",\"Source\":\"" source "\",\"Destination\":\"" target "\",\"RW\":" rw       \
    ",\"Propagation\":\"" propagation "\"}"

/* What is mounted; the image declares what its VOLUMEs are. @words: of the refusal, NULL: none. */
/* clang-format off */
static const struct mount_case {
    const char *mount, *volumes, *words;
} mount_cases[] = {
    {OWN("/data"), "{\"/data\":{}}", NULL},
    {OWN("/data"), "{\"/data/\":{},\"/other\":{}}", NULL},
    {OWN("/home/sandbox"), "{\"/home/sandbox\":{}}", NULL},
    {OWN("/workspace2"), "{\"/workspace2\":{}}", NULL},
    {OWN("/data"), "{}", "(Mounts)"},
    {OWN("/data"), "null", "(Mounts)"},
    {OWN("/data"), "{\"/dat\":{}}", "(Mounts)"},
    {OWN("/data"), "{\"/data/x\":{}}", "(Mounts)"},
    {VOLUME("shared", "local", "/data"), "{\"/data\":{}}", "(Mounts)"},
    {VOLUME("", "local", "/data"), "{\"/data\":{}}", "(Mounts)"},
    {VOLUME(NAME, "nfs", "/data"), "{\"/data\":{}}", "(Mounts)"},
    {OWN("/workspace/node_modules"), "{\"/workspace/node_modules\":{}}", "'/workspace/node_modules'"},
    {OWN("/workspace"), "{\"/workspace\":{}}", "VOLUME"},
    {OWN("/.sandbox"), "{\"/.sandbox\":{}}", "VOLUME"},
    {OWN("/.sandbox/run/guest"), "{\"/.sandbox/run/guest\":{}}", "VOLUME"},
    {OWN("/tmp"), "{\"/tmp\":{}}", "VOLUME"},
    {OWN("/tmp/x"), "{\"/tmp/x\":{}}", "VOLUME"},
    {OWN("/dev/shm"), "{\"/dev/shm\":{}}", "VOLUME"},
    {OWN("/proc/sys"), "{\"/proc/sys\":{}}", "VOLUME"},
    {OWN("/sys/fs/cgroup"), "{\"/sys/fs/cgroup\":{}}", "VOLUME"},
    {BIND("/", "/host", "true", "rprivate"), "{}", "(Mounts)"},
    {BIND("/srv", "/.sandbox/run2", "true", "rprivate"), "{}", "(Mounts)"},
    {BIND("/srv", "/.sandbox/run", "true", "rshared"), "{}", "(Mounts)"},
    {BIND("/etc", "/.sandbox/run", "true", "rprivate"), "{}", "(Mounts)"},
    {BIND("/bin/true", "/.sandbox/guest", "true", "rprivate"), "{}", "(Mounts)"},
    {"{\"Type\":\"tmpfs\",\"Destination\":\"/x\"}", "{\"/x\":{}}", "(Mounts)"},
    {"{\"Type\":\"npipe\"}", "{}", "(Mounts)"},
    {"{}", "{}", "(Mounts)"},
    {"null", "{}", "(Mounts)"},
};
/* clang-format on */

static void
test_mounts_are_what_was_asked_and_the_image_s_own_volumes(void **state)
{
    struct pair p = pair_of(&recordings[0]);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(mount_cases); i++) {
        const struct mount_case *c = &mount_cases[i];
        json_auto_t *made = with(p.made, "Config.Volumes", c->volumes);
        struct error err = {0};
        int r;

        json_array_append_new(json_object_get(made, "Mounts"),
                              json_loads(c->mount, JSON_DECODE_ANY, NULL));
        r = docker_posture_check(made, p.body, &err);
        if (r != (c->words ? -EREMOTEIO : 0) || (c->words && !strstr(err.msg, c->words)))
            fail_msg("%s: %d %s", c->mount, r, err.msg);
    }
    assert_refused(&p, "Mounts", "[" BIND("/srv", "/.sandbox/run", "true", "rprivate") "]",
                   "Mounts");
    pair_done(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mounts_are_what_was_asked_and_the_image_s_own_volumes),
    };

    return docker_case_run(tests);
}
