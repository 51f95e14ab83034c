/*
 * What NVIDIA's management library says, in a process of its own: the library is somebody else's
 * code that talks to a driver, and may hang or crash whoever calls it.
 */
#ifndef BACKEND_NVML_H
#define BACKEND_NVML_H

enum { NVML_GPUS_MAX = 63 };

/*
 * Load @library (as dlopen(3) takes it) and print {"driver_version", "gpus": [{"index", "uuid",
 * "name", "memory_total_mb", "memory_used_mb", "utilization_percent", "temperature_c"}]} on stdout,
 * null for what the library does not say. Runs as the process's main; returns its exit status, 1 if
 * there is no such library or it does not start.
 */
int nvml_main(const char *library);

#endif
