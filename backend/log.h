/*
 * One line a record on stderr, as text
 * `2026-03-02T10:00:00.123Z level=info role=worker pid=12 request=ID user=NAME msg="..."`
 * or as a JSON object with the same members. Control characters and quotes of the message are
 * escaped, so that one record stays one line. Backend functions return their failures; the caller
 * at the top (fcgi, the janitor's loop) logs them. No record holds a secret: no command, no
 * variable, no token.
 */
#ifndef BACKEND_LOG_H
#define BACKEND_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT = 1, LOG_FORMAT_JSON };

/* By enum log_format, less 1; NULL at the end. */
extern const char *const log_format_names[];

/* Name this process in its log lines. @role is borrowed for the life of the process. */
void log_role(const char *role);

/* How records look from now on. Before there are threads. */
void log_format(enum log_format format);

/* Records above @level are dropped from now on. */
void log_threshold(enum log_level level);

/*
 * Whose request this thread serves: its records bear both until log_request(NULL, NULL). @user may
 * be NULL: nobody that is known. Both are borrowed.
 */
void log_request(const char *request_id, const char *user);

/* Write one record, at most 2 KiB of it; longer messages are cut. Thread-safe: one write(2) a
 * record. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
