/* The server name of a ClientHello: of real clients, cut in every way, and spoiled in thousands. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "backend/cleanup.h"
#include "backend/egress/hello.h"
#include "tests/unit/hello_case.h"

enum { MUTATIONS = 20000 };

/* What is read out of the @len @bytes, which are put at the very end of a block of their own. */
static enum egress_hello
read_bytes(const uint8_t *bytes, size_t len, char name[EGRESS_NAME_SIZE])
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    enum egress_hello is;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    is = egress_hello_read(copy, len, name);
    free(copy);
    return is;
}

/* A ClientHello with @extensions in one record. */
static enum egress_hello
read_extensions(const struct text *extensions, char name[EGRESS_NAME_SIZE])
{
    struct text message = {0}, records = {0};

    put_message(&message, extensions);
    put_records(&records, &message, EGRESS_HELLO_MAX);
    return read_bytes(records.bytes, records.len, name);
}

/* One with the server name @name of @len bytes. */
static enum egress_hello
read_named(const char *server_name, size_t len, char name[EGRESS_NAME_SIZE])
{
    struct text extensions = {0};

    put_server_name(&extensions, 0, server_name, len);
    return read_extensions(&extensions, name);
}

/* Run the client @argv with one more argument, a listener's port after @before, and read
 * how it begins. */
static void
listen_to(const char *const *argv, const char *before, struct text *ret)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 60};
    socklen_t address_len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
    char name[EGRESS_NAME_SIZE], place[64];
    const char *words[16] = {0};
    size_t count = 0;
    ssize_t n;
    pid_t pid;

    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    /* A client that cannot be run never comes. */
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &address_len), 0);
    for (; argv[count]; count++)
        words[count] = argv[count];
    snprintf(place, sizeof(place), "%s%d", before, ntohs(address.sin_port));
    words[count] = place;
    pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "r+", stdin) || dup2(0, 1) < 0 || dup2(0, 2) < 0)
            _exit(126);
        alarm(60);
        execvp(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(client >= 0);
    ret->len = 0;
    while (egress_hello_read(ret->bytes, ret->len, name) == EGRESS_HELLO_MORE) {
        n = read(client, ret->bytes + ret->len, sizeof(ret->bytes) - ret->len);
        if (n <= 0)
            break;
        ret->len += (size_t)n;
    }
    close(client);
    close(listener);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void
real_clients_are_understood(void **state)
{
    static const char *const versions[] = {"-tls1", "-tls1_1", "-tls1_2", "-tls1_3"};
    static const char *const curl[] = {"curl",         "-sk",          "--noproxy", "*",
                                       "--connect-to", "::127.0.0.1:", NULL};
    struct text hello;
    char name[EGRESS_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        const char *const named[] = {"openssl",         "s_client",        versions[i],
                                     "-cipher",         "ALL:@SECLEVEL=0", "-servername",
                                     "WWW.Example.org", "-connect",        NULL};
        const char *const unnamed[] = {"openssl",         "s_client",      versions[i], "-cipher",
                                       "ALL:@SECLEVEL=0", "-noservername", "-connect",  NULL};

        print_message("    openssl %s\n", versions[i]);
        listen_to(named, "127.0.0.1:", &hello);
        assert_int_equal(read_bytes(hello.bytes, hello.len, name), EGRESS_HELLO_NAMED);
        assert_string_equal(name, "www.example.org");
        listen_to(unnamed, "127.0.0.1:", &hello);
        assert_int_equal(read_bytes(hello.bytes, hello.len, name), EGRESS_HELLO_UNNAMED);
    }
    print_message("    curl\n");
    listen_to(curl, "https://xn--mnchen-3ya.example:", &hello);
    assert_int_equal(read_bytes(hello.bytes, hello.len, name), EGRESS_HELLO_NAMED);
    assert_string_equal(name, "xn--mnchen-3ya.example");
}

/* Every beginning of a hello asks for more, and the whole says what it is. */
static void
assert_read_in_pieces(const struct text *records, enum egress_hello whole)
{
    char name[EGRESS_NAME_SIZE] = "before";

    for (size_t len = 0; len < records->len; len++) {
        if (read_bytes(records->bytes, len, name) != EGRESS_HELLO_MORE)
            fail_msg("%zu of %zu bytes were enough", len, records->len);
        assert_string_equal(name, "before");
    }
    assert_int_equal(read_bytes(records->bytes, records->len, name), whole);
    assert_string_equal(name, whole == EGRESS_HELLO_NAMED ? "example.org" : "before");
}

static void
it_may_come_in_any_pieces(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 64, 100, EGRESS_HELLO_MAX};
    struct text extensions = {0}, named = {0}, unnamed = {0}, bare = {0}, records;

    (void)state;
    put_message(&bare, NULL);
    put_message(&unnamed, &extensions);
    put_extension(&extensions, 0xfe0d, &(struct text){.bytes = "outer", .len = 5});
    put_server_name(&extensions, 0, "Example.org", 11);
    put_extension(&extensions, 0x0010, &(struct text){.len = 200});
    put_message(&named, &extensions);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        records.len = 0;
        put_records(&records, &named, sizes[i]);
        assert_read_in_pieces(&records, EGRESS_HELLO_NAMED);
        records.len = 0;
        put_records(&records, &unnamed, sizes[i]);
        assert_read_in_pieces(&records, EGRESS_HELLO_UNNAMED);
        records.len = 0;
        put_records(&records, &bare, sizes[i]);
        assert_read_in_pieces(&records, EGRESS_HELLO_UNNAMED);
    }
}

static void
what_follows_in_records_of_its_own_is_let_alone(void **state)
{
    struct text extensions = {0}, message = {0}, records = {0};
    char name[EGRESS_NAME_SIZE];

    (void)state;
    put_server_name(&extensions, 0, "example.org", 11);
    put_message(&message, &extensions);
    put_records(&records, &message, 50);
    put(&records,
        "\x17\x03\x03\x00\x05"
        "early",
        10);
    assert_int_equal(read_bytes(records.bytes, records.len, name), EGRESS_HELLO_NAMED);
    assert_string_equal(name, "example.org");
}

static void
a_hello_has_a_largest_size(void **state)
{
    struct text extensions = {0}, padding = {0}, message = {0}, records = {0};
    char name[EGRESS_NAME_SIZE];

    (void)state;
    put_message(&message, &extensions);
    padding.len = EGRESS_HELLO_MAX - message.len - 5 - 4; /* its record's header, and its own */
    put_extension(&extensions, 21, &padding);
    message.len = 0;
    put_message(&message, &extensions);
    put_records(&records, &message, EGRESS_HELLO_MAX);
    assert_int_equal(records.len, EGRESS_HELLO_MAX);
    assert_int_equal(read_bytes(records.bytes, records.len, name), EGRESS_HELLO_UNNAMED);
    assert_int_equal(read_bytes(records.bytes, records.len - 1, name), EGRESS_HELLO_MORE);
    extensions.len = message.len = records.len = 0;
    padding.len++;
    put_extension(&extensions, 21, &padding);
    put_message(&message, &extensions);
    put_records(&records, &message, EGRESS_HELLO_MAX);
    assert_int_equal(read_bytes(records.bytes, records.len, name), EGRESS_HELLO_BAD);
    assert_int_equal(read_bytes(records.bytes, EGRESS_HELLO_MAX - 1, name), EGRESS_HELLO_MORE);
    records.len = 0; /* many records spend what there is, too */
    put_records(&records, &message, 3);
    assert_int_equal(read_bytes(records.bytes, EGRESS_HELLO_MAX, name), EGRESS_HELLO_BAD);
    put_number(&message, 4, 0);
    memcpy(message.bytes, "\x01\xff\xff\xff", 4); /* a length that no message may have */
    records.len = 0;
    put_records(&records, &message, EGRESS_HELLO_MAX);
    assert_int_equal(read_bytes(records.bytes, 9, name), EGRESS_HELLO_BAD);
}

static void
server_names_are_host_names(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *name; /* NULL: bad */
    } cases[] = {
        {"example.org", 11, "example.org"},
        {"EXAMPLE.org", 11, "example.org"},
        {"example.org.", 12, "example.org"},
        {"xn--mnchen-3ya.de", 17, "xn--mnchen-3ya.de"},
        {"", 0, NULL},
        {"example.org\0", 12, NULL},
        {"example.org\0.evil.test", 22, NULL},
        {"\0example.org", 12, NULL},
        {"m\xc3\xbcnchen.de", 11, NULL}, /* RFC 6066, 3: A-labels */
        {"exa mple.org", 12, NULL},
        {"example.org\n", 12, NULL},
        {"127.0.0.1", 9, NULL},
        {"2130706433", 10, NULL},
        {"::1", 3, NULL},
        {"*.example.org", 13, NULL},
        {"a..b", 4, NULL},
        {"user@example.org", 16, NULL},
    };
    char name[EGRESS_NAME_SIZE], longest[400];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    %s\n", cases[i].text);
        assert_int_equal(read_named(cases[i].text, cases[i].len, name),
                         cases[i].name ? EGRESS_HELLO_NAMED : EGRESS_HELLO_BAD);
        if (cases[i].name)
            assert_string_equal(name, cases[i].name);
    }
    for (size_t i = 0; i < sizeof(longest); i++)
        longest[i] = i % 2 ? '.' : 'a';
    assert_int_equal(read_named(longest, 253, name), EGRESS_HELLO_NAMED);
    assert_int_equal(strlen(name), 253);
    assert_int_equal(read_named(longest, 254, name), EGRESS_HELLO_NAMED); /* a dot at its end */
    assert_int_equal(read_named(longest, 255, name), EGRESS_HELLO_BAD);
    assert_int_equal(read_named(longest, 399, name), EGRESS_HELLO_BAD);
}

static void
there_is_one_name_or_none(void **state)
{
    struct text extensions = {0}, list = {0}, body = {0};
    char name[EGRESS_NAME_SIZE] = "before";

    (void)state;
    put_server_name(&extensions, 0, "a.org", 5); /* the extension twice */
    put_server_name(&extensions, 0, "a.org", 5);
    assert_int_equal(read_extensions(&extensions, name), EGRESS_HELLO_BAD);
    extensions.len = 0; /* two names in one */
    put(&list, "\0\0\5a.org", 8);
    put(&list, "\0\0\5b.org", 8);
    put_vector(&body, 2, list.bytes, list.len);
    put_extension(&extensions, 0, &body);
    assert_int_equal(read_extensions(&extensions, name), EGRESS_HELLO_BAD);
    extensions.len = body.len = 0; /* an empty list */
    put_vector(&body, 2, "", 0);
    put_extension(&extensions, 0, &body);
    assert_int_equal(read_extensions(&extensions, name), EGRESS_HELLO_BAD);
    extensions.len = 0; /* no list */
    put_extension(&extensions, 0, &(struct text){0});
    assert_int_equal(read_extensions(&extensions, name), EGRESS_HELLO_BAD);
    extensions.len = body.len = 0; /* more than the list */
    put_vector(&body, 2, list.bytes, 8);
    put(&body, "x", 1);
    put_extension(&extensions, 0, &body);
    assert_int_equal(read_extensions(&extensions, name), EGRESS_HELLO_BAD);
    extensions.len = 0; /* a name of another type */
    put_server_name(&extensions, 1, "a.org", 5);
    assert_int_equal(read_extensions(&extensions, name), EGRESS_HELLO_BAD);
    assert_string_equal(name, "before");
}

/* @records up to @len, of a hello whose byte at @at became @byte. */
static enum egress_hello
read_spoiled(const struct text *records, size_t at, uint8_t byte)
{
    struct text spoiled = *records;
    char name[EGRESS_NAME_SIZE];

    assert_true(at < spoiled.len);
    spoiled.bytes[at] = byte;
    return read_bytes(spoiled.bytes, spoiled.len, name);
}

static void
what_is_no_hello_is_bad_at_once(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } starts[] = {
        {"GET / HTTP/1.1\r\n", 16},
        {"SSH-2.0-x\r\n", 11},
        {"S", 1},
        {"\x80\x2e\x01\x03\x01", 5},         /* SSL 2 */
        {"\x15\x03\x01\x00\x02", 5},         /* an alert */
        {"\x17\x03\x03\x00\x05", 5},         /* data */
        {"\x16\x02", 2},                     /* another major version */
        {"\x16\xfe\xff\x00\x00", 5},         /* DTLS */
        {"\x16\x03\x00\x00\x05", 5},         /* SSL 3 */
        {"\x16\x03\x05\x00\x05", 5},         /* after TLS 1.3 */
        {"\x16\x03\x01\x00\x00", 5},         /* an empty record */
        {"\x16\x03\x01\x40\x01", 5},         /* a longer one than there is */
        {"\x16\x03\x01\x00\x05\x02", 6},     /* a ServerHello */
        {"\x16\x03\x01\x00\x01\x01\x17", 7}, /* another type in between */
    };
    struct text extensions = {0}, message = {0}, records = {0};
    char name[EGRESS_NAME_SIZE];
    size_t ciphers = 9 + 2 + 32 + 33; /* where their length stands */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        print_message("    start %zu\n", i);
        assert_int_equal(read_bytes((const uint8_t *)starts[i].bytes, starts[i].len, name),
                         EGRESS_HELLO_BAD);
    }
    put_server_name(&extensions, 0, "a.org", 5);
    put_message(&message, &extensions);
    put_records(&records, &message, EGRESS_HELLO_MAX);
    assert_int_equal(read_spoiled(&records, 9 + 1, 0x03), EGRESS_HELLO_NAMED); /* as it is */
    assert_int_equal(read_spoiled(&records, 9 + 1, 0x04), EGRESS_HELLO_BAD);   /* its version */
    assert_int_equal(read_spoiled(&records, 9 + 1, 0x00), EGRESS_HELLO_BAD);
    assert_int_equal(read_spoiled(&records, 9 + 34, 33), EGRESS_HELLO_BAD); /* a session's id */
    assert_int_equal(read_spoiled(&records, ciphers + 1, 3), EGRESS_HELLO_BAD);
    assert_int_equal(read_spoiled(&records, ciphers + 1, 0), EGRESS_HELLO_BAD);
    assert_int_equal(read_spoiled(&records, ciphers, 0xff), EGRESS_HELLO_BAD);
    assert_int_equal(read_spoiled(&records, ciphers + 6, 0), EGRESS_HELLO_BAD); /* compressions */
    assert_int_equal(read_spoiled(&records, ciphers + 8, 0xff), EGRESS_HELLO_BAD); /* extensions */
    assert_int_equal(read_spoiled(&records, ciphers + 9, (uint8_t)(extensions.len - 1)),
                     EGRESS_HELLO_BAD);
    message.len = 0; /* more in its record than the message, that would go on as extensions */
    put_message(&message, NULL);
    put(&message, "\0\0", 2);
    records.len = 0;
    put_records(&records, &message, EGRESS_HELLO_MAX);
    assert_int_equal(read_bytes(records.bytes, records.len, name), EGRESS_HELLO_BAD);
}

static uint64_t random_state = 0x9e3779b97f4a7c15U;

/* The same numbers at every run (xorshift64, Marsaglia 2003), so that a failure comes again. */
static size_t
random_below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % limit);
}

/* Change, drop, double or cut some of @t. */
static void
spoil(struct text *t)
{
    for (size_t times = 1 + random_below(4); times > 0 && t->len > 1; times--) {
        size_t at = random_below(t->len), len = 1 + random_below(8);

        if (len > t->len - at)
            len = t->len - at;
        switch (random_below(5)) {
        case 0:
            t->bytes[at] ^= (uint8_t)(1U << random_below(8));
            break;
        case 1:
            t->bytes[at] = (uint8_t)random_below(256);
            break;
        case 2:
            memmove(t->bytes + at, t->bytes + at + len, t->len - at - len);
            t->len -= len;
            break;
        case 3:
            memmove(t->bytes + at + len, t->bytes + at, t->len - at);
            t->len += len;
            break;
        default:
            t->len = at;
        }
    }
}

/* What is read out of anything stays within it, and a name is one in its one spelling. */
static void
spoiled_hellos_do_no_harm(void **state)
{
    struct text extensions = {0}, message = {0}, whole[2] = {0}, spoiled;
    char name[EGRESS_NAME_SIZE], again[EGRESS_NAME_SIZE];
    size_t seen[EGRESS_HELLO_BAD + 1] = {0};

    (void)state;
    put_server_name(&extensions, 0, "www.example.org", 15);
    put_extension(&extensions, 0x0010, &(struct text){.len = 20});
    put_message(&message, &extensions);
    put_records(&whole[0], &message, EGRESS_HELLO_MAX);
    put_records(&whole[1], &message, 11);
    for (size_t i = 0; i < MUTATIONS; i++) {
        enum egress_hello is;

        spoiled = whole[i % 2];
        spoil(&spoiled);
        is = read_bytes(spoiled.bytes, spoiled.len, name);
        seen[is]++;
        if (is == EGRESS_HELLO_NAMED) {
            assert_int_equal(egress_name(name, again), 0);
            assert_string_equal(again, name);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        assert_true(seen[i] > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_clients_are_understood),
        cmocka_unit_test(it_may_come_in_any_pieces),
        cmocka_unit_test(what_follows_in_records_of_its_own_is_let_alone),
        cmocka_unit_test(a_hello_has_a_largest_size),
        cmocka_unit_test(server_names_are_host_names),
        cmocka_unit_test(there_is_one_name_or_none),
        cmocka_unit_test(what_is_no_hello_is_bad_at_once),
        cmocka_unit_test(spoiled_hellos_do_no_harm),
    };

    return cmocka_run_group_tests_name("egress hello", tests, NULL, NULL);
}
