/* Identifiers and times: see id.h. */
#include "backend/id.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

enum {
    CONTAINER_ID_DIGITS = 12,
    AUDIT_ID_DIGITS = 16,
    SNAPSHOT_ID_DIGITS = 12,
    TOKEN_ID_DIGITS = 12,
    DAY_MS = 86400000
};

static const char container_prefix[] = "container_";
static const char audit_prefix[] = "exec_";
static const char snapshot_prefix[] = "snapshot_";
static const char token_prefix[] = "token_";

/* Write @prefix and @bytes (at most 8) random bytes in hex; they must fit into @size. */
static void
random_id(char *out, size_t size, const char *prefix, size_t bytes)
{
    size_t len = strlen(prefix);
    unsigned char noise[8];

    randombytes_buf(noise, bytes);
    snprintf(out, size, "%s", prefix);
    sodium_bin2hex(out + len, size - len, noise, bytes);
}

void
id_container(char out[CONTAINER_ID_SIZE])
{
    random_id(out, CONTAINER_ID_SIZE, container_prefix, CONTAINER_ID_DIGITS / 2);
}

void
id_audit(char out[AUDIT_ID_SIZE])
{
    random_id(out, AUDIT_ID_SIZE, audit_prefix, AUDIT_ID_DIGITS / 2);
}

uint64_t
id_audit_number(const char *id)
{
    const char *digits = id + sizeof(audit_prefix) - 1;

    if (strncmp(id, audit_prefix, sizeof(audit_prefix) - 1) != 0 ||
        strlen(digits) != AUDIT_ID_DIGITS || strspn(digits, "0123456789abcdef") != AUDIT_ID_DIGITS)
        return 0;
    return strtoull(digits, NULL, 16);
}

void
id_audit_of(uint64_t number, char out[AUDIT_ID_SIZE])
{
    snprintf(out, AUDIT_ID_SIZE, "%s%0*" PRIx64, audit_prefix, AUDIT_ID_DIGITS, number);
}

void
id_snapshot(char out[SNAPSHOT_ID_SIZE])
{
    random_id(out, SNAPSHOT_ID_SIZE, snapshot_prefix, SNAPSHOT_ID_DIGITS / 2);
}

void
id_token(char out[TOKEN_ID_SIZE])
{
    random_id(out, TOKEN_ID_SIZE, token_prefix, TOKEN_ID_DIGITS / 2);
}

/* Whether @id is @prefix and @digits of lower-case hex. */
static bool
is_id(const char *id, const char *prefix, size_t digits)
{
    size_t len = strlen(prefix);

    return strncmp(id, prefix, len) == 0 && strlen(id + len) == digits &&
           strspn(id + len, "0123456789abcdef") == digits;
}

void
id_derived(char *out, size_t size, const char *prefix, const char *nonce, size_t bytes)
{
    unsigned char hash[32];
    crypto_generichash_state h;
    size_t len = strlen(prefix);

    crypto_generichash_init(&h, NULL, 0, sizeof(hash));
    crypto_generichash_update(&h, (const unsigned char *)prefix, len + 1);
    crypto_generichash_update(&h, (const unsigned char *)nonce, strlen(nonce));
    crypto_generichash_final(&h, hash, sizeof(hash));
    snprintf(out, size, "%s", prefix);
    sodium_bin2hex(out + len, size - len, hash, bytes);
}

void
id_audit_derived(const char *nonce, char out[AUDIT_ID_SIZE])
{
    id_derived(out, AUDIT_ID_SIZE, audit_prefix, nonce, AUDIT_ID_DIGITS / 2);
}

void
id_snapshot_derived(const char *nonce, char out[SNAPSHOT_ID_SIZE])
{
    id_derived(out, SNAPSHOT_ID_SIZE, snapshot_prefix, nonce, SNAPSHOT_ID_DIGITS / 2);
}

void
id_token_derived(const char *nonce, char out[TOKEN_ID_SIZE])
{
    id_derived(out, TOKEN_ID_SIZE, token_prefix, nonce, TOKEN_ID_DIGITS / 2);
}

bool
id_is_container(const char *id)
{
    return is_id(id, container_prefix, CONTAINER_ID_DIGITS);
}

bool
id_is_snapshot(const char *id)
{
    return is_id(id, snapshot_prefix, SNAPSHOT_ID_DIGITS);
}

bool
id_is_name(const char *name, size_t max)
{
    size_t len = strnlen(name, max + 1);

    if (len == 0 || len > max || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("._@+=,-", name[i]))
            return false;
    return true;
}

static int64_t
clock_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
time_now_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int64_t
time_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

void
time_format(int64_t ms, char out[TIMESTAMP_SIZE])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(out, TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* Two digits, or -1. */
static int
two_digits(const char *p)
{
    return isdigit((unsigned char)p[0]) && isdigit((unsigned char)p[1])
               ? (p[0] - '0') * 10 + p[1] - '0'
               : -1;
}

/* Read "+hh:mm" or "-hh:mm" to the end, and take it off @ms. */
static bool
parse_offset(const char *p, int64_t *ms)
{
    int hours, minutes;

    if (strlen(p) != 6 || (*p != '+' && *p != '-') || p[3] != ':')
        return false;
    hours = two_digits(p + 1);
    minutes = two_digits(p + 4);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return false;
    *ms -= (*p == '+' ? 1 : -1) * (int64_t)(hours * 60 + minutes) * 60000;
    return true;
}

/* Read what follows the seconds: a fraction that is cut to ms, then "Z" or "+hh:mm". */
static bool
parse_suffix(const char *p, int64_t *ms)
{
    int64_t scale = 100;

    if (*p == '.') {
        if (!isdigit((unsigned char)*++p))
            return false;
        for (; isdigit((unsigned char)*p); p++, scale /= 10)
            *ms += (*p - '0') * scale;
    }
    if (strcmp(p, "Z") == 0)
        return true;
    return parse_offset(p, ms);
}

bool
time_parse(const char *text, int64_t *ret_ms)
{
    struct tm tm = {0};
    const char *rest;
    int64_t ms;

    if (strlen(text) < 20 || (rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm)) != text + 19)
        return false;
    ms = (int64_t)timegm(&tm) * 1000;
    if (!parse_suffix(rest, &ms))
        return false;
    *ret_ms = ms;
    return true;
}

int64_t
time_day_start(int64_t ms)
{
    return ms - ms % DAY_MS;
}
