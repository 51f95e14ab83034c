/* `sandboxd explain`: what an execution of some user would meet, without running it. */
#ifndef FCGI_EXPLAIN_COMMAND_H
#define FCGI_EXPLAIN_COMMAND_H

/*
 * Run `explain` with its arguments (argv[0] is "explain"). Returns the exit status: 0 if the
 * execution (and the domain that is asked for) would be allowed, 1 if not, 2 for a wrong use or a
 * failure.
 */
int explain_command(int argc, char **argv);

#endif
