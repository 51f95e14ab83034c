/* The subcommand `sandboxd check`: is what the YAML files say right, and can the engine do it? */
#ifndef FCGI_CHECK_COMMAND_H
#define FCGI_CHECK_COMMAND_H

/*
 * Run it; @argv[0] is "check", @docker_host the engine's address unless the arguments name another.
 * Returns the process's exit status: 1 where the files are not valid, or a tier names a runtime
 * that the engine does not have; 2 for arguments that it does not know. An engine that does not
 * answer, and versions with known faults, are warned of.
 */
int check_command(int argc, char **argv, const char *docker_host);

#endif
