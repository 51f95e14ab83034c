/* What every handler ends with: see handler.h. */
#include "handlers/handler.h"

#include <errno.h>
#include <stdlib.h>

struct caller
request_caller(const struct request *req)
{
    return (struct caller){
        .user = req->user,
        .role = req->role,
        .action = req->action,
        .request_id = req->request_id,
        .nonce = req->nonce,
    };
}

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

int
response_text(struct response *res, char *text)
{
    free(res->text);
    res->text = text;
    res->status = 200;
    return 0;
}
