/* The numbered migrations, embedded as NUL-terminated text; migrations.h lists them. */
    .section .rodata
    .global migration_0001_init
migration_0001_init:
    .incbin "backend/store/migrations/0001_init.sql"
    .byte 0
    .section .note.GNU-stack,"",@progbits
