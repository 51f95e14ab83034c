/* The numbered migrations, embedded as NUL-terminated text; migrations.h lists them. */
    .section .rodata
    .global migration_0001_init
migration_0001_init:
    .incbin "backend/store/migrations/0001_init.sql"
    .byte 0
    .global migration_0002_whole_seed
migration_0002_whole_seed:
    .incbin "backend/store/migrations/0002_whole_seed.sql"
    .byte 0
    .global migration_0003_tokens
migration_0003_tokens:
    .incbin "backend/store/migrations/0003_tokens.sql"
    .byte 0
    .global migration_0004_quotas
migration_0004_quotas:
    .incbin "backend/store/migrations/0004_quotas.sql"
    .byte 0
    .section .note.GNU-stack,"",@progbits
