/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Processes, resets, reboots, the driver module.
 */
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "gpusim.h"

/* fallback stands for a word that is not there; a word that is there is a number from least to INT32_MAX. */
static int parse_option(struct gs_command *command, const char *key, long long least, long long fallback,
                        long long *value)
{
    const char *text = gs_option(command, key);

    *value = fallback;
    if (text && (!gs_parse_int(text, value) || *value < least || *value > INT32_MAX))
        return gs_fail(command, "%s: \"%s\" is no number from %lld on", key, text, least);
    return GPUSIM_OK;
}

static int kind_by_name(const char *name)
{
    static const char *const names[GS_KINDS] = {"compute", "graphics", "mps", "holder"};

    for (int i = 0; i < GS_KINDS; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

/* Fill gi and ci of the new process. A compute instance that is the only one need not be named. */
static int place(struct gs_command *command, struct gs_gpu *gpu, long long gi_id, long long ci_id,
                 struct gs_process *process)
{
    struct gs_gi *gi;

    process->gi = process->ci = -1;
    if (gi_id < 0) {
        if (gpu->mig_current && process->kind != GS_HOLDER)
            return gs_fail(command, "MIG is on: name the GPU instance with gi=ID");
        return GPUSIM_OK;
    }
    gi = gpu->mig_current ? gs_gi_by_id(gpu, (unsigned int)gi_id) : NULL;
    if (!gi)
        return gs_fail(command, "no GPU instance %lld on this GPU", gi_id);
    process->gi = (int32_t)gi_id;
    for (int i = 0; ci_id < 0 && gs_ci_count(gi) == 1 && i < GS_MAX_CI; i++) {
        if (gi->cis[i].used)
            ci_id = gi->cis[i].id;
    }
    if (ci_id >= 0 && !gs_ci_by_id(gi, (unsigned int)ci_id))
        return gs_fail(command, "no compute instance %lld in GPU instance %lld", ci_id, gi_id);
    process->ci = (int32_t)ci_id;
    return GPUSIM_OK;
}

static void name_process(struct gs_process *process, const char *name)
{
    char path[32];
    FILE *file;

    if (name) {
        snprintf(process->name, sizeof(process->name), "%s", name);
        return;
    }
    snprintf(path, sizeof(path), "/proc/%d/comm", process->pid);
    file = fopen(path, "re");
    if (file && fgets(process->name, sizeof(process->name), file))
        process->name[strcspn(process->name, "\n")] = 0;
    if (file)
        fclose(file);
}

static int store(struct gs_command *command, struct gs_gpu *gpu, const struct gs_process *process)
{
    gs_prune(gpu);
    for (int i = 0; i < GS_MAX_PROCESSES; i++) {
        if (gpu->processes[i].pid)
            continue;
        gs_begin(command->st, gpu);
        gpu->processes[i] = *process;
        gs_commit(command->st);
        return GPUSIM_OK;
    }
    return gs_fail(command, "no room for more than %d processes on a GPU", GS_MAX_PROCESSES);
}

int gs_control_occupy(struct gs_command *command)
{
    static const char known[] = "gi= ci= pid= kind= mem= name= sm= sticky";
    const char *kind = gs_option(command, "kind");
    long long pid, gi, ci, mem, sm;
    struct gs_process process = {.sticky = (uint32_t)gs_has_word(command, "sticky")};
    unsigned long long started = 0;
    struct gs_gpu *gpu;

    if (command->count < 2 || !gs_option(command, "pid"))
        return gs_fail(command, "occupy GPU [gi=ID [ci=ID]] pid=PID [kind=...] [mem=MIB] [name=TEXT] [sm=PERCENT] [sticky]");
    if (gs_unknown_word(command, 1, known))
        return gs_fail(command, "occupy: unknown word \"%s\"", gs_unknown_word(command, 1, known));
    gpu = gs_find_gpu(command, command->words[0]);
    if (!gpu || parse_option(command, "pid", 1, 0, &pid) || parse_option(command, "gi", 0, -1, &gi) ||
        parse_option(command, "ci", 0, -1, &ci) || parse_option(command, "mem", 0, 256, &mem) ||
        parse_option(command, "sm", 0, 0, &sm))
        return GPUSIM_FAILED;
    if (kind && kind_by_name(kind) < 0)
        return gs_fail(command, "kind: \"%s\" is not compute, graphics, mps or holder", kind);
    process.kind = kind ? (uint32_t)kind_by_name(kind) : GS_COMPUTE;
    process.pid = (int32_t)pid;
    if (!gs_process_alive(process.pid, &started) && !process.sticky)
        return gs_fail(command, "no process %lld (add the word sticky for one that need not exist)", pid);
    if (place(command, gpu, gi, ci, &process) != GPUSIM_OK)
        return GPUSIM_FAILED;
    process.started = started;
    process.mib = process.kind == GS_HOLDER ? 0 : (uint32_t)mem;
    process.sm_percent = (uint32_t)sm;
    name_process(&process, gs_option(command, "name"));
    return store(command, gpu, &process);
}

int gs_control_release(struct gs_command *command)
{
    struct gs_gpu *gpu;
    long long pid;
    int released = 0;

    if (command->count != 2 || !gs_option(command, "pid"))
        return gs_fail(command, "release GPU pid=PID");
    gpu = gs_find_gpu(command, command->words[0]);
    if (!gpu || parse_option(command, "pid", 1, 0, &pid))
        return GPUSIM_FAILED;
    for (int i = 0; i < GS_MAX_PROCESSES; i++) {
        if (gpu->processes[i].pid == (int32_t)pid) {
            gpu->processes[i].pid = 0;
            released = 1;
        }
    }
    return released ? GPUSIM_OK : gs_fail(command, "process %lld is not on this GPU", pid);
}

int gs_control_reset(struct gs_command *command)
{
    struct gs_gpu *gpu;

    if (command->count != 1)
        return gs_fail(command, "reset GPU");
    gpu = gs_find_gpu(command, command->words[0]);
    if (!gpu)
        return GPUSIM_FAILED;
    if (!command->st->loaded)
        return gs_fail(command, "the driver is not loaded");
    if (gs_guest_without_reset(command->st))
        return gs_fail(command, "this guest cannot reset its GPU: reboot the guest");
    if (gs_gpu_in_use(gpu))
        return gs_fail(command, "GPU %s is in use by a process or another client", gpu->uuid);
    gs_begin(command->st, gpu);
    gs_reset_gpu(command->st, gpu);
    gpu->generation++;
    gs_commit(command->st);
    return GPUSIM_OK;
}

int gs_control_reboot(struct gs_command *command)
{
    gs_reboot(command->st);
    return GPUSIM_OK;
}

int gs_control_unload(struct gs_command *command)
{
    for (uint32_t i = 0; i < command->st->gpu_count; i++) {
        if (gs_gpu_in_use(&command->st->gpus[i]))
            return gs_fail(command, "the driver is in use: GPU %u has a process or holder", i);
    }
    gs_unload(command->st);
    return GPUSIM_OK;
}

int gs_control_load(struct gs_command *command)
{
    memcpy(command->st->kernel_driver, command->st->driver, sizeof(command->st->driver));
    command->st->loaded = 1;
    return GPUSIM_OK;
}
