/* Lists by pages: `limit`, `cursor` and `next_cursor`. */
#ifndef HANDLERS_PAGE_H
#define HANDLERS_PAGE_H

#include <stdint.h>

#include <jansson.h>

#include "backend/error.h"
#include "handlers/handler.h"

enum { PAGE_LIMIT_DEFAULT = 50, PAGE_LIMIT_MAX = 500 };

/*
 * The position that @cursor (NULL: the start) stands for. It has to be one that this caller was
 * given for this path and these parameters; only the limit may differ. Errors: ERR_BAD_QUERY.
 */
int page_position(const struct request *req, const char *cursor, int64_t *ret_before,
                  struct error *err);

/*
 * The answer {NAME: items, next_cursor}: @last is the position of the last item, 0 when the list
 * has ended. Takes the reference of @items. NULL out of memory.
 */
json_t *page_json(const struct request *req, const char *name, json_t *items, int64_t last);

#endif
