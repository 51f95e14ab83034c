/*
 * A double of NVIDIA's management library, as a shared object that tests name in place of the real
 * one: there is no GPU where tests run. It has two GPUs. How it behaves is in its file's name,
 * under which a test puts a copy of it:
 *
 *   nvml-crash.so   dies when asked for the number of GPUs
 *   nvml-hang.so    never comes back from there
 *   nvml-none.so    refuses to start, as without a driver
 *   nvml-blind.so   knows the GPUs, and nothing about them
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, ERROR_INVALID_ARGUMENT = 2, ERROR_NOT_SUPPORTED = 3, ERROR_NO_DRIVER = 9 };
enum { GPUS = 2, MIB = 1 << 20 };

struct memory {
    unsigned long long total, free, used;
};

struct utilization {
    unsigned gpu, memory;
};

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlSystemGetDriverVersion(char *text, unsigned size);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, const void **handle);
int nvmlDeviceGetName(const int *gpu, char *text, unsigned size);
int nvmlDeviceGetUUID(const int *gpu, char *text, unsigned size);
int nvmlDeviceGetMemoryInfo(const int *gpu, struct memory *memory);
int nvmlDeviceGetUtilizationRates(const int *gpu, struct utilization *utilization);
int nvmlDeviceGetTemperature(const int *gpu, unsigned sensor, unsigned *celsius);

/* What a handle points at: the GPU's number. */
static const int numbers[GPUS] = {0, 1};

static bool
behaves(const char *how)
{
    Dl_info info;

    return dladdr(numbers, &info) != 0 && strstr(info.dli_fname, how);
}

int
nvmlInit_v2(void)
{
    return behaves("nvml-none") ? ERROR_NO_DRIVER : SUCCESS;
}

int
nvmlShutdown(void)
{
    return SUCCESS;
}

int
nvmlSystemGetDriverVersion(char *text, unsigned size)
{
    if (behaves("nvml-blind"))
        return ERROR_NOT_SUPPORTED;
    snprintf(text, size, "550.54.15");
    return SUCCESS;
}

int
nvmlDeviceGetCount_v2(unsigned *count)
{
    if (behaves("nvml-crash"))
        raise(SIGSEGV);
    while (behaves("nvml-hang"))
        pause();
    *count = GPUS;
    return SUCCESS;
}

int
nvmlDeviceGetHandleByIndex_v2(unsigned index, const void **handle)
{
    if (index >= GPUS)
        return ERROR_INVALID_ARGUMENT;
    *handle = &numbers[index];
    return SUCCESS;
}

int
nvmlDeviceGetName(const int *gpu, char *text, unsigned size)
{
    if (behaves("nvml-blind"))
        return ERROR_NOT_SUPPORTED;
    snprintf(text, size, "Double %d", *gpu);
    return SUCCESS;
}

int
nvmlDeviceGetUUID(const int *gpu, char *text, unsigned size)
{
    if (behaves("nvml-blind"))
        return ERROR_NOT_SUPPORTED;
    snprintf(text, size, "GPU-0000000%d-0000-0000-0000-000000000000", *gpu);
    return SUCCESS;
}

int
nvmlDeviceGetMemoryInfo(const int *gpu, struct memory *memory)
{
    if (behaves("nvml-blind"))
        return ERROR_NOT_SUPPORTED;
    memory->total = 8192ULL * MIB;
    memory->used = (100ULL + (unsigned)*gpu) * MIB;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int
nvmlDeviceGetUtilizationRates(const int *gpu, struct utilization *utilization)
{
    if (behaves("nvml-blind"))
        return ERROR_NOT_SUPPORTED;
    *utilization = (struct utilization){.gpu = 40 + (unsigned)*gpu, .memory = 5};
    return SUCCESS;
}

int
nvmlDeviceGetTemperature(const int *gpu, unsigned sensor, unsigned *celsius)
{
    if (behaves("nvml-blind") || sensor != 0)
        return ERROR_NOT_SUPPORTED;
    *celsius = 50 + (unsigned)*gpu;
    return SUCCESS;
}
