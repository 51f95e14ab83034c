/* Checks over decoded settings: see check.h. Each goes on after a violation, to report several. */
#include "backend/config/check.h"

#include <errno.h>
#include <string.h>

#include "backend/config/names.h"
#include "backend/egress/address.h"
#include "backend/egress/name.h"
#include "backend/typo.h"

static int
check_domains(const struct strings *domains, const char *key, const struct places *places,
              struct error *err)
{
    const struct pointer policy = {.key = "network_policy"}, list = {.up = &policy, .key = key};
    char spelled[EGRESS_NAME_SIZE];
    size_t i;
    int r = 0;

    for (i = 0; i < domains->count; i++) {
        struct pointer here = {.up = &list, .index = i};

        if (egress_pattern(domains->items[i], spelled) < 0)
            r = places_violation(places, &here, err,
                                 "must be a host name such as example.org, *.example.org for the "
                                 "names below it, or an address, without scheme, port or path");
    }
    return r;
}

int
check_policy(const struct policy *policy, const struct places *places, struct error *err)
{
    const struct network_policy *network = &policy->network_policy;
    int allowed = check_domains(&network->allowed_domains, "allowed_domains", places, err);
    int blocked = check_domains(&network->blocked_domains, "blocked_domains", places, err);

    return allowed < 0 ? allowed : blocked;
}

int
check_tier_exists(const struct settings *s, const char *name, const struct pointer *at,
                  const struct places *places, struct error *err)
{
    const struct tier *tiers = s->tiers.items;
    struct typo typo = {.word = name};
    size_t i;

    if (!name || settings_tier(s, name))
        return 0;
    if (!name_is_tier(name))
        return places_violation(places, at, err, "must be the name of a tier");
    for (i = 0; i < s->tiers.count; i++)
        typo_offer(&typo, tiers[i].name);
    if (typo.nearest)
        return places_violation(places, at, err, "no tier is called '%s'; did you mean '%s'?", name,
                                typo.nearest);
    return places_violation(places, at, err, "no tier is called '%s'", name);
}

int
check_service(const struct settings *s, const struct places *places, struct error *err)
{
    const struct pointer selective = {.key = "selective"}, service = {.key = "service"};
    const struct pointer tiers = {.up = &selective, .key = "tiers"};
    const struct pointer uid_last = {.up = &service, .key = "uid_last"};
    const struct pointer builds = {.key = "builds"};
    const struct pointer credentials = {.up = &builds, .key = "credentials"};
    size_t i;
    int r = 0;

    for (i = 0; i < s->selective.tiers.count; i++) {
        struct pointer here = {.up = &tiers, .index = i};

        if (check_tier_exists(s, s->selective.tiers.items[i], &here, places, err) < 0)
            r = -EINVAL;
    }
    if (s->service.uid_last <= s->service.uid_first)
        r = places_violation(places, &uid_last, err, "must be greater than uid_first");
    if (s->builds.credentials[0] && s->builds.credentials[0] != '/')
        r = places_violation(places, &credentials, err, "must be an absolute path, or \"\"");
    return r;
}

/* The texts @list, which is `egress`'s member @key, have to be what @is_valid takes: @what. */
static int
check_texts(const struct strings *list, const char *key, bool (*is_valid)(const char *text),
            const char *what, const struct places *places, struct error *err)
{
    const struct pointer egress = {.key = "egress"}, at = {.up = &egress, .key = key};
    int r = 0;

    for (size_t i = 0; i < list->count; i++) {
        struct pointer here = {.up = &at, .index = i};

        if (!is_valid(list->items[i]))
            r = places_violation(places, &here, err, "must be %s", what);
    }
    return r;
}

int
check_egress(const struct egress_policy *e, const struct places *places, struct error *err)
{
    const struct pointer egress = {.key = "egress"}, ports = {.up = &egress, .key = "plain_ports"};
    int r = 0;

    for (size_t i = 0; i < e->plain_ports.count; i++) {
        struct pointer here = {.up = &ports, .index = i};
        size_t j = 0;

        while (j < e->ports.count && e->ports.items[j] != e->plain_ports.items[i])
            j++;
        if (j == e->ports.count)
            r = places_violation(places, &here, err, "must be one of egress.ports, too");
    }
    if (check_texts(&e->permit_addresses, "permit_addresses", egress_cidr_valid,
                    "an address or a network such as 10.1.0.0/16 or fd00::/8, with no bits set "
                    "after its prefix",
                    places, err) < 0)
        r = -EINVAL;
    if (check_texts(&e->nameservers, "nameservers", egress_nameserver_valid,
                    "an address such as 192.0.2.1 or 2001:db8::1, or one with a port such as "
                    "192.0.2.1:53 or [2001:db8::1]:53",
                    places, err) < 0)
        r = -EINVAL;
    return r;
}

int
check_tiers(const struct settings *s, const struct places *places, struct error *err)
{
    const struct pointer root = {.key = "tiers"};
    const struct tier *tiers = s->tiers.items;
    size_t i;
    int r = 0;

    for (i = 0; i < s->tiers.count; i++) {
        struct pointer here = {.up = &root, .key = tiers[i].name};
        const struct tier *first = settings_tier(s, tiers[i].name);

        if (!name_is_tier(tiers[i].name))
            r = places_violation(places, &here, err,
                                 "a tier's name has 1 to 64 letters, digits, '.', '_' and '-', and "
                                 "starts with a letter or digit");
        else if (first != &tiers[i])
            r = places_violation(places, &here, err,
                                 "the same name as '%s', as upper and lower case mean the same",
                                 first->name);
    }
    return r;
}

/* One target of the pool, that stands at @at. */
static int
check_target(const struct settings *s, size_t index, const struct pointer *at,
             const struct places *places, struct error *err)
{
    const struct pointer template_name = {.up = at, .key = "template"};
    const struct pointer tier_name = {.up = at, .key = "tier"};
    const struct pool_target *targets = s->pool.targets.items, *t = &targets[index];
    const struct template_entry *template = settings_template(s, t->template_name);
    const struct tier *tier = settings_tier(s, t->tier);
    size_t i;

    if (!name_is_template(t->template_name))
        return places_violation(places, &template_name, err, "must be the name of a template");
    if (!tier)
        return check_tier_exists(s, t->tier, &tier_name, places, err);
    if (tier->gpus > 0 || (template && template->gpus > 0))
        return places_violation(
            places, tier->gpus > 0 ? &tier_name : &template_name, err,
            "asks for GPUs, which a container that waits would keep from others");
    for (i = 0; i < index; i++)
        if (strcmp(targets[i].template_name, t->template_name) == 0 &&
            settings_tier(s, targets[i].tier) == tier)
            return places_violation(places, at, err, "the same template and tier as target %zu",
                                    i + 1);
    return 0;
}

int
check_pool(const struct settings *s, const struct places *places, struct error *err)
{
    const struct pointer pool = {.key = "pool"}, targets = {.up = &pool, .key = "targets"};
    size_t i;
    int r = 0;

    for (i = 0; i < s->pool.targets.count; i++) {
        struct pointer here = {.up = &targets, .index = i};

        if (check_target(s, i, &here, places, err) < 0)
            r = -EINVAL;
    }
    return r;
}

/* Whether a directory on the way to @path is a file itself. */
static bool
below_a_file(json_t *files, const char *path)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
        if (json_object_getn(files, path, (size_t)(slash - path)))
            return true;
    return false;
}

int
check_files(json_t *files, const struct pointer *at, const struct places *places, struct error *err)
{
    const struct pointer list = {.up = at, .key = "files"};
    const char *path;
    json_t *text;
    int r = 0;

    json_object_foreach(files, path, text)
    {
        const struct pointer here = {.up = &list, .key = path};
        const char *fault = name_context_path_fault(path);

        if (fault)
            r = places_violation(places, &here, err, "the path %s", fault);
        else if (below_a_file(files, path))
            r = places_violation(places, &here, err, "the path goes through another file");
    }
    return r;
}

/* What a template's image is made from: exactly one of `image` and `dockerfile`. */
static int
check_origin(const struct template_entry *t, const struct pointer *at, const struct places *places,
             struct error *err)
{
    const struct pointer image = {.up = at, .key = "image"}, files = {.up = at, .key = "files"};
    const struct pointer dockerfile = {.up = at, .key = "dockerfile"};

    if (!t->image && !t->dockerfile)
        return places_violation(places, &image, err, "is required, or dockerfile instead");
    if (t->image && t->dockerfile)
        return places_violation(places, &dockerfile, err, "may not be given together with image");
    if (t->image && t->files)
        return places_violation(places, &files, err, "go with a dockerfile, not with an image");
    if (t->image && !name_is_image(t->image))
        return places_violation(places, &image, err,
                                "must be an image reference such as python:3.12-slim");
    return check_files(t->files, at, places, err);
}

int
check_templates(const struct settings *s, const struct places *places, struct error *err)
{
    const struct pointer root = {.key = "templates"};
    const struct template_entry *templates = s->templates.items;
    const struct template_entry *first = settings_template(s, NULL);
    size_t i;
    int r = 0;

    for (i = 0; i < s->templates.count; i++) {
        struct pointer here = {.up = &root, .key = templates[i].name};
        struct pointer is_default = {.up = &here, .key = "default"};

        if (!name_is_template(templates[i].name))
            r = places_violation(
                places, &here, err,
                "a template's name has 1 to 63 lower-case letters, digits, '.', '_' "
                "and '-', and starts with a letter or digit");
        if (check_origin(&templates[i], &here, places, err) < 0)
            r = -EINVAL;
        if (templates[i].is_default && first != &templates[i])
            r = places_violation(places, &is_default, err,
                                 "another template is the default already");
    }
    return r;
}
