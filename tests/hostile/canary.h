/* Files that nobody is to open or to change. */
#ifndef TESTS_HOSTILE_CANARY_H
#define TESTS_HOSTILE_CANARY_H

/* Make the canaries; that in the workspace @workspace (a path below the state directory) belongs to
 * the workspace's owner. From now on it is seen who opens them. */
void canaries_set(const char *workspace);

/* What became of them: NULL if nothing, else a sentence, in memory of their own. They are gone
 * then. */
const char *canaries_take(void);

#endif
