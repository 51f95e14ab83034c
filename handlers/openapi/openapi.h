/*
 * The API's description, made of the tables that the router works by: what it says of paths, roles,
 * bodies and queries is what is checked. Answers are described in components.json, by hand, and
 * held against the service by tests/api/test_contract.c.
 */
#ifndef HANDLERS_OPENAPI_OPENAPI_H
#define HANDLERS_OPENAPI_OPENAPI_H

#include <jansson.h>

#include "handlers/handler.h"

/* OpenAPI 3.1 of the operations in @tables (as route_tables). A new reference; NULL out of memory.
 */
json_t *openapi_document(const struct route *const *tables);

/* The name of an operation in generated clients, "postContainersByIdExec", in @out of @size. */
void openapi_operation_id(const struct route *route, char *out, size_t size);

/* components.json as text: the schemas, responses and parameters that all operations share. */
extern const char openapi_components[];

#endif
