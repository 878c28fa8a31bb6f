/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Faults: the n-th call of a function fails, hangs, or kills its caller.
 */
#include "call.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

static int matches(const struct gs_fault *fault, int function, int gpu)
{
    return fault->used && (fault->function < 0 || fault->function == function) && (fault->gpu < 0 || fault->gpu == gpu);
}

/* Count this call down in every fault that it matches; the first that is due is copied to hit. */
int gs_fault_check(struct gs_call *call, int gpu, struct gs_fault *hit)
{
    for (int i = 0; i < GS_MAX_FAULTS; i++) {
        struct gs_fault *fault = &call->st->faults[i];

        if (!matches(fault, call->function, gpu))
            continue;
        if (fault->nth > 1) {
            fault->nth--;
            continue;
        }
        if (hit->used)
            continue; /* one fault a call; this one stays due */
        *hit = *fault;
        if (--fault->times == 0) {
            fault->used = 0;
            call->st->fault_count--;
        }
    }
    return (int)hit->used;
}

static void wait_for_ever(void)
{
    for (;;)
        pause();
}

void gs_fault_act(const struct gs_fault *fault)
{
    struct timespec rest = {.tv_sec = fault->seconds, .tv_nsec = 0};

    switch (fault->action) {
    case GS_ACT_KILL:
        kill(getpid(), SIGKILL);
        wait_for_ever();
        break;
    case GS_ACT_KILLGROUP:
        kill(0, SIGKILL);
        wait_for_ever();
        break;
    case GS_ACT_HANG:
        if (fault->seconds == 0)
            wait_for_ever();
        while (nanosleep(&rest, &rest) != 0)
            ;
        break;
    default:
        break;
    }
}
