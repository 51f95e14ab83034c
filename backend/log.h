/*
 * One line a record on stderr: `2026-03-02T10:00:00.123Z level=info role=worker pid=12 msg="..."`.
 * Control characters and quotes of the message are escaped, so that one record stays one line.
 * Backend functions return their failures; the caller at the top (fcgi, the janitor's loop) logs
 * them.
 */
#ifndef BACKEND_LOG_H
#define BACKEND_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Name this process in its log lines. @role is borrowed for the life of the process. */
void log_role(const char *role);

/* Records above @level are dropped from now on. */
void log_threshold(enum log_level level);

/* Write one record, at most 2 KiB of it; longer messages are cut. Thread-safe: one write(2) a
 * record. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
