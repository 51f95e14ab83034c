/* Templates and their jobs in the store, their logs, and the contexts of builds. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/context.h"
#include "backend/id.h"
#include "backend/joblog.h"
#include "backend/shared.h"
#include "backend/store/store.h"

enum { CONTEXT_NAME = 255 };

struct fixture {
    char dir[64];
    struct shared *shared;
    struct store *store;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error err = {0};
    char path[96];
    int r;

    snprintf(f->dir, sizeof(f->dir), "/tmp/test-jobs.XXXXXX");
    if (!mkdtemp(f->dir) || sodium_init() < 0)
        return -1;
    *state = f;
    snprintf(path, sizeof(path), "%s/shared", f->dir);
    r = shared_create(path, &f->shared, &err);
    snprintf(path, sizeof(path), "%s/sandbox.db", f->dir);
    if (r == 0)
        r = store_open(path, f->shared, &f->store, &err);
    if (r < 0)
        print_error("%s: %s\n", err.msg, err.detail);
    return r;
}

static int
teardown(void **state)
{
    static const char *const files[] = {"sandbox.db", "sandbox.db-wal", "sandbox.db-shm", "shared"};
    struct fixture *f = *state;
    char path[128];

    store_free(f->store);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
        unlink(path);
    }
    rmdir(f->dir);
    free(f);
    return 0;
}

static void
add_template(struct store *s, const char *name)
{
    char dockerfile[] = "FROM a", files[] = "{\"b\":\"c\"}";
    struct template_row row = {.dockerfile = dockerfile, .files = files, .created_at_ms = 5};

    snprintf(row.name, sizeof(row.name), "%s", name);
    assert_int_equal(store_template_insert(s, &row, NULL), 0);
}

static struct job
get_job(struct store *s, const char *name)
{
    struct job job;

    assert_int_equal(store_job_get(s, name, &job, NULL), 0);
    return job;
}

static void
templates_come_back_as_they_went_in(void **state)
{
    struct fixture *f = *state;
    struct template_row row = {0}, *list = NULL;
    struct error err = {0};
    size_t count = 0;

    add_template(f->store, "one");
    row = (struct template_row){.name = "one", .image = "x"};
    assert_int_equal(store_template_insert(f->store, &row, &err), -EEXIST);
    row = (struct template_row){.name = "two", .image = "x:1", .nonce = "n", .created_at_ms = 9};
    assert_int_equal(store_template_insert(f->store, &row, NULL), 0);
    assert_int_equal(store_template_source(f->store, "one", &row, NULL), 0);
    assert_string_equal(row.dockerfile, "FROM a");
    assert_string_equal(row.files, "{\"b\":\"c\"}");
    assert_string_equal(row.image, "");
    assert_int_equal(row.created_at_ms, 5);
    assert_int_equal(row.updated_at_ms, 5);
    template_row_done(&row);
    assert_int_equal(store_template_get(f->store, "one", &row, NULL), 0);
    assert_null(row.dockerfile);
    template_row_done(&row);
    assert_int_equal(store_template_list(f->store, &list, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].name, "two");
    assert_string_equal(list[0].image, "x:1");
    assert_string_equal(list[0].nonce, "n");
    assert_string_equal(list[1].nonce, "");
    store_template_list_free(list, count);
    assert_int_equal(store_template_touch(f->store, "one", 77, NULL), 0);
    assert_int_equal(store_template_get(f->store, "one", &row, NULL), 0);
    assert_int_equal(row.updated_at_ms, 77);
    template_row_done(&row);
    error_clear(&err);
    assert_int_equal(store_template_get(f->store, "none", &row, &err), -ENOENT);
}

static void
jobs_queue_up_and_one_is_taken_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct job job;

    assert_int_equal(store_job_claim(f->store, &job, &err), -ENOENT);
    assert_int_equal(err.code, ERR_NONE);
    assert_int_equal(store_job_queue(f->store, "b", JOB_BUILD, NULL, 2, NULL), 0);
    assert_int_equal(store_job_queue(f->store, "a", JOB_PULL, NULL, 1, NULL), 0);
    assert_int_equal(store_job_queue(f->store, "a", JOB_PULL, NULL, 1, &err), -EALREADY);
    assert_int_equal(store_job_claim(f->store, &job, NULL), 0);
    assert_string_equal(job.template_name, "a");
    assert_int_equal(job.kind, JOB_PULL);
    assert_int_equal(job.status, JOB_RUNNING);
    assert_int_equal(job.attempts, 1);
    assert_int_equal(store_job_queue(f->store, "a", JOB_PULL, NULL, 1, NULL), -EALREADY);
    assert_int_equal(store_job_claim(f->store, &job, NULL), 0);
    assert_string_equal(job.template_name, "b");
    assert_int_equal(store_job_claim(f->store, &job, NULL), -ENOENT);
    assert_int_equal(store_job_finish(f->store, "a", NULL, 8, NULL), 0);
    job = get_job(f->store, "a");
    assert_int_equal(job.status, JOB_DONE);
    assert_int_equal(job.finished_at_ms, 8);
    assert_string_equal(job.error, "");
    assert_int_equal(store_job_finish(f->store, "b", "why", 9, NULL), 0);
    job = get_job(f->store, "b");
    assert_int_equal(job.status, JOB_FAILED);
    assert_string_equal(job.error, "why");
    /* A new one forgets how the last one went. */
    assert_int_equal(store_job_log_add(f->store, "b", "old", NULL), 0);
    assert_int_equal(store_job_queue(f->store, "b", JOB_BUILD, "nonce", 10, NULL), 0);
    job = get_job(f->store, "b");
    assert_string_equal(job.nonce, "nonce");
    job = get_job(f->store, "b");
    assert_int_equal(job.attempts, 0);
    assert_string_equal(job.error, "");
    assert_int_equal(job.finished_at_ms, 0);
}

static void
a_dead_builders_jobs_are_queued_once_and_then_fail(void **state)
{
    struct fixture *f = *state;
    struct job job;

    assert_int_equal(store_job_queue(f->store, "a", JOB_BUILD, NULL, 1, NULL), 0);
    assert_int_equal(store_job_queue(f->store, "waiting", JOB_BUILD, NULL, 2, NULL), 0);
    assert_int_equal(store_job_claim(f->store, &job, NULL), 0);
    assert_int_equal(store_job_recover(f->store, "died", 5, NULL), 0);
    assert_int_equal(get_job(f->store, "a").status, JOB_QUEUED);
    assert_int_equal(store_job_claim(f->store, &job, NULL), 0);
    assert_string_equal(job.template_name, "a");
    assert_int_equal(job.attempts, JOB_ATTEMPTS_MAX);
    assert_int_equal(store_job_recover(f->store, "died", 6, NULL), 0);
    job = get_job(f->store, "a");
    assert_int_equal(job.status, JOB_FAILED);
    assert_string_equal(job.error, "died");
    assert_int_equal(job.finished_at_ms, 6);
    assert_int_equal(get_job(f->store, "waiting").status, JOB_QUEUED);
    assert_int_equal(get_job(f->store, "waiting").attempts, 0);
}

static void
a_removal_waits_for_jobs_and_containers(void **state)
{
    struct fixture *f = *state;
    struct container c = {.id = "container_000000000001",
                          .owner = "ann",
                          .agent_id = "a",
                          .image = "i",
                          .runtime = "runc",
                          .uid = 200000,
                          .template_name = "t",
                          .scope = SCOPE_AGENT,
                          .network = NETWORK_NONE,
                          .workspace_access = ACCESS_RW,
                          .status = CONTAINER_CREATING};
    struct template_row row;
    struct error err = {0};
    struct job job;

    assert_int_equal(store_template_removing(f->store, "t", NULL), -ENOENT);
    add_template(f->store, "t");
    assert_int_equal(store_job_queue(f->store, "t", JOB_BUILD, NULL, 1, NULL), 0);
    assert_int_equal(store_template_removing(f->store, "t", NULL), -EALREADY);
    assert_int_equal(store_job_claim(f->store, &job, NULL), 0);
    assert_int_equal(store_template_removing(f->store, "t", NULL), -EALREADY);
    assert_int_equal(store_job_finish(f->store, "t", "x", 2, NULL), 0);
    assert_int_equal(store_container_insert(f->store, &c, NULL, NULL), 0);
    assert_int_equal(store_template_removing(f->store, "t", &err), -ETXTBSY);
    assert_non_null(strstr(err.msg, "1 container is"));
    assert_int_equal(store_template_get(f->store, "t", &row, NULL), 0);
    assert_false(row.removing);
    template_row_done(&row);
    assert_int_equal(store_container_delete(f->store, c.id, NULL), 0);
    assert_int_equal(store_template_removing(f->store, "t", NULL), 0);
    assert_int_equal(store_template_get(f->store, "t", &row, NULL), 0);
    assert_true(row.removing);
    template_row_done(&row);
    assert_int_equal(store_job_log_add(f->store, "t", "text", NULL), 0);
    assert_int_equal(store_template_delete(f->store, "t", NULL), 0);
    assert_int_equal(store_template_get(f->store, "t", &row, NULL), -ENOENT);
    assert_int_equal(store_job_get(f->store, "t", &job, NULL), -ENOENT);
}

static void
a_log_is_kept_in_pieces_and_bounded(void **state)
{
    struct fixture *f = *state;
    _cleanup_(freep) char *text = NULL, *later = NULL;
    char line[1024];
    struct job_log log;
    char *none = NULL;

    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    assert_int_equal(store_job_log_get(f->store, "t", &none, NULL), -ENOENT);
    assert_int_equal(store_job_queue(f->store, "t", JOB_BUILD, NULL, 1, NULL), 0);
    assert_int_equal(job_log_init(&log, f->store, "t", INT64_MAX, NULL), 0);
    job_log_say(&log, "begins %d\n", 1);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(job_log_take(&log, line, sizeof(line)), 0);
    job_log_done(&log);
    assert_int_equal(store_job_log_get(f->store, "t", &text, NULL), 0);
    assert_int_equal(strncmp(text, "begins 1\nxxx", 12), 0);
    assert_true(strlen(text) <= JOB_LOG_MAX + 128);
    assert_true(strlen(text) > JOB_LOG_MAX - sizeof(line));
    assert_non_null(strstr(text, "is not kept"));
    /* A second attempt goes on behind it, and has no room either. */
    assert_int_equal(job_log_init(&log, f->store, "t", INT64_MAX, NULL), 0);
    job_log_take(&log, line, sizeof(line));
    job_log_done(&log);
    assert_int_equal(store_job_log_get(f->store, "t", &later, NULL), 0);
    assert_true(strlen(later) <= strlen(text) + 128);
    /* Past its deadline a job is ended. */
    assert_int_equal(job_log_init(&log, f->store, "t", time_monotonic_ms() - 1, NULL), 0);
    assert_int_equal(job_log_take(&log, NULL, 0), -1);
    job_log_done(&log);
}

/* Read the entry @path of the tar in @fd; "" if it has none. */
static void
read_entry(int fd, const char *path, char out[64])
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    la_ssize_t n;

    out[0] = '\0';
    archive_read_support_format_tar(a);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(archive_read_open_fd(a, fd, 10240), ARCHIVE_OK);
    while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
        if (strcmp(archive_entry_pathname(e), path) != 0)
            continue;
        assert_int_equal(archive_entry_filetype(e), AE_IFREG);
        n = archive_read_data(a, out, 63);
        assert_true(n >= 0);
        out[n] = '\0';
    }
    archive_read_free(a);
}

static void
a_context_holds_the_files_and_is_sealed(void **state)
{
    char name[CONTEXT_NAME + 1];
    json_auto_t *files = NULL;
    char text[64];
    int fd = -1;

    (void)state;
    memset(name, 'n', CONTEXT_NAME);
    name[CONTEXT_NAME] = '\0';
    files =
        json_pack("{s:s, s:s, s:s}", "a/b/c.txt", "deep", name, "long", "\u00fc/\u20ac", "wide");
    assert_int_equal(context_check("FROM x", files, 1, NULL), 0);
    assert_int_equal(context_make("FROM x", files, 1700000000000, &fd, NULL), 0);
    read_entry(fd, "Dockerfile", text);
    assert_string_equal(text, "FROM x");
    read_entry(fd, "a/b/c.txt", text);
    assert_string_equal(text, "deep");
    read_entry(fd, name, text);
    assert_string_equal(text, "long");
    read_entry(fd, "\u00fc/\u20ac", text);
    assert_string_equal(text, "wide");
    assert_true(write(fd, "x", 1) < 0);
    assert_true(ftruncate(fd, 0) < 0);
    assert_int_equal(fcntl(fd, F_GET_SEALS) & F_SEAL_SEAL, F_SEAL_SEAL);
    close(fd);
}

static void
a_context_over_its_limit_is_refused(void **state)
{
    _cleanup_(freep) char *large = calloc(1, (1 << 20) + 1);
    json_auto_t *files = NULL;
    struct error err = {0};

    (void)state;
    memset(large, 'x', (1 << 20) - 6);
    files = json_pack("{s:s}", "f", large);
    assert_int_equal(context_check("FROM x", files, 1, &err), 0);
    assert_int_equal(context_check("FROM xy", files, 1, &err), -EINVAL);
    assert_string_equal(err.violations[0].pointer, "/files");
    memset(large, 'x', 1 << 20);
    error_clear(&err);
    assert_int_equal(context_check(large, NULL, 1, &err), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(templates_come_back_as_they_went_in, setup, teardown),
        cmocka_unit_test_setup_teardown(jobs_queue_up_and_one_is_taken_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_builders_jobs_are_queued_once_and_then_fail, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_removal_waits_for_jobs_and_containers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_is_kept_in_pieces_and_bounded, setup, teardown),
        cmocka_unit_test(a_context_holds_the_files_and_is_sealed),
        cmocka_unit_test(a_context_over_its_limit_is_refused),
    };

    return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
