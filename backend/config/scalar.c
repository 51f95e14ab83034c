/* Plain scalars of YAML: see scalar.h. The patterns are those of the YAML 1.2.2 spec,
 * section 10.3.2. */
#include "backend/config/scalar.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backend/schema.h"

#define DIGITS "0123456789"

static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const trues[] = {"true", "True", "TRUE", NULL};
static const char *const falses[] = {"false", "False", "FALSE", NULL};
static const char *const not_finite[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL};

/* Whether all of @text, and at least one character, is of @set. */
static bool
is_all(const char *text, const char *set)
{
    size_t len = strspn(text, set);

    return len > 0 && text[len] == '\0';
}

static const char *
after_sign(const char *text)
{
    return text + (*text == '+' || *text == '-');
}

/* The base @text is an integer in, 0 if it is none; *digits is where strtoll() is to start. */
static int
integer_base(const char *text, const char **ret_digits)
{
    *ret_digits = text;
    if (is_all(after_sign(text), DIGITS))
        return 10;
    *ret_digits = text + 2;
    if (!strncmp(text, "0o", 2) && is_all(text + 2, "01234567"))
        return 8;
    if (!strncmp(text, "0x", 2) && is_all(text + 2, DIGITS "abcdefABCDEF"))
        return 16;
    return 0;
}

/* Whether @text is [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool
is_float(const char *text)
{
    size_t whole, fraction = 0;

    text = after_sign(text);
    whole = strspn(text, DIGITS);
    text += whole;
    if (*text == '.') {
        fraction = strspn(text + 1, DIGITS);
        text += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*text == 'e' || *text == 'E')
        return is_all(after_sign(text + 1), DIGITS);
    return *text == '\0';
}

static int
hand_out(json_t *value, json_t **ret)
{
    if (!value)
        return -ENOMEM;
    *ret = value;
    return 0;
}

static int
resolve_integer(const char *digits, int base, json_t **ret)
{
    long long value;

    errno = 0;
    value = strtoll(digits, NULL, base);
    if (errno)
        return -ERANGE;
    return hand_out(json_integer(value), ret);
}

int
scalar_resolve(const char *text, json_t **ret)
{
    const char *digits;
    double value;
    int base;

    if (schema_enum(nulls, text))
        return hand_out(json_null(), ret);
    if (schema_enum(trues, text) || schema_enum(falses, text))
        return hand_out(json_boolean(schema_enum(trues, text)), ret);
    base = integer_base(text, &digits);
    if (base)
        return resolve_integer(digits, base, ret);
    if (schema_enum(not_finite, after_sign(text)))
        return -ERANGE;
    if (!is_float(text))
        return hand_out(json_string(text), ret);
    value = strtod(text, NULL);
    return isfinite(value) ? hand_out(json_real(value), ret) : -ERANGE;
}
