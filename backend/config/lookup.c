/* What settings say of a name: the look-ups of settings.h. */
#include "backend/config/settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/config/access.h"

enum { FIRST_ACCOUNT = 1000, NOBODY = 65534 };

int
settings_tier_rank(const struct settings *s, const char *name)
{
    const struct tier *tiers = s->tiers.items;
    size_t i;

    for (i = 0; i < s->tiers.count; i++)
        if (!strcasecmp(tiers[i].name, name))
            return (int)i;
    return -1;
}

const struct tier *
settings_tier(const struct settings *s, const char *name)
{
    const struct tier *tiers = s->tiers.items;
    int rank = settings_tier_rank(s, name);

    return rank < 0 ? NULL : &tiers[rank];
}

const struct template_entry *
settings_template(const struct settings *s, const char *name)
{
    const struct template_entry *templates = s->templates.items;
    size_t i;

    for (i = 0; i < s->templates.count; i++)
        if (name ? !strcmp(templates[i].name, name) : templates[i].is_default)
            return &templates[i];
    return NULL;
}

int
access_rule_order(const void *a, const void *b)
{
    const struct access_rule *one = a, *other = b;

    return strcmp(one->name, other->name);
}

const struct access_rule *
settings_access(const struct settings *s, const char *user)
{
    const struct access_rule wanted = {.name = user};
    const struct access_rule *found =
        s->users.count > 0
            ? bsearch(&wanted, s->users.items, s->users.count, sizeof(wanted), access_rule_order)
            : NULL;

    return found ? found : &s->default_access;
}

bool
settings_account_fits(const struct settings *s, int64_t id)
{
    return id >= FIRST_ACCOUNT && id != NOBODY && id <= UINT32_MAX - 1 &&
           (id < s->service.uid_first || id > s->service.uid_last);
}
