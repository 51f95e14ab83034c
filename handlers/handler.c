/* What every handler ends with: see handler.h. */
#include "handlers/handler.h"

#include <errno.h>

int
response_json(struct response *res, int status, json_t *json, struct error *err)
{
    if (!json)
        return error_errno(err, ENOMEM, "building an answer");
    json_decref(res->json);
    res->json = json;
    res->status = status;
    return 0;
}
