/*
 * `workspace_root` of access.yaml: a path such as /home/{user}/workspaces/{agent_id}. The part
 * before the first component with a placeholder is the admin's and has to be there; what follows
 * is the tenant's ground.
 */
#ifndef BACKEND_CONFIG_WORKSPACE_ROOT_H
#define BACKEND_CONFIG_WORKSPACE_ROOT_H

#define WORKSPACE_ROOT_USER "{user}"
#define WORKSPACE_ROOT_AGENT "{agent_id}"

enum { WORKSPACE_PATH_SIZE = 4096 };

/* Why @root is none: a static sentence without its subject; NULL if it is one. */
const char *workspace_root_fault(const char *root);

/*
 * Split @root, which is one, and fill in @user and @agent_id: the fixed path above, and the
 * tenant's path relative to it. Returns 0, or -ENAMETOOLONG.
 */
int workspace_root_expand(const char *root, const char *user, const char *agent_id,
                          char ret_above[WORKSPACE_PATH_SIZE], char ret_path[WORKSPACE_PATH_SIZE]);

#endif
