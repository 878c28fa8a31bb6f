/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * show: the whole state as JSON.
 */
#include <stdio.h>

#include "control.h"
#include "gpusim.h"

static const char *const kinds[GS_KINDS] = {"compute", "graphics", "mps", "holder"};
static const char *const virts[] = {"none", "passthrough", "vgpu"};

static void show_process(struct gs_json *json, const struct gs_process *process)
{
    gs_json_open(json, NULL, '{');
    gs_json_int(json, "pid", process->pid);
    gs_json_string(json, "kind", kinds[process->kind]);
    gs_json_string(json, "name", process->name);
    gs_json_int(json, "memory_mib", process->mib);
    if (process->gi >= 0)
        gs_json_int(json, "gi", process->gi);
    else
        gs_json_null(json, "gi");
    if (process->ci >= 0)
        gs_json_int(json, "ci", process->ci);
    else
        gs_json_null(json, "ci");
    gs_json_bool(json, "sticky", (int)process->sticky);
    gs_json_close(json, '}');
}

/* gi -2 = all, else those of that GPU instance; ci -2 = all, else those of that compute instance. */
static void show_processes(struct gs_json *json, const struct gs_gpu *gpu, int gi, int ci)
{
    gs_json_open(json, "processes", '[');
    for (int i = 0; i < GS_MAX_PROCESSES; i++) {
        const struct gs_process *process = &gpu->processes[i];

        if (process->pid && (gi == -2 || process->gi == gi) && (ci == -2 || process->ci == ci))
            show_process(json, process);
    }
    gs_json_close(json, ']');
}

static void show_placement(struct gs_json *json, unsigned int start, unsigned int size)
{
    gs_json_open(json, "placement", '{');
    gs_json_int(json, "start", start);
    gs_json_int(json, "size", size);
    gs_json_close(json, '}');
}

static void show_ci(struct gs_json *json, const struct gs_gpu *gpu, const struct gs_gi *gi, const struct gs_ci *ci)
{
    struct gs_ci_profile profile = {0};
    char name[64];

    gs_ci_profile(gpu, gi, ci->profile_enum, &profile);
    gs_ci_name(gpu, gi, ci->profile_enum, name, sizeof(name));
    gs_json_open(json, NULL, '{');
    gs_json_int(json, "id", ci->id);
    gs_json_string(json, "profile", name + 4);
    gs_json_int(json, "profile_id", ci->profile_enum);
    gs_json_string(json, "uuid", ci->uuid);
    gs_json_int(json, "mig_index", ci->mig_index);
    gs_json_int(json, "sms", profile.sm);
    show_placement(json, ci->start, ci->size);
    show_processes(json, gpu, (int)gi->id, (int)ci->id);
    gs_json_close(json, '}');
}

static void show_gi(struct gs_json *json, const struct gs_gpu *gpu, const struct gs_gi *gi)
{
    const struct gs_profile *profile = gs_profile_of(gpu, gi);

    gs_json_open(json, NULL, '{');
    gs_json_int(json, "id", gi->id);
    gs_json_string(json, "profile", profile->name);
    gs_json_int(json, "profile_id", profile->id);
    show_placement(json, gi->start, profile->slots);
    show_processes(json, gpu, (int)gi->id, -2);
    gs_json_open(json, "compute_instances", '[');
    for (int i = 0; i < GS_MAX_CI; i++) {
        if (gi->cis[i].used)
            show_ci(json, gpu, gi, &gi->cis[i]);
    }
    gs_json_close(json, ']');
    gs_json_close(json, '}');
}

static int is_setting(enum gs_value value)
{
    char class = gs_value_infos[value].class;

    return class == 'S' || class == 'P' || value == V_ECC_CURRENT || value == V_ECC_PENDING;
}

static void show_values(struct gs_json *json, const struct gs_gpu *gpu, const char *key, int settings)
{
    gs_json_open(json, key, '{');
    for (int v = 0; v < V_COUNT; v++) {
        const struct gs_value_info *info = &gs_value_infos[v];

        if (is_setting((enum gs_value)v) != settings)
            continue;
        if (gpu->values[v] == GS_NONE)
            gs_json_null(json, info->name);
        else
            gs_json_scaled(json, info->name, gpu->values[v], info->scale);
    }
    gs_json_close(json, '}');
}

static void show_links(struct gs_json *json, const struct gs_gpu *gpu)
{
    gs_json_open(json, "nvlinks", '[');
    for (unsigned int i = 0; i < gs_board_of(gpu)->nvlinks; i++) {
        const struct gs_link *link = &gpu->links[i];

        gs_json_open(json, NULL, '{');
        gs_json_int(json, "state", link->state);
        gs_json_int(json, "speed", link->speed_mbps);
        gs_json_int(json, "replay", (int64_t)link->replay);
        gs_json_int(json, "recovery", (int64_t)link->recovery);
        gs_json_int(json, "crc_flit", (int64_t)link->crc_flit);
        gs_json_int(json, "crc_data", (int64_t)link->crc_data);
        gs_json_int(json, "ecc_data", (int64_t)link->ecc_data);
        gs_json_close(json, '}');
    }
    gs_json_close(json, ']');
}

static void show_identity(struct gs_json *json, const struct gs_state *st, const struct gs_gpu *gpu)
{
    const struct gs_board *board = gs_board_of(gpu);
    char text[32];

    gs_json_int(json, "index", gpu - st->gpus);
    gs_json_string(json, "uuid", gpu->uuid);
    gs_json_string(json, "board", board->key);
    gs_json_string(json, "name", board->name);
    gs_json_string(json, "architecture", board->architecture_name);
    gs_json_string(json, "serial", gpu->serial);
    gs_json_int(json, "minor", gpu->minor);
    snprintf(text, sizeof(text), "%04x:%02x:00.0", gpu->domain, gpu->bus);
    gs_json_string(json, "pci", text);
    snprintf(text, sizeof(text), "10de:%04x", board->pci_device >> 16);
    gs_json_string(json, "device_id", text);
    snprintf(text, sizeof(text), "10de:%04x", board->pci_subsystem >> 16);
    gs_json_string(json, "subsystem_id", text);
    gs_json_int(json, "memory_mib", board->memory_mib);
    gs_json_int(json, "bar1_mib", board->bar1_mib);
    gs_json_int(json, "resets", gpu->resets);
}

static void show_gpu(struct gs_json *json, const struct gs_state *st, const struct gs_gpu *gpu)
{
    gs_json_open(json, NULL, '{');
    show_identity(json, st, gpu);
    gs_json_open(json, "mig", '{');
    gs_json_bool(json, "capable", gs_board_has_mig(gs_board_of(gpu)));
    gs_json_bool(json, "current", (int)gpu->mig_current);
    gs_json_bool(json, "pending", (int)gpu->mig_pending);
    gs_json_close(json, '}');
    gs_json_open(json, "instances", '[');
    for (int i = 0; i < GS_MAX_GI; i++) {
        if (gpu->gis[i].used)
            show_gi(json, gpu, &gpu->gis[i]);
    }
    gs_json_close(json, ']');
    show_processes(json, gpu, -2, -2);
    show_values(json, gpu, "settings", 1);
    show_values(json, gpu, "readings", 0);
    show_links(json, gpu);
    gs_json_close(json, '}');
}

int gs_control_show(struct gs_command *command)
{
    struct gs_state *st = command->st;
    struct gs_json *json = &command->json;

    gs_json_open(json, NULL, '{');
    gs_json_string(json, "driver", st->driver);
    gs_json_string(json, "kernel_driver", st->kernel_driver);
    gs_json_string(json, "nvml", st->nvml);
    gs_json_int(json, "cuda", st->cuda);
    gs_json_bool(json, "loaded", (int)st->loaded);
    gs_json_string(json, "virt", virts[st->virt]);
    gs_json_bool(json, "guest_reset", (int)st->guest_reset);
    gs_json_string(json, "ampere_toggle", st->ampere_immediate ? "immediate" : "pending");
    gs_json_int(json, "boot_count", st->boot_count);
    gs_json_string(json, "seed", st->seed);
    gs_json_open(json, "gpus", '[');
    for (uint32_t i = 0; i < st->gpu_count; i++) {
        gs_prune(&st->gpus[i]);
        show_gpu(json, st, &st->gpus[i]);
    }
    gs_json_close(json, ']');
    gs_json_close(json, '}');
    return GPUSIM_OK;
}
