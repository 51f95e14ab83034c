/*
 * Takes of one thing as much as it gets: exhaust WHAT [MOST] [PATH]. Prints "WHAT: ERROR after N",
 * or "WHAT: got N" if nothing stopped it at MOST.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1 << 20, SMALL_STACK = 16 << 10 };

static const char *path;
static char block[MIB];

/* Take one more. Returns 0, or -1 with errno. */
typedef int (*take_fn)(long n);

static int
write_block(int fd)
{
    ssize_t len = write(fd, block, sizeof(block));

    if (len >= 0 && len < (ssize_t)sizeof(block)) {
        len = write(fd, block, sizeof(block)); /* says why the last was short */
        return len < 0 ? -1 : 0;
    }
    return len < 0 ? -1 : 0;
}

static int
take_anonymous(long n)
{
    void *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)n;
    if (p == MAP_FAILED)
        return -1;
    memset(p, 1, MIB);
    return 0;
}

static int
take_shared(long n)
{
    void *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)n;
    if (p == MAP_FAILED)
        return -1;
    memset(p, 1, MIB);
    return 0;
}

static int
take_sysv(long n)
{
    int id = shmget(IPC_PRIVATE, MIB, IPC_CREAT | 0600);
    void *p = id < 0 ? (void *)-1 : shmat(id, NULL, 0); /* NOLINT: shmat's own failure */

    (void)n;
    if (p == (void *)-1) /* NOLINT */
        return -1;
    memset(p, 1, MIB);
    return 0;
}

static int
take_message(long n)
{
    struct {
        long type;
        char text[4096];
    } message = {.type = 1};
    static int queue = -1;

    (void)n;
    for (int tries = 0; tries < 2; tries++) {
        if (queue >= 0 && msgsnd(queue, &message, sizeof(message.text), IPC_NOWAIT) == 0)
            return 0;
        if (queue >= 0 && errno != EAGAIN)
            return -1;
        queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
        if (queue < 0)
            return -1;
    }
    return -1;
}

/* A MiB of the file at path. */
static int
take_file(long n)
{
    static int fd = -1;

    if (n == 0)
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : write_block(fd);
}

/* A MiB of a file that has no name any more. */
static int
take_nameless(long n)
{
    static int fd = -1;

    if (n == 0) {
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        unlink(path);
    }
    return fd < 0 ? -1 : write_block(fd);
}

static int
take_memfd(long n)
{
    static int fd = -1;

    if (n == 0)
        fd = memfd_create("m", MFD_CLOEXEC);
    return fd < 0 ? -1 : write_block(fd);
}

/* A pipe, as large as it gets and full. */
static int
take_pipe(long n)
{
    int fds[2];

    (void)n;
    if (pipe2(fds, O_NONBLOCK) < 0)
        return -1;
    fcntl(fds[1], F_SETPIPE_SZ, MIB);
    while (write(fds[1], block, 65536) > 0)
        ;
    return 0;
}

/* Only a pipe. */
static int
take_empty_pipe(long n)
{
    int fds[2];

    (void)n;
    return pipe2(fds, O_NONBLOCK);
}

/* A pipe of the largest size, empty: counted against the user, not against memory. */
static int
take_big_pipe(long n)
{
    int fds[2];

    (void)n;
    return pipe2(fds, O_NONBLOCK) < 0 ? -1 : fcntl(fds[1], F_SETPIPE_SZ, MIB);
}

/* A pair of sockets with full buffers. */
static int
take_socket(long n)
{
    int fds[2], size = MIB;

    (void)n;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
        return -1;
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    while (write(fds[0], block, 65536) > 0)
        ;
    return 0;
}

static int
take_descriptor(long n)
{
    (void)n;
    return open("/dev/null", O_RDONLY);
}

static int
take_inotify(long n)
{
    (void)n;
    return inotify_init1(0);
}

/* A watch of a directory of its own; its removal leaves the watch to the kernel's count of one. */
static int
take_watch(long n)
{
    static int fd = -1;
    char name[64];

    if (n == 0)
        fd = inotify_init1(0);
    snprintf(name, sizeof(name), "/tmp/w%ld", n);
    close(open(name, O_CREAT | O_WRONLY, 0600));
    return fd < 0 ? -1 : inotify_add_watch(fd, name, IN_MODIFY);
}

static int
take_queue(long n)
{
    char name[32];

    snprintf(name, sizeof(name), "/q%ld", n);
    return mq_open(name, O_CREAT | O_RDWR, 0600, NULL) == (mqd_t)-1 ? -1 : 0;
}

static int
take_key(long n)
{
    char name[32];

    snprintf(name, sizeof(name), "k%ld", n);
    return syscall(SYS_add_key, "user", name, block, 100, -3) < 0 ? -1 : 0; /* session keyring */
}

static int
take_lock(long n)
{
    static int fd = -1;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2 * n, .l_len = 1};

    if (n == 0)
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : fcntl(fd, F_SETLK, &lock);
}

static int
take_eventfd(long n)
{
    (void)n;
    return eventfd(0, 0);
}

/* One more link in a chain of epolls, each of which watches the one before. */
static int
take_epoll(long n)
{
    static int last = -1;
    struct epoll_event event = {.events = EPOLLIN};
    int next = epoll_create1(0);

    if (next < 0)
        return -1;
    if (n > 0 && epoll_ctl(next, EPOLL_CTL_ADD, last, &event) < 0)
        return -1;
    last = next;
    return 0;
}

/* A port of loopback that is listened at. */
static int
take_port(long n)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)n;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return listen(fd, 1);
}

/* A directory in the one before. */
static int
take_depth(long n)
{
    if (n == 0 && (mkdir(path, 0700) < 0 || chdir(path) < 0))
        return -1;
    return mkdir("d", 0700) < 0 ? -1 : chdir("d");
}

static int
take_empty_file(long n)
{
    char name[256];
    int fd;

    if (n == 0)
        mkdir(path, 0700);
    snprintf(name, sizeof(name), "%s/%ld", path, n);
    fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

static void *
idle(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static int
take_thread(long n)
{
    pthread_attr_t attr;
    pthread_t thread;
    int r;

    (void)n;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, SMALL_STACK);
    r = pthread_create(&thread, &attr, idle, NULL);
    errno = r;
    return r ? -1 : 0;
}

static int
take_process(long n)
{
    pid_t pid = fork();

    (void)n;
    if (pid == 0)
        for (;;)
            pause();
    return pid < 0 ? -1 : 0;
}

/* A process that has ended and is not waited for. */
static int
take_zombie(long n)
{
    pid_t pid = fork();

    (void)n;
    if (pid == 0)
        _exit(0);
    return pid < 0 ? -1 : 0;
}

/* A TiB of nothing. */
static int
take_sparse(long n)
{
    static int fd = -1;
    off_t end = (off_t)(n + 1) << 40;

    if (n == 0)
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, end) < 0)
        return -1;
    return pwrite(fd, "x", 1, end - 1) < 0 ? -1 : 0;
}

static const struct {
    const char *what;
    take_fn take;
} things[] = {
    {"anonymous", take_anonymous},
    {"shared", take_shared},
    {"sysv", take_sysv},
    {"messages", take_message},
    {"file", take_file},
    {"nameless", take_nameless},
    {"memfd", take_memfd},
    {"pipes", take_pipe},
    {"empty-pipes", take_empty_pipe},
    {"sockets", take_socket},
    {"descriptors", take_descriptor},
    {"inotify", take_inotify},
    {"watches", take_watch},
    {"queues", take_queue},
    {"keys", take_key},
    {"locks", take_lock},
    {"big-pipes", take_big_pipe},
    {"eventfds", take_eventfd},
    {"epolls", take_epoll},
    {"ports", take_port},
    {"depth", take_depth},
    {"files", take_empty_file},
    {"threads", take_thread},
    {"processes", take_process},
    {"zombies", take_zombie},
    {"sparse", take_sparse},
};

static void
raise_limit(int resource)
{
    struct rlimit limit;

    getrlimit(resource, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(resource, &limit);
}

int
main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    long most = argc > 2 ? strtol(argv[2], NULL, 10) : 1 << 20, n = 0;
    take_fn take = NULL;
    int hold = argc > 4; /* stay until killed */

    path = argc > 3 ? argv[3] : "/home/sandbox/exhaust";
    signal(SIGXFSZ, SIG_IGN);
    raise_limit(RLIMIT_NOFILE);
    raise_limit(RLIMIT_STACK);
    memset(block, 'x', sizeof(block));
    for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++)
        if (strcmp(things[i].what, what) == 0)
            take = things[i].take;
    if (!take)
        return 2;
    while (n < most && take(n) >= 0)
        n++;
    if (n < most)
        printf("%s: %s after %ld\n", what, strerror(errno), n);
    else
        printf("%s: got %ld\n", what, n);
    fflush(stdout);
    while (hold) { /* NOLINT(bugprone-infinite-loop): what others leave is taken too */
        usleep(20000);
        if (take(n) >= 0)
            n++;
    }
    return 0;
}
