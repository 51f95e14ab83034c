/* The Accept header: see accept.h. */
#include "fcgi/accept.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { WEIGHT_ONE = 1000, FORMS = ACCEPT_LINES + 1 };

/* A media range of the header, or a parameter of one; not terminated. */
struct piece {
    const char *at;
    size_t len;
};

/* Take what is up to the next @separator outside of quotes from *@rest, without blanks around it.
 * Returns false at the end. */
static bool
take_piece(struct piece *rest, char separator, struct piece *ret)
{
    bool quoted = false;
    size_t n = 0;

    if (rest->len == 0)
        return false;
    for (; n < rest->len && (quoted || rest->at[n] != separator); n++) {
        if (quoted && rest->at[n] == '\\' && n + 1 < rest->len)
            n++;
        else if (rest->at[n] == '"')
            quoted = !quoted;
    }
    *ret = (struct piece){rest->at, n};
    if (n < rest->len)
        n++;
    *rest = (struct piece){rest->at + n, rest->len - n};
    for (; ret->len > 0 && isblank((unsigned char)*ret->at); ret->len--)
        ret->at++;
    while (ret->len > 0 && isblank((unsigned char)ret->at[ret->len - 1]))
        ret->len--;
    return true;
}

static bool
is(const struct piece *p, const char *word)
{
    return p->len == strlen(word) && strncasecmp(p->at, word, p->len) == 0;
}

/* A weight in thousandths: at most three digits after the point (RFC 9110, section 12.4.2). One
 * that is none is 0. */
static int
parse_weight(const char *s, size_t len)
{
    int weight = 0, unit = WEIGHT_ONE;

    if (len < 1 || len > 5 || (len > 1 && s[1] != '.'))
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (i == 1)
            continue;
        if (!isdigit((unsigned char)s[i]))
            return 0;
        weight += (s[i] - '0') * unit;
        unit /= 10;
    }
    return weight <= WEIGHT_ONE ? weight : 0;
}

/* The weight that the parameters @rest give their media range. */
static int
weight_of(struct piece rest)
{
    int weight = WEIGHT_ONE;
    struct piece p;

    while (take_piece(&rest, ';', &p))
        if (p.len >= 2 && strncasecmp(p.at, "q=", 2) == 0)
            weight = parse_weight(p.at + 2, p.len - 2);
    return weight;
}

enum accept
accept_parse(const char *header)
{
    struct piece rest = {header ? header : "", header ? strlen(header) : 0};
    enum accept best = ACCEPT_JSON;
    int weights[FORMS] = {0};
    struct piece range, type;

    while (take_piece(&rest, ',', &range)) {
        enum accept form = ACCEPT_JSON;
        int weight;

        if (!take_piece(&range, ';', &type))
            continue;
        if (is(&type, EVENTS_TYPE))
            form = ACCEPT_EVENTS;
        else if (is(&type, LINES_TYPE))
            form = ACCEPT_LINES;
        else if (!is(&type, "application/json") && !is(&type, "application/*") && !is(&type, "*/*"))
            continue;
        weight = weight_of(range);
        if (weight > weights[form])
            weights[form] = weight;
        if (form != ACCEPT_JSON && weight > 0 && (best == ACCEPT_JSON || weight > weights[best]))
            best = form;
    }
    return weights[ACCEPT_JSON] > weights[best] ? ACCEPT_JSON : best;
}
