/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Frame of the C tests: a state file of its own, the control interface, and checks that say where they failed.
 */
#ifndef GS_CHECK_H
#define GS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpusim.h"
#include "mig.h"

static char check_output[1 << 20];
static int check_count;

#define CHECK(condition)                                                                              \
    do {                                                                                              \
        check_count++;                                                                                \
        if (!(condition)) {                                                                           \
            fprintf(stderr, "%s:%d: failed: %s\n  last control answer: %.300s\n", __FILE__, __LINE__, \
                    #condition, check_output);                                                        \
            exit(1);                                                                                  \
        }                                                                                             \
    } while (0)

#define CHECK_CALL(call) CHECK((call) == NVML_SUCCESS)

/* Result of the command; its output is in check_output. */
__attribute__((unused)) static int control(const char *command)
{
    return gpusim_control(command, check_output, sizeof(check_output));
}

static char check_state[64], check_kmsg[64];

static void remove_state(void)
{
    unlink(check_state);
    unlink(check_kmsg);
}

__attribute__((unused)) static void start(const char *init)
{
    snprintf(check_state, sizeof(check_state), "/tmp/gpusim-ctest.%d", (int)getpid());
    snprintf(check_kmsg, sizeof(check_kmsg), "/tmp/gpusim-ctest.%d.kmsg", (int)getpid());
    setenv("GPUSIM_STATE", check_state, 1);
    setenv("GPUSIM_KMSG", check_kmsg, 1);
    setenv("GPUSIM_EUID", "0", 1);
    CHECK(control(init) == GPUSIM_OK);
    CHECK_CALL(nvmlInit_v2());
}

__attribute__((unused)) static int finish(const char *name)
{
    CHECK_CALL(nvmlShutdown());
    remove_state();
    printf("%-18s %5d checks\n", name, check_count);
    return 0;
}

__attribute__((unused)) static nvmlDevice_t device(unsigned int index)
{
    nvmlDevice_t handle = NULL;

    CHECK_CALL(nvmlDeviceGetHandleByIndex_v2(index, &handle));
    return handle;
}

/* MIG on, whatever the architecture needs for it. The GPU is idle. */
__attribute__((unused)) static nvmlDevice_t mig_device(unsigned int index)
{
    nvmlReturn_t status;
    char command[32];

    CHECK_CALL(nvmlDeviceSetMigMode(device(index), NVML_DEVICE_MIG_ENABLE, &status));
    if (status == NVML_ERROR_RESET_REQUIRED) {
        snprintf(command, sizeof(command), "reset %u", index);
        CHECK(control(command) == GPUSIM_OK);
    }
    return device(index);
}

/* Destroy all instances of a GPU. */
__attribute__((unused)) static void clear(unsigned int index)
{
    for (unsigned int id = 0; id < 16; id++) {
        nvmlGpuInstance_t gi;
        nvmlComputeInstance_t ci;

        if (nvmlDeviceGetGpuInstanceById(device(index), id, &gi) != NVML_SUCCESS)
            continue;
        for (unsigned int j = 0; j < GS_MAX_CI; j++) {
            if (nvmlGpuInstanceGetComputeInstanceById(gi, j, &ci) == NVML_SUCCESS)
                CHECK_CALL(nvmlComputeInstanceDestroy(ci));
        }
        CHECK_CALL(nvmlGpuInstanceDestroy(gi));
    }
}

#endif
