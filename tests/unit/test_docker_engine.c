/*
 * backend/docker's view of the engine itself and of its images.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "tests/unit/docker_case.h"

static void
test_info(void **state)
{
    _cleanup_(freep) char *version = read_data(DATA "version-20.10.json");
    _cleanup_(freep) char *text = read_data(DATA "info-20.10.json");
    const struct fake_route routes[] = {
        {"GET /version", 200, version, FAKE_PLAIN},
        {"GET /v1.41/info", 200, text, FAKE_CHUNKED},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct docker_info info;

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_info(d, &info, NULL), 0);
    assert_string_equal(info.version, "20.10.24+dfsg1");
    assert_string_equal(info.api_version, "1.41");
    assert_string_equal(info.storage_driver, "overlay2");
    assert_string_equal(info.backing_filesystem, "extfs");
    assert_string_equal(info.cgroup_version, "1");
    assert_string_equal(info.runc_version, "1.1.5+ds1");
    assert_string_equal(info.runc_build, "1.1.5+ds1-1+deb12u1");
    assert_string_equal(info.kernel_version, "6.18.44-fc-v769");
    assert_string_equal(info.runtimes[0], "runc"); /* before the shims, which sort before it */
    assert_string_equal(info.runtimes[1], "io.containerd.runc.v2");
    assert_string_equal(info.runtimes[2], "io.containerd.runtime.v1.linux");
    assert_string_equal(info.runtimes[3], "");
    assert_false(info.storage_opt_size);
}

static void
test_info_variants(void **state)
{
    static const struct {
        const char *body;
        const char *name;
        bool storage_opt_size;
        const char *last_runtime, *runc;
        bool remaps_users;
        uid_t root_uid;
        gid_t root_gid;
    } cases[] = {
        {"{\"Driver\":\"vfs\",\"SecurityOptions\":[7,\"name=seccomp,profile=default\","
         "\"name=userns\"],\"DockerRootDir\":\"/var/lib/docker/165536.165537\"}",
         "none", false, "", "", true, 165536, 165537},
        {"{\"Driver\":\"vfs\",\"SecurityOptions\":[\"name=userns\"],"
         "\"DockerRootDir\":\"/var/lib/docker/165536.165537.old\"}",
         "none", false, "", "", true, 0, 0},
        {"{\"Driver\":\"vfs\",\"SecurityOptions\":[\"name=userns\"]}", "none", false, "", "", true,
         0, 0},
        {"{\"Driver\":\"vfs\",\"DockerRootDir\":\"/var/lib/docker/165536.165537\"}", "none", false,
         "", "", false, 0, 0},
        {"{\"Driver\":\"vfs\",\"SecurityOptions\":[\"name=seccomp,profile=default\"]}", "none",
         false, "", "", false, 0, 0},
        {"{\"Driver\":\"btrfs\",\"DriverStatus\":null,\"RuncCommit\":{\"ID\":\"v1.2-0-gabc\"}}",
         "none", true, "", "v1.2-0-gabc", false, 0, 0},
        {"{\"Driver\":\"zfs\"}", "none", true, "", "", false, 0, 0},
        {"{\"Driver\":\"btrfs\",\"DriverStatus\":[[\"driver-type\",\"io.containerd.snapshotter."
         "v1\"]]}",
         "none", false, "", "", false, 0, 0},
        {"{\"Driver\":\"overlay2\",\"DriverStatus\":[[],7,[1,2]],\"Runtimes\":{\"a\":{},\"b\":{},"
         "\"io.containerd.x\":{},\"c\":{},\"d\":{},\"e\":{},\"f\":{},\"g\":{},\"h\":{},\"i\":{}}}",
         "none", false, "h", "", false, 0, 0},
        {"{\"Driver\":\"vfs\",\"Runtimes\":{\"a-name-that-is-longer-than-31-bytes\":{}}}", "none",
         false, "", "", false, 0, 0},
        {"{\"Driver\":7}", "internal", false, "", "", false, 0, 0},
        {"{}", "internal", false, "", "", false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET /v1.41/info", 200, cases[i].body, FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct docker_info info = {0};
        struct error e = {0};

        print_message("info %s\n", cases[i].body);
        fake_docker_serve(&fake, routes);
        docker_info(d, &info, &e);
        assert_error(&e, cases[i].name, "");
        assert_int_equal(info.storage_opt_size, cases[i].storage_opt_size);
        assert_string_equal(info.runtimes[7], cases[i].last_runtime);
        assert_string_equal(info.runc_version, cases[i].runc);
        assert_int_equal(info.remaps_users, cases[i].remaps_users);
        assert_int_equal(info.root_uid, cases[i].root_uid);
        assert_int_equal(info.root_gid, cases[i].root_gid);
    }
}

/* What gVisor's arguments say; "r" has those of a case. */
static void
test_runtime_arguments(void **state)
{
    enum { NOTHING = DOCKER_LACKS_CREATE | DOCKER_LACKS_OPEN };
    static const struct {
        const char *runtime;
        unsigned lacks;
    } cases[] = {
        {"{\"path\":\"runc\"}", 0},
        {"{\"path\":\"/opt/runsc-of-mine/crun\",\"runtimeArgs\":[\"--network=none\"]}", 0},
        {"{\"runtimeType\":\"io.containerd.runsc.v1\"}", 0},
        {"{\"path\":7,\"runtimeArgs\":{}}", 0},
        {"7", 0},
        {"{\"path\":\"runsc\"}", NOTHING},
        {"{\"path\":\"/usr/bin/runsc\",\"runtimeArgs\":[]}", NOTHING},
        {"{\"path\":\"runsc-2024\",\"runtimeArgs\":[7,\"\",\"-\",\"host-uds=all\"]}", NOTHING},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"--host-uds=all\"]}", 0},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"-host-uds\",\"all\"]}", 0},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"--host-uds\"]}", NOTHING},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"--host-uds=create\"]}", DOCKER_LACKS_OPEN},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"--host-uds=open\"]}", DOCKER_LACKS_CREATE},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"--host-uds=all\",\"--host-uds=none\"]}", NOTHING},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"--host-uds-more=all\"]}", NOTHING},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"--fsgofer-host-uds\",\"--debug\"]}", 0},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"--fsgofer-host-uds=false\"]}", NOTHING},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"--host-uds=all\",\"--network=none\"]}",
         DOCKER_LACKS_NETWORK},
        {"{\"path\":\"runsc\",\"runtimeArgs\":[\"--network=none\",\"--network\",\"host\"]}",
         NOTHING},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char body[256];
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET /v1.41/info", 200, body, FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct docker_info info = {0};

        snprintf(body, sizeof(body), "{\"Driver\":\"vfs\",\"Runtimes\":{\"a\":{},\"r\":%s}}",
                 cases[i].runtime);
        print_message("runtime %s\n", cases[i].runtime);
        fake_docker_serve(&fake, routes);
        assert_int_equal(docker_info(d, &info, NULL), 0);
        assert_string_equal(info.runtimes[1], "r");
        assert_int_equal(info.runtime_lacks[0], 0);
        assert_int_equal(info.runtime_lacks[1], cases[i].lacks);
    }
}

static void
test_image_inspect(void **state)
{
    _cleanup_(freep) char *text = read_data(DATA "image-20.10.json");
    const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"GET /v1.41/images/127.0.0.1:5000/dkr-bb:live/json", 200, text, FAKE_PLAIN},
        {"GET /v1.41/images/odd/json", 200, "{\"Id\":\"sha256:1\",\"Size\":\"9\"}", FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    char id[80] = "";
    int64_t size = 0;

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_image_inspect(d, "127.0.0.1:5000/dkr-bb:live", id, &size, NULL), 0);
    assert_int_equal(strlen(id), strlen("sha256:") + 64);
    assert_int_equal(size, 1982277);
    assert_int_equal(docker_image_inspect(d, "127.0.0.1:5000/dkr-bb:live", NULL, NULL, NULL), 0);
    assert_int_equal(docker_image_inspect(d, "odd", id, &size, NULL), -EIO);
    assert_int_equal(docker_image_inspect(d, "none", id, &size, NULL), -ENOENT);
}

/* A descriptor that holds @len times 'x'. */
static int
new_tar(size_t len)
{
    int fd = memfd_create("tar", MFD_CLOEXEC);

    assert_true(fd >= 0);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(write(fd, "x", 1), 1);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void
test_import(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum fake_how how;
        const char *name, *part;
    } cases[] = {
        {200, "{\"status\":\"sha256:61df\"}\r\n", FAKE_CHUNKED, "none", ""},
        {200, "{\"status\":\"Downloading\"}\r\n{\"status\":\"sha256:61df\"}\r\n", FAKE_CHUNKED,
         "none", ""},
        {200,
         "{\"status\":\"a\"}\n{\"errorDetail\":{\"message\":\"no\\nspace\"},\"error\":\"no "
         "space\"}",
         FAKE_CHUNKED, "docker_error", "could not import the image: no space"},
        {200, "{\"status\":\"a\"}{\"stat", FAKE_CHUNKED, "internal", "promises"},
        {200, "", FAKE_PLAIN, "internal", "promises"},
        {200, "garbage", FAKE_PLAIN, "internal", "promises"},
        {500, "{\"message\":\"unexpected EOF\"}", FAKE_PLAIN, "docker_error", "unexpected EOF"},
        {200, "{\"status\":\"sha256:61df\"}", FAKE_CUT, "docker_unavailable", "cut off"},
    };
    static const char path[] = "POST /v1.41/images/create?fromSrc=-&repo=team%2Fbase&tag=v1";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {path, cases[i].status, cases[i].body, cases[i].how},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        _cleanup_(closep) int tar = new_tar(10);
        _cleanup_(freep) char *sent = NULL;
        struct error e = {0};

        print_message("import %d %s\n", cases[i].status, cases[i].body);
        fake_docker_serve(&fake, routes);
        docker_image_import(d, tar, "team/base", "v1", &e);
        assert_error(&e, cases[i].name, cases[i].part);
        assert_asked(1, path);
        sent = fake_docker_body(&fake);
        assert_string_equal(sent, "a\r\nxxxxxxxxxx\r\n0\r\n\r\n");
    }
}

/* Not our connection's fault: the descriptor cannot be read. */
static void
test_import_unreadable(void **state)
{
    static const struct fake_route routes[] = {{"GET /version", 200, VERSION_141, FAKE_PLAIN}, {0}};
    _cleanup_(docker_freep) struct docker *d = new_client();
    _cleanup_(closep) int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error e = {0};

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_image_import(d, directory, "a", "b", &e), -EIO);
    assert_non_null(strstr(e.detail, "Is a directory"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_info_variants),
        cmocka_unit_test(test_runtime_arguments),
        cmocka_unit_test(test_image_inspect),
        cmocka_unit_test(test_import),
        cmocka_unit_test(test_import_unreadable),
    };

    return docker_case_run(tests);
}
