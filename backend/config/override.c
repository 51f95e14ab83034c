/* Overrides of the policy, as PUT config patches them: settings_override() of settings.h. */
#include "backend/config/settings.h"

#include <errno.h>

/* Apply the object @patch to the object @target. Returns 0 or -ENOMEM. */
static int
patch_object(json_t *target, json_t *patch)
{
    const char *key;
    json_t *value, *old;
    int r = 0;

    json_object_foreach(patch, key, value)
    {
        old = json_object_get(target, key);
        if (json_is_object(value)) {
            if (!json_is_object(old))
                r = json_object_set_new(target, key, json_object());
            if (r == 0)
                r = patch_object(json_object_get(target, key), value);
            if (r == 0 && json_object_size(json_object_get(target, key)) == 0)
                json_object_del(target, key);
        } else if (!json_is_null(value)) {
            r = json_object_set_new(target, key, json_deep_copy(value));
        } else if (old) {
            json_object_del(target, key);
        }
        if (r < 0)
            return -ENOMEM;
    }
    return 0;
}

int
settings_override(json_t *overrides, json_t *patch, json_t **ret, struct error *err)
{
    json_auto_t *result = overrides ? json_deep_copy(overrides) : json_object();
    struct policy scratch = {0};
    int r;

    /* Decoded to be checked: what patching cannot show any more, such as a null for no field. */
    r = schema_decode_patch(policy_fields, patch, &scratch, err);
    if (r < 0)
        return r;
    schema_release(policy_fields, &scratch);
    if (!result || patch_object(result, patch) < 0)
        return error_errno(err, ENOMEM, "overrides");
    *ret = TAKE(result);
    return 0;
}
