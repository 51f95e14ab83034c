/*
 * GPUs: which this machine has, whether Docker can give them to containers, and which of them a
 * container gets. NVML is asked by a short-lived process (`sandboxd gpu`), so that a driver that
 * hangs or crashes takes neither a thread nor the worker with it.
 */
#ifndef BACKEND_GPU_H
#define BACKEND_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/error.h"
#include "backend/nvml.h"
#include "backend/store/records.h"

enum { GPU_TEXT_SIZE = 96 };

/* One GPU. -1 and "": NVML does not say. */
struct gpu {
    int64_t index;
    char uuid[GPU_TEXT_SIZE];
    char name[GPU_TEXT_SIZE];
    int64_t memory_total_mb;
    int64_t memory_used_mb;
    int64_t utilization_percent;
    int64_t temperature_c;
};

struct gpu_report {
    char driver_version[GPU_TEXT_SIZE]; /* "" if unknown */
    struct gpu items[NVML_GPUS_MAX];
    size_t count;
    char runtime[16]; /* how Docker gives them out: "nvidia" or "cdi"; "" if it cannot */
};

/*
 * Look now (at most some 6 s for NVML, and the engine's 10). Never fails: what cannot be known is
 * empty.
 */
void gpu_read(struct backend *b, struct gpu_report *ret);

/*
 * Whether the machine has @count GPUs that Docker can give out; some may be taken. *ret_total
 * (may be NULL): how many there are. Errors: ERR_CONFLICT, with a sentence that says what is
 * missing.
 */
int gpu_check(struct backend *b, int64_t count, int64_t *ret_total, struct error *err);

/*
 * Insert the row of @c, which needs c->gpus of them, with those it gets in c->gpu_mask. Errors:
 * ERR_CONFLICT, with a sentence that says what is missing: GPUs, a runtime for them, or free ones;
 * and those of store_container_insert().
 */
int gpu_insert(struct backend *b, struct container *c, struct quota_gate *gate, struct error *err);

#endif
