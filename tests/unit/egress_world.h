/*
 * A world for the egress proxy: a state directory with a real database and YAML, the proxy in a
 * process of its own, dnsmasq as its nameserver, and servers in 127.9.9.0/24, which stands for the
 * internet there. The test is client and server in one thread, step by step.
 */
#ifndef TESTS_UNIT_EGRESS_WORLD_H
#define TESTS_UNIT_EGRESS_WORLD_H

#include "tests/test.h"

#include <stdbool.h>
#include <sys/types.h>

#include "backend/backend.h"
#include "backend/store/store.h"

#define RESTRICTED "container_0123456789ab"
#define FULL "container_ba9876543210"
#define HOST_ADDRESS "127.9.9.9"
#define OWN_ADDRESS "198.41.0.4" /* of the internet, but the machine's own */

enum { WORLD_SIZE = 65536, WORLD_PATIENCE_SECONDS = 20 };

struct egress_world {
    char dir[64], yaml[96];
    struct shared *shared;
    struct store *store;
    struct service_context ctx;
    pid_t proxy, dns;
    size_t descriptors_max; /* of a proxy that is started from now on; 0: as many as ours */
    int tls, plain; /* listening at HOST_ADDRESS: on a port for TLS only, and on one that is not */
    unsigned tls_port, plain_port;
    unsigned dns_port;
    int rebinding; /* a socket of a DNS double's: what it is asked of rebind.test, the test answers
                    */
    unsigned rebinding_port;
    char heard[WORLD_SIZE];
};

/* Give the calling process, and its children, a network of their own: nothing but a loopback
 * interface, which has OWN_ADDRESS, too. Call it in main(). */
void world_isolate(void);

/*
 * A world whose YAML has the lines @egress in section egress (NULL: none), with the containers
 * RESTRICTED and FULL running, and the proxy listening. Fails the test if it cannot be made.
 */
struct egress_world *world_new(const char *egress);

/* End all of it; fails the test if the proxy did not end well. */
void world_free(struct egress_world *w);

/* Write the YAML again, with the lines @egress in section egress, and have the proxy read it. */
void world_reload(struct egress_world *w, const char *egress);

/* Start the proxy (again), and wait until it listens. */
void world_start(struct egress_world *w);

/* A row and a directory for the container @id. */
void world_container(struct egress_world *w, const char *id, enum network network);

/* Let PUT config's overrides be @json. */
void world_override(struct egress_world *w, const char *json);

/* Connect as the container @id. */
int world_come(struct egress_world *w, const char *id);

/* Send text, or @len bytes. */
void say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_bytes(int fd, const void *data, size_t len);

/* All that comes until the end, as text in w->heard; a reset is an end. */
const char *hear(struct egress_world *w, int fd);

/* What comes, until it ends with @tail. */
const char *hear_until(struct egress_world *w, int fd, const char *tail);

/* Accept the proxy's connection on a listening socket of the world's. */
int serve(int listener);

/* Whether @fd ends, without another byte, within the patience. */
bool ends(int fd);

/* The answer to @request (a format of text) of the container @id; all of it in w->heard. */
const char *ask(struct egress_world *w, const char *id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fail unless what was heard is an answer of this status with this X-Sandbox-Rule. */
void assert_refused(const struct egress_world *w, int status, const char *rule);

/* A tunnel to allowed.test's port for TLS, as @id; *ret_server is its other end. No byte of TLS was
 * sent. */
int world_tunnel(struct egress_world *w, const char *id, int *ret_server);

/* The same, with TLS for the host begun, and heard by the server. */
int world_open(struct egress_world *w, const char *id, int *ret_server);

/* A TLS ClientHello for the server @name (NULL: it names none), in @out. Returns its length. */
size_t client_hello(const char *name, unsigned char *out);

/* Answer one question of the DNS double's: an A record with @ipv4, or none for other types. Returns
 * whether it was for an A record. */
bool world_answer_dns(struct egress_world *w, const char *ipv4);

/* What the proxy's process has: open descriptors, and memory of its own in KiB. */
size_t proxy_descriptors(const struct egress_world *w);
long proxy_private_kib(const struct egress_world *w);

#endif
