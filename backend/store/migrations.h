/* The schema's history: each migration is applied once, in this order; user_version counts them. */
#ifndef BACKEND_STORE_MIGRATIONS_H
#define BACKEND_STORE_MIGRATIONS_H

extern const char migration_0001_init[];
extern const char migration_0002_whole_seed[];
extern const char migration_0003_tokens[];
extern const char migration_0004_quotas[];

static const char *const migrations[] = {
    migration_0001_init,
    migration_0002_whole_seed,
    migration_0003_tokens,
    migration_0004_quotas,
};

#endif
