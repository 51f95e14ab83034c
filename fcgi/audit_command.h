/* The subcommand `sandboxd audit`: verify the audit log's hash chain, or print the log. */
#ifndef FCGI_AUDIT_COMMAND_H
#define FCGI_AUDIT_COMMAND_H

/* Run it; @argv[0] is "audit". Returns the process's exit status: 1 where the chain is broken or
 * the log cannot be read, 2 for arguments that it does not know. */
int audit_command(int argc, char **argv);

#endif
