/* The text format: see exposition.h. */
#include "backend/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BOUND_SIZE = 32, NS_PER_SECOND = 1000000000 };

#define put(e, ...)                                                                                \
    do {                                                                                           \
        int put_ = buf_printf(&(e)->text, __VA_ARGS__);                                            \
        if (put_ < 0 && (e)->error == 0)                                                           \
            (e)->error = put_;                                                                     \
    } while (0)

/* A label's value, in which backslash, quote and newline are escaped. */
static void
put_value(struct exposition *e, const char *value)
{
    for (size_t len; *value; value += len) {
        len = strcspn(value, "\\\"\n");
        put(e, "%.*s", (int)len, value);
        if (!value[len])
            return;
        put(e, "\\%c", value[len] == '\n' ? 'n' : value[len]);
        len++;
    }
}

static void
put_labels(struct exposition *e, const struct exposition_label *labels)
{
    const char *before = "{";

    for (const struct exposition_label *l = labels; l && l->name; l++) {
        put(e, "%s%s=\"", before, l->name);
        put_value(e, l->value);
        put(e, "\"");
        before = ",";
    }
    put(e, "%s ", before[0] == ',' ? "}" : "");
}

void
exposition_family(struct exposition *e, const char *name, const char *type, const char *help)
{
    e->name = name;
    put(e, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
exposition_sample(struct exposition *e, const struct exposition_label *labels, int64_t value)
{
    put(e, "%s", e->name);
    put_labels(e, labels);
    put(e, "%" PRId64 "\n", value);
}

void
exposition_seconds(struct exposition *e, const struct exposition_label *labels, int64_t ms)
{
    put(e, "%s", e->name);
    put_labels(e, labels);
    put(e, "%" PRId64 ".%03d\n", ms / 1000, (int)(ms % 1000));
}

void
exposition_histogram(struct exposition *e, struct exposition_label label,
                     const struct metrics_histogram *h, int64_t first_ns)
{
    uint64_t count = 0, sum_ns = atomic_load_explicit(&h->sum_ns, memory_order_relaxed);
    char bound[BOUND_SIZE];
    struct exposition_label alone[] = {label, {0}};
    struct exposition_label bounded[] = {label, {"le", bound}, {0}};
    const struct exposition_label *labels = label.name ? bounded : bounded + 1;

    for (size_t i = 0; i <= METRICS_BUCKETS; i++) {
        int64_t ns = first_ns << i;

        count += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        if (i == METRICS_BUCKETS)
            snprintf(bound, sizeof(bound), "+Inf");
        else
            snprintf(bound, sizeof(bound), "%.9g", (double)ns / NS_PER_SECOND);
        put(e, "%s_bucket", e->name);
        put_labels(e, labels);
        put(e, "%" PRIu64 "\n", count);
    }
    put(e, "%s_sum", e->name);
    put_labels(e, alone);
    put(e, "%" PRIu64 ".%09" PRIu64 "\n", sum_ns / NS_PER_SECOND, sum_ns % NS_PER_SECOND);
    put(e, "%s_count", e->name);
    put_labels(e, alone);
    put(e, "%" PRIu64 "\n", count);
}
