/* GET gpu. */
#include "backend/gpu.h"
#include "backend/cleanup.h"
#include "handlers/handler.h"
#include "handlers/json.h"
#include "handlers/routes.h"

static json_t *
known(int64_t number)
{
    return number < 0 ? json_null() : json_integer((json_int_t)number);
}

static json_t *
gpu_json(const struct gpu *g)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "index", known(g->index), "uuid",
                     json_text(g->uuid), "name", json_text(g->name), "memory_total_mb",
                     known(g->memory_total_mb), "memory_used_mb", known(g->memory_used_mb),
                     "utilization_percent", known(g->utilization_percent), "temperature_c",
                     known(g->temperature_c));
}

/*
 * GET gpu - the machine's GPUs, as NVIDIA's library shows them now.
 *
 * 200  {available, driver_version, gpus: [{index, uuid, name, memory_total_mb, memory_used_mb,
 *      utilization_percent, temperature_c}], container_runtime}; null for what it does not say
 */
static int
gpu_get(const struct request *req, struct response *res, struct error *err)
{
    json_auto_t *list = json_array();
    struct gpu_report report;

    gpu_read(req->backend, &report);
    for (size_t i = 0; list && i < report.count; i++)
        if (json_array_append_new(list, gpu_json(&report.items[i])) < 0)
            return response_json(res, 200, NULL, err);
    return response_json(res, 200,
                         json_pack("{s:b, s:o, s:O, s:o}", "available", report.count > 0,
                                   "driver_version", json_text(report.driver_version), "gpus", list,
                                   "container_runtime", json_text(report.runtime)),
                         err);
}

const struct route gpu_routes[] = {
    {.method = "GET",
     .path = "/gpu",
     .role = ROLE_VIEWER,
     .handle = gpu_get,
     .answers = "200 Gpu",
     .summary = "The machine's GPUs"},
    {0},
};
