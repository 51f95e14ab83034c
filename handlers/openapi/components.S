/* The hand-written part of the API's description, embedded as NUL-terminated text. */
    .section .rodata
    .global openapi_components
openapi_components:
    .incbin "handlers/openapi/components.json"
    .byte 0
    .section .note.GNU-stack,"",@progbits
