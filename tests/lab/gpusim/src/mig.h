/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the MIG files share.
 */
#ifndef GS_MIG_H
#define GS_MIG_H

#include "call.h"

/* mig_profiles.c */
const struct gs_profile *gs_profile_of(const struct gs_gpu *gpu, const struct gs_gi *gi);
int gs_profile_by_id(const struct gs_board *board, unsigned int id); /* index, or -1 */
nvmlReturn_t gs_check_mig(const struct gs_call *call); /* SUCCESS if MIG is on and instances may be managed */
nvmlReturn_t gs_check_capable(const struct gs_call *call);

/* placement.c */
int gs_gi_start_known(const struct gs_profile *profile, unsigned int start);
int gs_gi_fits(const struct gs_gpu *gpu, int profile, unsigned int start);
int gs_gi_choose(const struct gs_gpu *gpu, int profile); /* start slot by the driver's policy, or -1 */
unsigned int gs_gi_capacity(const struct gs_gpu *gpu, int profile);

/* compute_profiles.c: one compute instance profile of a live GPU instance */
struct gs_ci_profile {
    unsigned int slices, sm, start_count, starts[GS_MAX_STARTS];
};
int gs_ci_profile(const struct gs_gpu *gpu, const struct gs_gi *gi, unsigned int profile_enum,
                  struct gs_ci_profile *profile); /* 1 if the GPU instance offers it */
int gs_ci_fits(const struct gs_gi *gi, unsigned int start, unsigned int size);
void gs_ci_name(const struct gs_gpu *gpu, const struct gs_gi *gi, unsigned int profile_enum, char *name, size_t size);

/* instances */
struct gs_gi *gs_gi_by_id(struct gs_gpu *gpu, unsigned int id);
struct gs_ci *gs_ci_by_id(struct gs_gi *gi, unsigned int id);
unsigned int gs_ci_count(const struct gs_gi *gi);
int gs_has_instances(const struct gs_gpu *gpu);
int gs_mig_by_uuid(struct gs_state *st, struct gs_gpu *gpu, const char *uuid, nvmlDevice_t *device);
void gs_name_uuid(char *uuid, size_t size, const char *prefix, const char *seed);

/* process.c */
void gs_prune(struct gs_gpu *gpu);                  /* forget processes that have ended */
int gs_gpu_in_use(struct gs_gpu *gpu);              /* a process or holder anywhere on the GPU */
int gs_instance_in_use(struct gs_gpu *gpu, unsigned int gi, int ci); /* ci -1 = any on that GPU instance */
unsigned long long gs_used_mib(const struct gs_gpu *gpu, int gi);    /* by processes; gi -1 = all */
int gs_process_alive(int pid, unsigned long long *started);

/* reset.c */
void gs_defaults(struct gs_state *st, struct gs_gpu *gpu, const char *classes);
void gs_reset_gpu(struct gs_state *st, struct gs_gpu *gpu); /* inside gs_begin and gs_commit */
int gs_guest_without_reset(const struct gs_state *st);
void gs_reboot(struct gs_state *st);
void gs_unload(struct gs_state *st);

#endif
