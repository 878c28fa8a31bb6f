/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How an NVML function begins and ends: count, fault, initialised, arguments, driver, handle, rights; and unlocking.
 *
 *     nvmlReturn_t nvmlDeviceGetFoo(nvmlDevice_t device, unsigned int *foo)
 *     {
 *         GS_ENTER_DEVICE(c, device, foo != NULL, GS_GPU_ONLY);
 *         *foo = ...;
 *         return gs_leave(&c, NVML_SUCCESS);
 *     }
 */
#ifndef GS_CALL_H
#define GS_CALL_H

#include "state.h"

struct gs_function {
    const char *name;
    int root;    /* the header says that the function needs root or a privileged user */
    int modelled; /* a source file defines it */
};

extern const struct gs_function gs_functions[]; /* sorted by name */
extern const int gs_function_count;

/* One call. gpu, gi and ci are set as far as the handle names them; mig is set for a MIG device handle. */
struct gs_call {
    struct gs_state *st;
    struct gs_gpu *gpu;
    struct gs_gi *gi;
    struct gs_ci *ci;
    int mig;
    int skipped; /* a fault made the call answer SUCCESS without effect */
    int function;
    struct gs_fault after; /* fault to act when the call is done; .used = 0 if none */
};

enum gs_handle_kind { GS_NO_HANDLE, GS_DEVICE, GS_GPU_INSTANCE, GS_COMPUTE_INSTANCE };

/* Flags of a call. */
#define GS_ANY_DEVICE 0 /* a GPU or a MIG device */
#define GS_GPU_ONLY 1   /* a MIG device handle is answered with NOT_SUPPORTED */
#define GS_MIG_ONLY 2   /* a GPU handle is answered with NOT_SUPPORTED */
#define GS_IDENTITY 4   /* answered even by a GPU that is lost after its handle was taken (lost=2) or needs a reset */
#define GS_ROOT 8       /* needs root although the header's text does not say so */
#define GS_NO_INIT 16   /* allowed before nvmlInit */
#define GS_NO_DRIVER 32 /* allowed without a loaded driver */

nvmlReturn_t gs_enter(struct gs_call *call, int *function, const char *name, enum gs_handle_kind kind,
                      const void *handle, int arguments_good, int flags);
nvmlReturn_t gs_leave(struct gs_call *call, nvmlReturn_t result);
nvmlReturn_t gs_stub(int *function, const char *name);

#define GS_ENTER(call, kind, handle, good, flags)                                                         \
    struct gs_call call;                                                                                  \
    static int call##_function = -1;                                                                      \
    nvmlReturn_t call##_result = gs_enter(&call, &call##_function, __func__, kind, handle, good, flags);  \
    if (call##_result != NVML_SUCCESS || call.skipped)                                                    \
    return call##_result

#define GS_ENTER_SYSTEM(call, good, flags) GS_ENTER(call, GS_NO_HANDLE, NULL, good, flags)
#define GS_ENTER_DEVICE(call, device, good, flags) GS_ENTER(call, GS_DEVICE, device, good, flags)
#define GS_ENTER_GI(call, instance, good, flags) GS_ENTER(call, GS_GPU_INSTANCE, instance, good, flags)
#define GS_ENTER_CI(call, instance, good, flags) GS_ENTER(call, GS_COMPUTE_INSTANCE, instance, good, flags)

/* Getter of one value as unsigned int. */
#define GS_GET_VALUE(function, value)                                      \
    nvmlReturn_t function(nvmlDevice_t device, unsigned int *result)       \
    {                                                                      \
        GS_ENTER_DEVICE(c, device, result != NULL, GS_GPU_ONLY);           \
        return gs_leave(&c, gs_value_uint(c.gpu, value, result));          \
    }

/* Getter of one fact of the board as unsigned int. */
#define GS_GET_BOARD(function, field)                                      \
    nvmlReturn_t function(nvmlDevice_t device, unsigned int *result)       \
    {                                                                      \
        GS_ENTER_DEVICE(c, device, result != NULL, GS_GPU_ONLY);           \
        *result = gs_board_of(c.gpu)->field;                               \
        return gs_leave(&c, NVML_SUCCESS);                                 \
    }

/* A value as the type of an NVML out parameter; NOT_SUPPORTED where the GPU does not have it. */
nvmlReturn_t gs_value_uint(const struct gs_gpu *gpu, enum gs_value value, unsigned int *result);
nvmlReturn_t gs_value_ulonglong(const struct gs_gpu *gpu, enum gs_value value, unsigned long long *result);

/* Copy with the size check of every NVML string getter. */
nvmlReturn_t gs_copy_string(char *target, unsigned int length, const char *text);

/* NVML_STRUCT_VERSION check: the macro's value for the struct name and version. */
nvmlReturn_t gs_check_version(unsigned int given, unsigned int wanted);

int gs_is_root(void);
int gs_function_find(const char *name); /* index, or -1 */
int gs_initialised(void);
/* As the name of the library's file has it; else the node's property driver. */
const char *gs_library_version(const struct gs_state *st);

/* Handles. They are numbers, never addresses: kind, GPU, instance, and a generation or serial. */
nvmlDevice_t gs_gpu_handle(const struct gs_state *st, const struct gs_gpu *gpu);
nvmlDevice_t gs_mig_handle(const struct gs_state *st, const struct gs_gpu *gpu, const struct gs_gi *gi,
                           const struct gs_ci *ci);
nvmlGpuInstance_t gs_gi_handle(const struct gs_state *st, const struct gs_gpu *gpu, const struct gs_gi *gi);
nvmlComputeInstance_t gs_ci_handle(const struct gs_state *st, const struct gs_gpu *gpu, const struct gs_gi *gi,
                                   const struct gs_ci *ci);
nvmlReturn_t gs_resolve(struct gs_call *call, enum gs_handle_kind kind, const void *handle);
int gs_handle_gpu(const void *handle); /* GPU index named by a handle, -1 if it is none */

/* fault.c */
int gs_fault_check(struct gs_call *call, int gpu, struct gs_fault *hit);
void gs_fault_act(const struct gs_fault *fault); /* hang, kill, killgroup; the locks are released */

#endif
