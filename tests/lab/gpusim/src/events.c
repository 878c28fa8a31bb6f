/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Event sets: xid of the control interface is seen by those that wait.
 */
#include <string.h>
#include <time.h>

#include "call.h"

#define MAX_SETS 32
#define SET_TAG 0x45560000UL

/* Event sets belong to the process, not to the node. */
static struct event_set {
    int used;
    uint64_t seen; /* number of the last event delivered or skipped */
    uint64_t types[GS_MAX_GPUS];
} sets[MAX_SETS];
static pthread_mutex_t sets_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct event_set *find_set(nvmlEventSet_t handle)
{
    uintptr_t bits = (uintptr_t)handle;

    if ((bits & ~0xffffUL) != SET_TAG || (bits & 0xffff) >= MAX_SETS || !sets[bits & 0xffff].used)
        return NULL;
    return &sets[bits & 0xffff];
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    nvmlReturn_t result = NVML_ERROR_INSUFFICIENT_RESOURCES;

    GS_ENTER_SYSTEM(c, set != NULL, 0);
    pthread_mutex_lock(&sets_mutex);
    for (uintptr_t i = 0; i < MAX_SETS && result != NVML_SUCCESS; i++) {
        if (sets[i].used)
            continue;
        sets[i] = (struct event_set){.used = 1, .seen = c.st->event_number};
        *set = (nvmlEventSet_t)(SET_TAG | i);
        result = NVML_SUCCESS;
    }
    pthread_mutex_unlock(&sets_mutex);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    struct event_set *found;

    GS_ENTER_SYSTEM(c, 1, 0);
    pthread_mutex_lock(&sets_mutex);
    found = find_set(set);
    if (found)
        found->used = 0;
    pthread_mutex_unlock(&sets_mutex);
    return gs_leave(&c, found ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT);
}

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *eventTypes)
{
    GS_ENTER_DEVICE(c, device, eventTypes != NULL, GS_GPU_ONLY);
    *eventTypes = nvmlEventTypeXidCriticalError | nvmlEventTypeSingleBitEccError | nvmlEventTypeDoubleBitEccError;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long eventTypes, nvmlEventSet_t set)
{
    struct event_set *found;

    GS_ENTER_DEVICE(c, device, 1, GS_GPU_ONLY);
    pthread_mutex_lock(&sets_mutex);
    found = find_set(set);
    if (found)
        found->types[c.gpu - c.st->gpus] |= eventTypes;
    pthread_mutex_unlock(&sets_mutex);
    return gs_leave(&c, found ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT);
}

/* Take the next event of the set; TIMEOUT if there is none now. Old events are overwritten after GS_MAX_EVENTS. */
static nvmlReturn_t take_event(const struct gs_state *st, nvmlEventSet_t handle, nvmlEventData_t *data)
{
    struct event_set *set = find_set(handle);

    if (!set)
        return NVML_ERROR_INVALID_ARGUMENT;
    while (set->seen < st->event_number) {
        const struct gs_event *event = &st->events[++set->seen % GS_MAX_EVENTS];

        if (event->number == set->seen && event->gpu < st->gpu_count && set->types[event->gpu] & event->type) {
            *data = (nvmlEventData_t){.device = gs_gpu_handle(st, &st->gpus[event->gpu]), .eventType = event->type,
                                      .eventData = event->data, .gpuInstanceId = 0xFFFFFFFF,
                                      .computeInstanceId = 0xFFFFFFFF};
            return NVML_SUCCESS;
        }
    }
    return NVML_ERROR_TIMEOUT;
}

static nvmlReturn_t poll_event(nvmlEventSet_t set, nvmlEventData_t *data)
{
    struct gs_state *st;
    nvmlReturn_t result = NVML_ERROR_DRIVER_NOT_LOADED;

    if (gs_attach(0) != 0 || !(st = gs_lock())) {
        gs_detach_unlock();
        return result;
    }
    pthread_mutex_lock(&sets_mutex);
    result = st->loaded ? take_event(st, set, data) : NVML_ERROR_GPU_IS_LOST;
    pthread_mutex_unlock(&sets_mutex);
    gs_unlock();
    return result;
}

/* Looks every 10 ms, without the lock in between. */
static nvmlReturn_t wait_event(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeout_ms)
{
    struct timespec rest = {.tv_sec = 0, .tv_nsec = 10000000L};
    nvmlReturn_t result = poll_event(set, data);

    for (unsigned int waited = 0; result == NVML_ERROR_TIMEOUT && waited < timeout_ms; waited += 10) {
        nanosleep(&rest, NULL);
        result = poll_event(set, data);
    }
    return result;
}

nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeoutms)
{
    nvmlReturn_t result;

    GS_ENTER_SYSTEM(c, data != NULL, 0);
    result = gs_leave(&c, NVML_SUCCESS);
    return result == NVML_SUCCESS ? wait_event(set, data, timeoutms) : result;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeoutms)
{
    nvmlReturn_t result;

    GS_ENTER_SYSTEM(c, data != NULL, 0);
    result = gs_leave(&c, NVML_SUCCESS);
    return result == NVML_SUCCESS ? wait_event(set, data, timeoutms) : result;
}
