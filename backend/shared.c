/* The shared mapping: see shared.h. */
#include "backend/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/id.h"

_Static_assert((int)METRICS_WORKERS_MAX == (int)SHARED_WORKERS_MAX, "a slot of each worker");

/* Map the file. NULL (with @err set) if that fails. */
static struct shared *
map(int fd, struct error *err)
{
    void *p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED)
        return p;
    error_errno(err, errno, "mmap of the shared file");
    return NULL;
}

static int
init_locks(struct shared *s)
{
    pthread_mutexattr_t attr;
    int rc;

    rc = pthread_mutexattr_init(&attr);
    if (rc == 0)
        rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    if (rc == 0)
        rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    if (rc == 0)
        rc = pthread_mutex_init(&s->writer, &attr);
    for (size_t i = 0; rc == 0 && i < SHARED_LOCK_BUCKETS; i++) {
        rc = pthread_mutex_init(&s->scopes[i], &attr);
        if (rc == 0)
            rc = pthread_mutex_init(&s->containers[i], &attr);
    }
    return rc;
}

int
shared_create(const char *path, struct shared **ret, struct error *err)
{
    _cleanup_(closep) int fd = -1;
    char new_path[PATH_MAX];
    struct shared *s;
    struct timespec now;
    int r;

    /* A new inode: whoever still maps the file of an earlier life keeps that one. It is there under
     * its name only when it is whole. */
    if (snprintf(new_path, sizeof(new_path), "%s.new", path) >= (int)sizeof(new_path))
        return error_errno(err, ENAMETOOLONG, "path of the shared file");
    if (unlink(new_path) < 0 && errno != ENOENT)
        return error_errno(err, errno, "unlink of the shared file");
    fd = open(new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "open of the shared file");
    if (ftruncate(fd, (off_t)sizeof(*s)) < 0)
        return error_errno(err, errno, "ftruncate of the shared file");
    s = map(fd, err);
    if (!s)
        return -EIO;
    r = init_locks(s);
    if (r != 0)
        return error_errno(err, r, "pthread_mutex_init");
    clock_gettime(CLOCK_BOOTTIME, &now);
    s->settings_generation = 1; /* processes start at 0, and so read the overrides */
    s->started_at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    s->started_on_ms = time_now_ms();
    if (rename(new_path, path) < 0)
        return error_errno(err, errno, "rename of the shared file");
    *ret = s;
    return 0;
}

int
shared_open(const char *path, struct shared **ret, struct error *err)
{
    _cleanup_(closep) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct shared *s;
    struct stat st;

    if (fd < 0)
        return errno == ENOENT
                   ? error_set(err, ERR_NOT_FOUND, "no service runs on this state directory")
                   : error_errno(err, errno, "open of the shared file");
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "stat of the shared file");
    if (st.st_size != (off_t)sizeof(*s))
        return error_set(err, ERR_INTERNAL, "the service that runs is of another version");
    s = map(fd, err);
    if (!s)
        return -EIO;
    *ret = s;
    return 0;
}

static pthread_mutex_t *
pick(struct shared *s, enum shared_lock_kind kind, const char *key)
{
    unsigned char hash[16];
    size_t bucket;

    if (kind == SHARED_LOCK_WRITER)
        return &s->writer;
    crypto_generichash(hash, sizeof(hash), (const unsigned char *)key, strlen(key), NULL, 0);
    bucket = (size_t)(hash[0] | hash[1] << 8) % SHARED_LOCK_BUCKETS;
    return kind == SHARED_LOCK_SCOPE ? &s->scopes[bucket] : &s->containers[bucket];
}

/* Wait for @lock, at most @timeout_ms. Returns as pthread_mutex_lock(). */
static int
lock_within(pthread_mutex_t *lock, int timeout_ms)
{
#ifdef __SANITIZE_THREAD__
    /* ThreadSanitizer does not know clocklock, and would take the unlock for a mistake. */
    const clockid_t clock = CLOCK_REALTIME;
#else
    const clockid_t clock = CLOCK_MONOTONIC;
#endif
    struct timespec until;

    clock_gettime(clock, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (timeout_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    return clock == CLOCK_REALTIME ? pthread_mutex_timedlock(lock, &until)
                                   : pthread_mutex_clocklock(lock, clock, &until);
}

int
shared_lock(struct shared *s, enum shared_lock_kind kind, const char *key, int timeout_ms,
            pthread_mutex_t **ret, struct error *err)
{
    pthread_mutex_t *lock = pick(s, kind, key);
    int rc;

    rc = pthread_mutex_trylock(lock);
    if (rc == EBUSY)
        rc = lock_within(lock, timeout_ms);
    if (rc == EOWNERDEAD)
        rc = pthread_mutex_consistent(lock);
    if (rc == ETIMEDOUT) {
        rc = error_set(err, ERR_OVERLOADED, "others are busy with this; try again");
        if (err)
            err->retry_after_seconds = 1;
        return rc;
    }
    if (rc != 0)
        return error_errno(err, rc, "pthread_mutex_clocklock");
    *ret = lock;
    return 0;
}

void
shared_unlock(pthread_mutex_t **lock)
{
    if (*lock)
        pthread_mutex_unlock(*lock);
    *lock = NULL;
}

void
shared_refuse(struct shared *s, const char *why)
{
    atomic_fetch_add(&s->refusal_turn, 1);
    for (size_t i = 0; i < SHARED_REFUSAL_SIZE - 1; i++) {
        atomic_store(&s->refusal[i], *why);
        why += *why != '\0';
    }
    atomic_fetch_add(&s->refusal_turn, 1);
}

void
shared_refusal(struct shared *s, char buf[SHARED_REFUSAL_SIZE])
{
    unsigned turn;

    /* A manager that dies in the middle of a note takes everybody along: nobody waits for ever. */
    do {
        turn = atomic_load(&s->refusal_turn);
        for (size_t i = 0; i < SHARED_REFUSAL_SIZE; i++)
            buf[i] = atomic_load(&s->refusal[i]);
    } while (turn % 2 == 1 || turn != atomic_load(&s->refusal_turn));
    buf[SHARED_REFUSAL_SIZE - 1] = '\0';
}

bool
shared_worker_alive(struct shared *s, uint64_t worker_id)
{
    for (size_t i = 0; i < SHARED_WORKERS_MAX; i++)
        if (worker_id != 0 && atomic_load(&s->workers[i]) == worker_id)
            return true;
    return false;
}
