/* `sandboxd token`: make, list and revoke bearer tokens from the shell. */
#ifndef FCGI_TOKEN_COMMAND_H
#define FCGI_TOKEN_COMMAND_H

/* The subcommand's main; argv[0] is "token". Returns the exit status. */
int token_command(int argc, char **argv);

#endif
