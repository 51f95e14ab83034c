/*
 * seccomp.json: the system calls that a container of ours may make, as the engine takes it
 * (Docker's "seccomp security profiles" format). What it does not name is refused with EPERM. It is
 * shorter than the engine's own: what Docker 20.10 lets through but a tenant must not have is
 * io_uring, sockets of every family (AF_ALG, AF_VSOCK), userfaultfd, keyrings and, with rights,
 * namespaces.
 *
 * No other architecture than the machine's own: 32-bit programs are killed (their socketcall(2)
 * would hide a socket's family), and so are x32's calls.
 */
#ifndef BACKEND_DOCKER_SECCOMP_H
#define BACKEND_DOCKER_SECCOMP_H

extern const char docker_seccomp_profile[];

#endif
