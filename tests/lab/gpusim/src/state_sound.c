/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Is a state file sound? Whatever is used as an index or as a string is looked at: a damaged file must not take its
 * reader down.
 */
#include <string.h>

#include "state.h"

static int ends(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

static int is_gpu_sound(const struct gs_gpu *gpu)
{
    int sound = gpu->board < (uint32_t)gs_board_count && ends(gpu->uuid, sizeof(gpu->uuid)) &&
                ends(gpu->serial, sizeof(gpu->serial));

    for (int i = 0; sound && i < GS_MAX_GI; i++) {
        const struct gs_gi *gi = &gpu->gis[i];

        sound = !gi->used || gi->profile < gs_board_of(gpu)->profile_count;
        for (int j = 0; sound && j < GS_MAX_CI; j++) {
            const struct gs_ci *ci = &gi->cis[j];

            sound = !ci->used || (ci->mig_index < 64 && ci->profile_enum < NVML_COMPUTE_INSTANCE_PROFILE_COUNT &&
                                  ends(ci->uuid, sizeof(ci->uuid)));
        }
    }
    for (int i = 0; sound && i < GS_MAX_PROCESSES; i++) {
        const struct gs_process *process = &gpu->processes[i];

        sound = !process->pid || (process->kind < GS_KINDS && ends(process->name, sizeof(process->name)));
    }
    return sound;
}

int gs_is_sound(const struct gs_state *st)
{
    int sound = st->ready && st->gpu_count <= GS_MAX_GPUS && st->undo_index < GS_MAX_GPUS && st->virt <= GS_VIRT_VGPU &&
                ends(st->driver, sizeof(st->driver)) && ends(st->kernel_driver, sizeof(st->kernel_driver)) &&
                ends(st->nvml, sizeof(st->nvml)) && ends(st->seed, sizeof(st->seed));

    for (uint32_t i = 0; sound && i < st->gpu_count; i++)
        sound = is_gpu_sound(&st->gpus[i]);
    for (int i = 0; sound && i < GS_MAX_FAULTS; i++) {
        const struct gs_fault *fault = &st->faults[i];

        sound = !fault->used || (fault->action <= GS_ACT_KILLGROUP && fault->function < GS_MAX_FUNCTIONS);
    }
    return sound;
}
