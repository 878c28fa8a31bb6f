/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Beginning and end of every NVML function.
 */
#include "call.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int function_order(const void *name, const void *row)
{
    return strcmp(name, ((const struct gs_function *)row)->name);
}

int gs_function_find(const char *name)
{
    const struct gs_function *row =
        bsearch(name, gs_functions, (size_t)gs_function_count, sizeof(gs_functions[0]), function_order);

    return row ? (int)(row - gs_functions) : -1;
}

/* Each function looks its number up once. */
static int function_number(int *cache, const char *name)
{
    int number = __atomic_load_n(cache, __ATOMIC_RELAXED);

    if (number < 0) {
        number = gs_function_find(name);
        __atomic_store_n(cache, number, __ATOMIC_RELAXED);
    }
    return number;
}

int gs_is_root(void)
{
    const char *override = getenv("GPUSIM_EUID");

    return override && *override ? atoi(override) == 0 : geteuid() == 0;
}

static nvmlReturn_t check_gpu(const struct gs_call *call, int flags)
{
    const int64_t *values = call->gpu->values;

    if (values[V_LOST] == 1 || (values[V_LOST] == 2 && !(flags & GS_IDENTITY)))
        return NVML_ERROR_GPU_IS_LOST;
    if (values[V_REQUIRES_RESET] == 1 && !(flags & GS_IDENTITY))
        return NVML_ERROR_RESET_REQUIRED;
    return NVML_SUCCESS;
}

static nvmlReturn_t check_target(struct gs_call *call, enum gs_handle_kind kind, const void *handle, int flags)
{
    nvmlReturn_t result;

    if (kind == GS_NO_HANDLE)
        return NVML_SUCCESS;
    result = gs_resolve(call, kind, handle);
    if (result == NVML_SUCCESS)
        result = check_gpu(call, flags);
    if (result == NVML_SUCCESS && kind == GS_DEVICE &&
        ((call->mig && flags & GS_GPU_ONLY) || (!call->mig && flags & GS_MIG_ONLY)))
        result = NVML_ERROR_NOT_SUPPORTED;
    return result;
}

static nvmlReturn_t check_call(struct gs_call *call, enum gs_handle_kind kind, const void *handle, int arguments_good,
                               int flags)
{
    nvmlReturn_t result;

    if (!(flags & GS_NO_DRIVER) && !call->st->loaded)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    if (!arguments_good)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = check_target(call, kind, handle, flags);
    if (result == NVML_SUCCESS && (gs_functions[call->function].root || flags & GS_ROOT) && !gs_is_root())
        result = NVML_ERROR_NO_PERMISSION;
    return result;
}

static int is_hung(const struct gs_state *st, int gpu)
{
    return gpu >= 0 && gpu < (int)st->gpu_count && st->gpus[gpu].values[V_HUNG] == 1;
}

/* Lock, count the call, and see what is to befall it. */
static nvmlReturn_t admit(struct gs_call *call, int gpu, int flags, struct gs_fault *hit)
{
    if (gs_attach(flags & GS_NO_INIT) != 0 || !(call->st = gs_lock())) {
        gs_detach_unlock();
        return NVML_ERROR_DRIVER_NOT_LOADED;
    }
    call->st->counts[call->function]++;
    if (is_hung(call->st, gpu))
        *hit = (struct gs_fault){.used = 1, .action = GS_ACT_HANG};
    else if (call->st->fault_count)
        gs_fault_check(call, gpu, hit);
    return NVML_SUCCESS;
}

/* A fault before the effect: act without the locks. Only a hang that comes to its end lets the call go on. */
static nvmlReturn_t suffer(struct gs_call *call, const struct gs_fault *hit)
{
    gs_unlock();
    gs_fault_act(hit);
    if (hit->action == GS_ACT_CODE) {
        call->skipped = hit->code == NVML_SUCCESS;
        return (nvmlReturn_t)hit->code;
    }
    if (gs_attach(0) != 0 || !(call->st = gs_lock())) {
        gs_detach_unlock();
        return NVML_ERROR_DRIVER_NOT_LOADED;
    }
    return NVML_SUCCESS;
}

nvmlReturn_t gs_enter(struct gs_call *call, int *function, const char *name, enum gs_handle_kind kind,
                      const void *handle, int arguments_good, int flags)
{
    struct gs_fault hit = {0};
    nvmlReturn_t result;

    memset(call, 0, sizeof(*call));
    call->function = function_number(function, name);
    if (!(flags & GS_NO_INIT) && !gs_initialised())
        return NVML_ERROR_UNINITIALIZED;
    result = admit(call, kind == GS_NO_HANDLE ? -1 : gs_handle_gpu(handle), flags, &hit);
    if (result == NVML_SUCCESS && hit.used && !hit.after)
        result = suffer(call, &hit);
    else
        call->after = hit;
    if (result != NVML_SUCCESS || call->skipped)
        return result;
    result = check_call(call, kind, handle, arguments_good, flags);
    return result == NVML_SUCCESS ? NVML_SUCCESS : gs_leave(call, result);
}

nvmlReturn_t gs_leave(struct gs_call *call, nvmlReturn_t result)
{
    gs_unlock();
    if (call->after.used) {
        gs_fault_act(&call->after);
        if (call->after.action == GS_ACT_CODE)
            return (nvmlReturn_t)call->after.code;
    }
    return result;
}

nvmlReturn_t gs_stub(int *function, const char *name)
{
    struct gs_call call;
    nvmlReturn_t result = gs_enter(&call, function, name, GS_NO_HANDLE, NULL, 1, 0);

    return result == NVML_SUCCESS && !call.skipped ? gs_leave(&call, NVML_ERROR_NOT_SUPPORTED) : result;
}

nvmlReturn_t gs_value_ulonglong(const struct gs_gpu *gpu, enum gs_value value, unsigned long long *result)
{
    if (gpu->values[value] == GS_NONE)
        return NVML_ERROR_NOT_SUPPORTED;
    *result = (unsigned long long)gpu->values[value];
    return NVML_SUCCESS;
}

nvmlReturn_t gs_value_uint(const struct gs_gpu *gpu, enum gs_value value, unsigned int *result)
{
    unsigned long long wide;
    nvmlReturn_t answer = gs_value_ulonglong(gpu, value, &wide);

    if (answer == NVML_SUCCESS)
        *result = (unsigned int)wide;
    return answer;
}

nvmlReturn_t gs_copy_string(char *target, unsigned int length, const char *text)
{
    size_t size = strlen(text) + 1;

    if (size > length)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(target, text, size);
    return NVML_SUCCESS;
}

nvmlReturn_t gs_check_version(unsigned int given, unsigned int wanted)
{
    return given == wanted ? NVML_SUCCESS : NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
}
