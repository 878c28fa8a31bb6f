/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The state of the simulated node: one mmap'ed file, one lock.
 *
 * Every operation holds a process mutex (threads, remapping, fork) and then the robust process-shared mutex inside the
 * mapping. A GPU is changed between gs_begin and gs_commit only: the old GPU is kept beside it, so that the process
 * that inherits the lock from a killed one takes half a change back.
 */
#ifndef GS_STATE_H
#define GS_STATE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "values.h"

#define GS_MAX_GPUS 16
#define GS_MAX_GI 8
#define GS_MAX_CI 8
#define GS_MAX_PROCESSES 64
#define GS_MAX_LINKS 18
#define GS_MAX_FAULTS 32
#define GS_MAX_FUNCTIONS 512
#define GS_MAX_EVENTS 64

enum gs_kind { GS_COMPUTE, GS_GRAPHICS, GS_MPS, GS_HOLDER, GS_KINDS };
enum gs_virt { GS_VIRT_NONE, GS_VIRT_PASSTHROUGH, GS_VIRT_VGPU };

struct gs_process {
    int32_t pid; /* 0 = free entry */
    int32_t gi, ci; /* -1 = none */
    uint32_t kind, sticky, mib, sm_percent;
    uint64_t started; /* start time from /proc, so that a reused PID is not taken for the old process */
    char name[96];
};

struct gs_ci {
    uint32_t used, id, serial, profile_enum, start, size, mig_index;
    char uuid[48];
};

struct gs_gi {
    uint32_t used, id, serial, profile, start; /* profile = index in the board's table */
    struct gs_ci cis[GS_MAX_CI];
};

struct gs_link {
    uint32_t state; /* 1 = active */
    uint32_t speed_mbps;
    uint64_t replay, recovery, crc_flit, crc_data, ecc_data;
};

struct gs_gpu {
    uint32_t board; /* index in gs_boards */
    uint32_t generation; /* device handles carry it; a reset makes the old ones stale */
    uint32_t serials; /* last serial given to an instance; never falls, so handles and UUIDs are never used twice */
    uint32_t mig_current, mig_pending;
    uint32_t domain, bus, minor, resets;
    char uuid[48], serial[16];
    int64_t values[V_COUNT];
    struct gs_gi gis[GS_MAX_GI];
    struct gs_link links[GS_MAX_LINKS];
    struct gs_process processes[GS_MAX_PROCESSES];
};

enum gs_action { GS_ACT_CODE, GS_ACT_HANG, GS_ACT_KILL, GS_ACT_KILLGROUP };

struct gs_fault {
    uint32_t used, action, after, seconds; /* seconds 0 = for ever */
    int32_t function, gpu; /* -1 = any */
    int32_t code;
    uint64_t nth, times; /* calls still to go until the first one; firings left */
};

struct gs_event {
    uint64_t number; /* 1, 2, ...; 0 = empty */
    uint64_t type, data;
    uint32_t gpu;
};

struct gs_state {
    uint64_t magic;
    uint32_t layout; /* size of this struct: another build does not touch the file */
    uint32_t ready; /* 0 until init has come to its end */
    pthread_mutex_t lock;
    uint32_t loaded, virt, guest_reset, ampere_immediate;
    uint32_t gpu_count, boot_count, boards_known;
    char driver[32], kernel_driver[32], nvml[32], seed[160]; /* a host name fits the seed */
    int32_t cuda;
    uint64_t counts[GS_MAX_FUNCTIONS];
    uint32_t fault_count;
    struct gs_fault faults[GS_MAX_FAULTS];
    uint64_t event_number;
    struct gs_event events[GS_MAX_EVENTS];
    /* The change in progress: the GPU as it was, valid while undo_valid is set. */
    uint32_t undo_valid, undo_index;
    struct gs_gpu undo;
    struct gs_gpu gpus[GS_MAX_GPUS];
};

/* Map the file named by GPUSIM_STATE (again, if the name or the file changed). Holds the process mutex on success and
 * on failure. Returns 0, or an errno. */
int gs_attach(int recheck);
void gs_detach_unlock(void); /* only releases the process mutex */

/* Take the state lock; the process mutex is held. NULL, and errno, if nothing is mapped or what is mapped makes no
 * sense. */
struct gs_state *gs_lock(void);
void gs_unlock(void); /* releases both */

/* Make a new file or take the existing one over, keep its lock. Process mutex held. Returns NULL and sets errno. */
struct gs_state *gs_create(void);

int gs_is_sound(const struct gs_state *st); /* state_sound.c */

void gs_begin(struct gs_state *st, struct gs_gpu *gpu);
void gs_commit(struct gs_state *st);

static inline const struct gs_board *gs_board_of(const struct gs_gpu *gpu)
{
    return &gs_boards[gpu->board];
}

#endif
