/*
 * NVML through dlopen(3). The names and types are those of NVIDIA's "NVML API Reference Guide"; no
 * header of theirs is needed to build, nor a library to run.
 */
#include "backend/nvml.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include <jansson.h>

#include "backend/cleanup.h"

enum { SUCCESS = 0, TEMPERATURE_GPU = 0, TEXT_SIZE = 96, MIB = 1 << 20 };

struct memory {
    unsigned long long total, free, used; /* bytes */
};

struct utilization {
    unsigned gpu, memory; /* percent of the last sample period */
};

typedef void *device;

/* The functions used. Each returns SUCCESS or an error; NULL: this library does not have it. */
struct nvml {
    int (*init)(void);
    int (*shutdown)(void);
    int (*driver_version)(char *text, unsigned size);
    int (*count)(unsigned *count);
    int (*handle)(unsigned index, device *handle);
    int (*name)(device handle, char *text, unsigned size);
    int (*uuid)(device handle, char *text, unsigned size);
    int (*memory)(device handle, struct memory *memory);
    int (*utilization)(device handle, struct utilization *utilization);
    int (*temperature)(device handle, unsigned sensor, unsigned *celsius);
};

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
    {"nvmlInit_v2", offsetof(struct nvml, init)},
    {"nvmlShutdown", offsetof(struct nvml, shutdown)},
    {"nvmlSystemGetDriverVersion", offsetof(struct nvml, driver_version)},
    {"nvmlDeviceGetCount_v2", offsetof(struct nvml, count)},
    {"nvmlDeviceGetHandleByIndex_v2", offsetof(struct nvml, handle)},
    {"nvmlDeviceGetName", offsetof(struct nvml, name)},
    {"nvmlDeviceGetUUID", offsetof(struct nvml, uuid)},
    {"nvmlDeviceGetMemoryInfo", offsetof(struct nvml, memory)},
    {"nvmlDeviceGetUtilizationRates", offsetof(struct nvml, utilization)},
    {"nvmlDeviceGetTemperature", offsetof(struct nvml, temperature)},
};

/* Look the functions up. ISO C has no cast from an object's pointer to a function's: it is copied.
 */
static void
bind_symbols(void *library, struct nvml *n)
{
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        void *symbol = dlsym(library, symbols[i].name);

        memcpy((char *)n + symbols[i].offset, &symbol, sizeof(symbol));
    }
}

static json_t *
text_or_null(bool known, char text[TEXT_SIZE])
{
    json_t *value;

    text[TEXT_SIZE - 1] = '\0';
    value = known ? json_string(text) : NULL; /* NULL as well for what is not UTF-8 */
    return value ? value : json_null();
}

static json_t *
number_or_null(bool known, unsigned long long number)
{
    return known ? json_integer((json_int_t)number) : json_null();
}

static json_t *
read_gpu(const struct nvml *n, unsigned index)
{
    char name[TEXT_SIZE] = "", uuid[TEXT_SIZE] = "";
    struct utilization utilization = {0};
    struct memory memory = {0};
    unsigned celsius = 0;
    device handle = NULL;
    bool there = n->handle && n->handle(index, &handle) == SUCCESS;
    bool has_name = there && n->name && n->name(handle, name, TEXT_SIZE) == SUCCESS;
    bool has_uuid = there && n->uuid && n->uuid(handle, uuid, TEXT_SIZE) == SUCCESS;
    bool has_memory = there && n->memory && n->memory(handle, &memory) == SUCCESS;
    bool has_load = there && n->utilization && n->utilization(handle, &utilization) == SUCCESS;
    bool has_heat =
        there && n->temperature && n->temperature(handle, TEMPERATURE_GPU, &celsius) == SUCCESS;

    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "index", (int)index, "uuid",
                     text_or_null(has_uuid, uuid), "name", text_or_null(has_name, name),
                     "memory_total_mb", number_or_null(has_memory, memory.total / MIB),
                     "memory_used_mb", number_or_null(has_memory, memory.used / MIB),
                     "utilization_percent", number_or_null(has_load, utilization.gpu),
                     "temperature_c", number_or_null(has_heat, celsius));
}

/* All that the started library says; NULL without memory. */
static json_t *
read_all(const struct nvml *n)
{
    json_auto_t *gpus = json_array();
    char version[TEXT_SIZE] = "";
    bool has_version = n->driver_version && n->driver_version(version, TEXT_SIZE) == SUCCESS;
    unsigned count = 0;

    if (!n->count || n->count(&count) != SUCCESS)
        count = 0;
    for (unsigned i = 0; i < count && i < NVML_GPUS_MAX; i++)
        if (json_array_append_new(gpus, read_gpu(n, i)) < 0)
            return NULL;
    return json_pack("{s:o, s:O}", "driver_version", text_or_null(has_version, version), "gpus",
                     gpus);
}

int
nvml_main(const char *library)
{
    json_auto_t *all = NULL;
    struct nvml n = {0};
    void *loaded;
    bool written;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* who asked is gone: nobody reads the answer */
    loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!loaded) {
        fprintf(stderr, "sandboxd: %s\n",
                dlerror()); /* NOLINT(concurrency-mt-unsafe): no threads */
        return 1;
    }
    bind_symbols(loaded, &n);
    if (!n.init || n.init() != SUCCESS) {
        fprintf(stderr, "sandboxd: %s does not start\n", library);
        return 1;
    }
    all = read_all(&n);
    written = all && json_dumpf(all, stdout, JSON_COMPACT) == 0 && putchar('\n') == '\n' &&
              fflush(stdout) == 0;
    if (n.shutdown)
        n.shutdown();
    return written ? 0 : 1;
}
