/* The system calls of our containers, embedded as NUL-terminated text. */
    .section .rodata
    .global docker_seccomp_profile
docker_seccomp_profile:
    .incbin "backend/docker/seccomp.json"
    .byte 0
    .section .note.GNU-stack,"",@progbits
