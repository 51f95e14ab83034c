/* Identifiers and times: what names a thing for ever, and when it happened. */
#ifndef BACKEND_ID_H
#define BACKEND_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONTAINER_ID_SIZE = 24, /* "container_" + 12 hex digits + NUL, with room */
    AUDIT_ID_SIZE = 24,     /* "exec_" + 16 hex digits + NUL, with room */
    SNAPSHOT_ID_SIZE = 24,  /* "snapshot_" + 12 hex digits + NUL, with room */
    TOKEN_ID_SIZE = 24,     /* "token_" + 12 hex digits + NUL, with room */
    TIMESTAMP_SIZE = 32     /* "2026-03-02T10:00:00Z" + NUL, with room */
};

/* Write a new container id: "container_" and 48 random bits in hex. */
void id_container(char out[CONTAINER_ID_SIZE]);

/* Write a new audit id: "exec_" and 64 random bits in hex. */
void id_audit(char out[AUDIT_ID_SIZE]);

/* The random bits of an audit id, by which the guest knows the execution; 0 if @id is none. */
uint64_t id_audit_number(const char *id);

/* Write the audit id of these bits. */
void id_audit_of(uint64_t number, char out[AUDIT_ID_SIZE]);

/* Write a new snapshot id: "snapshot_" and 48 random bits in hex. */
void id_snapshot(char out[SNAPSHOT_ID_SIZE]);

/* Write a new token id: "token_" and 48 random bits in hex. It is no secret. */
void id_token(char out[TOKEN_ID_SIZE]);

/*
 * Write the id of a thing that the request with this nonce makes: @prefix and @bytes (at most 8) of
 * a hash over both in hex, so that the request finds it again when it is carried on after a crash.
 */
void id_derived(char *out, size_t size, const char *prefix, const char *nonce, size_t bytes);

/* As id_audit(), derived. */
void id_audit_derived(const char *nonce, char out[AUDIT_ID_SIZE]);

/* As id_snapshot(), derived. */
void id_snapshot_derived(const char *nonce, char out[SNAPSHOT_ID_SIZE]);

/* As id_token(), derived. */
void id_token_derived(const char *nonce, char out[TOKEN_ID_SIZE]);

/* Whether @id is spelled as id_container() does. */
bool id_is_container(const char *id);

/* Whether @id is spelled as id_snapshot() does. */
bool id_is_snapshot(const char *id);

/* Whether @name may be a path component and a Docker label: 1..@max of [A-Za-z0-9._@+=,-], first
 * one alphanumeric. */
bool id_is_name(const char *name, size_t max);

/* Milliseconds since the epoch, by the wall clock. */
int64_t time_now_ms(void);

/* Milliseconds of CLOCK_MONOTONIC: for deadlines. */
int64_t time_monotonic_ms(void);

/* Write @ms (since the epoch) as RFC 3339 UTC in whole seconds. */
void time_format(int64_t ms, char out[TIMESTAMP_SIZE]);

/* Read RFC 3339 with "Z" or an offset. Returns false if @text is not that. */
bool time_parse(const char *text, int64_t *ret_ms);

/* The start, in ms since the epoch, of the UTC day that holds @ms. */
int64_t time_day_start(int64_t ms);

#endif
