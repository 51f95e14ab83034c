/* The end of an execution: see result.h. */
#include "backend/guest/result.h"

#include <signal.h>

enum { EXIT_STATUS_MAX = 255, SIGNAL_MAX = 64 };

static const int64_t figure_max = INT64_C(1) << 53; /* a JSON number holds it */

static bool
figure_possible(int64_t figure)
{
    return figure >= 0 && figure <= figure_max;
}

static bool
end_possible(const struct guest_exit *e)
{
    switch (e->end) {
    case GUEST_END_EXITED:
        return e->value <= EXIT_STATUS_MAX;
    case GUEST_END_SIGNALED:
        return e->value >= 1 && e->value <= SIGNAL_MAX;
    case GUEST_END_TIMED_OUT:
    case GUEST_END_CANCELLED:
    case GUEST_END_KILLED:
        return e->value == SIGKILL;
    default:
        return false;
    }
}

bool
guest_result_take(const struct guest_exit *e, struct guest_result *ret)
{
    if (!end_possible(e) || e->oom_killed > 1 || e->reserved != 0 ||
        !figure_possible(e->duration_us) || !figure_possible(e->cpu_us) ||
        !figure_possible(e->max_memory_kib))
        return false;
    *ret = (struct guest_result){
        .end = (enum guest_end)e->end,
        .exit_code = e->end == GUEST_END_EXITED ? (int)e->value : 0,
        .signal = e->end == GUEST_END_EXITED ? 0 : (int)e->value,
        .oom_killed = e->oom_killed == 1,
        .duration_us = e->duration_us,
        .cpu_us = e->cpu_us,
        .max_memory_kib = e->max_memory_kib,
    };
    return true;
}
