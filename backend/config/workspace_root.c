/* `workspace_root` of access.yaml: see workspace_root.h. */
#include "backend/config/workspace_root.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The component of a path that @at lies in begins here. */
static const char *
component_of(const char *path, const char *at)
{
    while (at > path && at[-1] != '/')
        at--;
    return at;
}

/* Whether all braces belong to placeholders that there are, and nothing is a control character. */
static bool
placeholders_known(const char *root)
{
    for (const char *c = root; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '}')
            return false;
        if (*c != '{')
            continue;
        if (begins(c, WORKSPACE_ROOT_USER))
            c += strlen(WORKSPACE_ROOT_USER) - 1;
        else if (begins(c, WORKSPACE_ROOT_AGENT))
            c += strlen(WORKSPACE_ROOT_AGENT) - 1;
        else
            return false;
    }
    return true;
}

/* Whether every component is there and is a name. */
static bool
components_fit(const char *root)
{
    for (const char *c = root; *c == '/';) {
        size_t len = strcspn(++c, "/");

        if (len == 0 || (len == 1 && c[0] == '.') || (len == 2 && c[0] == '.' && c[1] == '.'))
            return false;
        c += len;
    }
    return true;
}

const char *
workspace_root_fault(const char *root)
{
    const char *first = strchr(root, '{');

    if (root[0] != '/' || !components_fit(root))
        return "must be an absolute path, without '//', '.', '..' and a '/' at its end";
    if (!placeholders_known(root))
        return "may hold the placeholders {user} and {agent_id} only";
    if (!strstr(root, WORKSPACE_ROOT_AGENT))
        return "must hold {agent_id}, so that each agent has a directory of its own";
    if (component_of(root, first) == root + 1)
        return "must begin with a directory that is the same for all, such as /home";
    return NULL;
}

/* Append @len bytes of @text to the @size bytes of @out. */
static bool
append(char *out, size_t size, const char *text, size_t len)
{
    size_t have = strlen(out);

    if (have + len >= size)
        return false;
    memcpy(out + have, text, len);
    out[have + len] = '\0';
    return true;
}

int
workspace_root_expand(const char *root, const char *user, const char *agent_id,
                      char ret_above[WORKSPACE_PATH_SIZE], char ret_path[WORKSPACE_PATH_SIZE])
{
    const char *c = component_of(root, strchr(root, '{'));
    bool fits;

    ret_above[0] = '\0';
    ret_path[0] = '\0';
    fits = append(ret_above, WORKSPACE_PATH_SIZE, root, (size_t)(c - root) - 1);
    while (fits && *c) {
        if (begins(c, WORKSPACE_ROOT_USER)) {
            fits = append(ret_path, WORKSPACE_PATH_SIZE, user, strlen(user));
            c += strlen(WORKSPACE_ROOT_USER);
        } else if (begins(c, WORKSPACE_ROOT_AGENT)) {
            fits = append(ret_path, WORKSPACE_PATH_SIZE, agent_id, strlen(agent_id));
            c += strlen(WORKSPACE_ROOT_AGENT);
        } else {
            fits = append(ret_path, WORKSPACE_PATH_SIZE, c++, 1);
        }
    }
    return fits ? 0 : -ENAMETOOLONG;
}
