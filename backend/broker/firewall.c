/*
 * The packet filter: see firewall.h.
 *
 * Every packet is judged by itself, that of an open connection no less than the first: so a change
 * takes effect for what is open, too. Only the way back asks whether there was a way out. The
 * chains come before those of others (priority filter is where Docker's are).
 *
 * Packets for an address of the host, which are any address it has, go through `input`; all others
 * through `forward`. Between two containers of the bridge there is nothing to let through: the
 * engine is told so (enable_icc), which brings their packets here as well, and full.c isolates the
 * bridge's ports.
 */
#include "backend/broker/firewall.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include <nftables/libnftables.h>

#include "backend/cleanup.h"
#include "backend/egress/address.h"

CLEANUP_FN(struct nft_ctx *, nft_ctx_free)

static const char head[] = "table inet %s {\n"
                           "\tset special {\n"
                           "\t\ttype ipv4_addr\n"
                           "\t\tflags interval\n"
                           "\t\tauto-merge\n";

static const char chains[] = "\tset connections {\n"
                             "\t\ttype ipv4_addr\n"
                             "\t\tsize 65535\n"
                             "\t\tflags dynamic\n"
                             "\t}\n"
                             "\tchain forward {\n"
                             "\t\ttype filter hook forward priority filter - 10; policy accept;\n"
                             "\t\tiifname $full jump outward\n"
                             "\t\toifname $full jump inward\n"
                             "\t}\n"
                             "\tchain input {\n"
                             "\t\ttype filter hook input priority filter - 10; policy accept;\n"
                             "\t\tiifname $full jump refuse\n"
                             "\t}\n"
                             "\tchain postrouting {\n"
                             "\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
                             "\t\tiifname $full masquerade\n"
                             "\t}\n"
                             "\tchain refuse {\n"
                             "\t\tmeta l4proto tcp reject with tcp reset\n"
                             "\t\treject with icmpx admin-prohibited\n"
                             "\t}\n";

/* The count is of each container: the kernel's table of connections is everybody's. */
static const char open_chains[] =
    "\tchain outward {\n"
    "\t\tmeta nfproto != ipv4 drop\n"
    "\t\tfib saddr . iif oif missing drop\n"
    "\t\toifname $full drop\n"
    "\t\tct state new add @connections { ip saddr ct count over 1024 } "
    "drop\n"
    "\t\tip daddr @nameservers meta l4proto { tcp, udp } th dport 53 "
    "accept\n"
    "\t\tip daddr @permitted accept\n"
    "\t\tip daddr @special jump refuse\n"
    "\t}\n"
    "\tchain inward {\n"
    "\t\tmeta nfproto ipv4 ct state established,related accept\n"
    "\t\tdrop\n"
    "\t}\n";

static const char closed_chains[] = "\tchain outward {\n"
                                    "\t\tmeta nfproto != ipv4 drop\n"
                                    "\t\tjump refuse\n"
                                    "\t}\n"
                                    "\tchain inward {\n"
                                    "\t\tdrop\n"
                                    "\t}\n";

/* Append one more of a set's elements, the @count-th. */
static int
element(struct buf *out, size_t count, const char *text)
{
    return buf_printf(out, "%s%s", count == 0 ? "\t\telements = { " : ", ", text);
}

static int
end_set(struct buf *out, size_t count)
{
    return buf_printf(out, "%s\t}\n", count == 0 ? "" : " }\n");
}

static int
special_set(struct buf *out)
{
    char range[EGRESS_CIDR_SIZE];
    size_t count = 0;
    int r = 0;

    for (; r == 0 && egress_special_ipv4(count, range); count++)
        r = element(out, count, range);
    return r < 0 ? r : end_set(out, count);
}

/* Those of IPv6 cannot be reached by way of the bridge, which has none. */
static int
permitted_set(struct buf *out, const struct strings *permitted, struct error *err)
{
    size_t count = 0;
    int r = buf_printf(out, "\tset permitted {\n\t\ttype ipv4_addr\n\t\tflags interval\n"
                            "\t\tauto-merge\n");

    for (size_t i = 0; r == 0 && i < permitted->count; i++) {
        const char *cidr = permitted->items[i];

        if (!egress_cidr_valid(cidr))
            return error_set(err, ERR_VALIDATION, "'%.64s' is no CIDR", cidr);
        if (!strchr(cidr, ':'))
            r = element(out, count++, cidr);
    }
    return r < 0 ? r : end_set(out, count);
}

static int
nameserver_set(struct buf *out, const struct nameservers *n)
{
    char text[INET_ADDRSTRLEN];
    int r = buf_printf(out, "\tset nameservers {\n\t\ttype ipv4_addr\n\t\tflags interval\n"
                            "\t\tauto-merge\n");

    for (size_t i = 0; r == 0 && i < n->count; i++) {
        inet_ntop(AF_INET, &n->list[i], text, sizeof(text));
        r = element(out, i, text);
    }
    return r < 0 ? r : end_set(out, n->count);
}

int
firewall_text(const struct firewall *f, struct buf *out, struct error *err)
{
    int r;

    /* To delete what is not there is an error, to add what is there is none. */
    r = buf_printf(out, "define full = \"%s\"\nadd table inet %s\ndelete table inet %s\n",
                   f->bridge, f->table, f->table);
    if (r == 0)
        r = buf_printf(out, head, f->table);
    if (r == 0)
        r = special_set(out);
    if (r == 0)
        r = permitted_set(out, f->permitted, err);
    if (r == -EINVAL)
        return r;
    if (r == 0)
        r = nameserver_set(out, &f->nameservers);
    if (r == 0)
        r = buf_printf(out, "%s", chains);
    if (r == 0)
        r = buf_printf(out, "%s", f->closed ? closed_chains : open_chains);
    if (r == 0)
        r = buf_printf(out, "}\n");
    return r < 0 ? error_errno(err, -r, "firewall_text") : 0;
}

/*
 * Run @text, and append what it prints to @out (may be NULL). @flags are nftables' for output. -EIO
 * with @err not filled in where it refuses; what it says is in @message.
 */
static int
run(const char *text, unsigned flags, struct buf *out, char *message, size_t size)
{
    _cleanup_(nft_ctx_freep) struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    const char *printed;

    snprintf(message, size, "out of memory");
    if (!nft || nft_ctx_buffer_output(nft) != 0 || nft_ctx_buffer_error(nft) != 0)
        return -EIO;
    nft_ctx_output_set_flags(nft, flags);
    if (nft_run_cmd_from_buffer(nft, text) != 0) {
        snprintf(message, size, "%s", nft_ctx_get_error_buffer(nft));
        return -EIO;
    }
    printed = nft_ctx_get_output_buffer(nft);
    return out && buf_append(out, printed, strlen(printed)) < 0 ? -EIO : 0;
}

int
firewall_apply(const struct firewall *f, char **ret, struct error *err)
{
    _cleanup_(buf_done) struct buf text;
    char message[256];
    int r;

    buf_init(&text, FIREWALL_TEXT_MAX);
    r = firewall_text(f, &text, err);
    if (r < 0)
        return r;
    if (run(text.data, 0, NULL, message, sizeof(message)) < 0)
        return error_set_detail(err, ERR_INTERNAL, message, "nftables refuses the packet filter");
    return firewall_list(f, ret, err);
}

int
firewall_list(const struct firewall *f, char **ret, struct error *err)
{
    /* Without elements, and then those of each set, but of the one that the kernel fills. */
    static const struct {
        const char *kind, *name;
        unsigned flags;
    } parts[] = {
        {"table", "", NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_TERSE},
        {"set", "special", NFT_CTX_OUTPUT_STATELESS},
        {"set", "permitted", NFT_CTX_OUTPUT_STATELESS},
        {"set", "nameservers", NFT_CTX_OUTPUT_STATELESS},
    };
    char command[FIREWALL_TABLE_SIZE + 32], message[256];
    _cleanup_(buf_done) struct buf out;

    buf_init(&out, FIREWALL_TEXT_MAX);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        snprintf(command, sizeof(command), "list %s inet %s %s", parts[i].kind, f->table,
                 parts[i].name);
        if (run(command, parts[i].flags, &out, message, sizeof(message)) < 0)
            return error_set_detail(err, ERR_NOT_FOUND, message, "the packet filter is not there");
    }
    *ret = buf_take(&out);
    return 0;
}

/* Open the network namespace of /proc/@process. Returns the descriptor or a negative errno. */
static int
open_namespace(const char *process, struct stat *ret)
{
    char path[40];
    _cleanup_(closep) int fd = -1;

    snprintf(path, sizeof(path), "/proc/%s/ns/net", process);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, ret) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int
firewall_silence(int pid, struct error *err)
{
    /* Also what is asked for by the port that it really has, behind the engine's translation. */
    static const char text[] = "add table inet sandboxd\n"
                               "delete table inet sandboxd\n"
                               "table inet sandboxd {\n"
                               "\tchain output {\n"
                               "\t\ttype filter hook output priority mangle; policy accept;\n"
                               "\t\tip daddr 127.0.0.11 reject\n"
                               "\t}\n"
                               "}\n";
    char process[16], message[256];
    struct stat ours = {0}, theirs = {0};
    _cleanup_(closep) int home = open_namespace("thread-self", &ours);
    _cleanup_(closep) int there = -1;
    int r;

    snprintf(process, sizeof(process), "%d", pid);
    there = open_namespace(process, &theirs);
    if (home < 0 || there < 0)
        return error_errno(err, home < 0 ? -home : -there, "network namespace of a container");
    if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
        return error_errno(err, ESRCH, "network namespace of a container");
    if (setns(there, CLONE_NEWNET) < 0)
        return error_errno(err, errno, "setns");
    r = run(text, 0, NULL, message, sizeof(message));
    if (setns(home, CLONE_NEWNET) < 0)
        abort(); /* what this thread did next would be done in there */
    return r < 0 ? error_set_detail(err, ERR_INTERNAL, message,
                                    "nftables refuses the packet filter of a container")
                 : 0;
}
