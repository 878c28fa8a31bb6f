/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Faults, counts, GPUs that are lost, hung or need a reset.
 */
#include <signal.h>
#include <time.h>

#include "check.h"

static void nth_call(void)
{
    unsigned int count;
    nvmlDevice_t handle;

    CHECK(control("fault nvmlDeviceGetCount_v2 nth=3 code=NVML_ERROR_TIMEOUT times=2") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetCount_v2(&count));
    CHECK_CALL(nvmlDeviceGetCount_v2(&count));
    CHECK_CALL(nvmlDeviceGetHandleByIndex_v2(0, &handle));
    CHECK(nvmlDeviceGetCount_v2(&count) == NVML_ERROR_TIMEOUT);
    CHECK(nvmlDeviceGetCount_v2(&count) == NVML_ERROR_TIMEOUT);
    CHECK_CALL(nvmlDeviceGetCount_v2(&count));
}

static void any_call_of_one_gpu(void)
{
    unsigned int minor;

    CHECK(control("fault * nth=1 code=GPU_IS_LOST gpu=1") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetMinorNumber(device(0), &minor));
    CHECK(nvmlDeviceGetMinorNumber(device(1), &minor) == NVML_ERROR_GPU_IS_LOST);
    CHECK_CALL(nvmlDeviceGetMinorNumber(device(1), &minor));
}

static void after_the_effect(void)
{
    CHECK(control("fault nvmlDeviceSetPersistenceMode nth=1 code=UNKNOWN when=after") == GPUSIM_OK);
    CHECK(nvmlDeviceSetPersistenceMode(device(0), NVML_FEATURE_ENABLED) == NVML_ERROR_UNKNOWN);
    CHECK(control("show") == GPUSIM_OK);
    CHECK(strstr(check_output, "\"persistence_mode\": 1") != NULL);
    CHECK(control("fault nvmlDeviceSetPersistenceMode nth=1 code=SUCCESS") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceSetPersistenceMode(device(0), NVML_FEATURE_DISABLED)); /* says so and does nothing */
    CHECK(control("show") == GPUSIM_OK);
    CHECK(strstr(check_output, "\"persistence_mode\": 1") != NULL);
}

static int death_of_child(int own_group)
{
    unsigned int count;
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (own_group)
            setpgid(0, 0);
        nvmlDeviceGetCount_v2(&count);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void killed_callers(void)
{
    CHECK(death_of_child(0) == 0);
    CHECK(control("fault nvmlDeviceGetCount_v2 nth=1 kill") == GPUSIM_OK);
    CHECK(death_of_child(0) == SIGKILL);
    CHECK(control("fault nvmlDeviceGetCount_v2 nth=1 killgroup") == GPUSIM_OK);
    CHECK(death_of_child(1) == SIGKILL);
    CHECK(death_of_child(0) == 0);
}

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* A hanging call holds no lock: others go on. */
static void hanging_callers(void)
{
    unsigned int count, minor;
    nvmlDevice_t second = device(1);
    double before;
    pid_t child;

    CHECK(control("fault nvmlDeviceGetCount_v2 nth=1 hang=1") == GPUSIM_OK);
    before = now();
    CHECK_CALL(nvmlDeviceGetCount_v2(&count));
    CHECK(now() - before >= 0.9);
    CHECK(control("set 1 hung 1") == GPUSIM_OK);
    child = fork();
    if (child == 0) {
        nvmlDeviceGetMinorNumber(second, &minor);
        _exit(0);
    }
    usleep(100000);
    CHECK(waitpid(child, NULL, WNOHANG) == 0);
    CHECK_CALL(nvmlDeviceGetMinorNumber(device(0), &minor));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK(control("reset 1") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetMinorNumber(device(1), &minor));
}

static void broken_gpus(void)
{
    nvmlDevice_t handle;
    unsigned int power;
    char uuid[96];

    CHECK(control("set 1 lost 1") == GPUSIM_OK);
    CHECK(nvmlDeviceGetHandleByIndex_v2(1, &handle) == NVML_ERROR_GPU_IS_LOST);
    CHECK_CALL(nvmlDeviceGetHandleByIndex_v2(0, &handle));
    CHECK(control("set 1 lost 2") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetUUID(device(1), uuid, sizeof(uuid)));
    CHECK(nvmlDeviceGetPowerUsage(device(1), &power) == NVML_ERROR_GPU_IS_LOST);
    CHECK(control("set 1 lost 0") == GPUSIM_OK);
    CHECK(control("set 1 requires_reset 1") == GPUSIM_OK);
    CHECK(nvmlDeviceGetPowerUsage(device(1), &power) == NVML_ERROR_RESET_REQUIRED);
    CHECK(control("reset 1") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetPowerUsage(device(1), &power));
}

static void driver_mismatch(void)
{
    CHECK(control("node kernel_driver 570.86.15") == GPUSIM_OK);
    CHECK(nvmlInitWithFlags(0) == NVML_ERROR_LIB_RM_VERSION_MISMATCH);
    CHECK(control("reboot") == GPUSIM_OK);
    CHECK_CALL(nvmlInitWithFlags(0));
    CHECK_CALL(nvmlShutdown());
}

static void bad_commands(void)
{
    CHECK(control("fault nvmlNoSuch nth=1 kill") == GPUSIM_FAILED);
    CHECK(control("fault * nth=0 kill") == GPUSIM_FAILED);
    CHECK(control("fault * nth=1 explode") == GPUSIM_FAILED);
    CHECK(control("fault * nth=1 hang=soon") == GPUSIM_FAILED);
    CHECK(control("init a100-99gb") == GPUSIM_FAILED);
    CHECK(control("init t4*17") == GPUSIM_FAILED);
    CHECK(control("set 0 no_such 1") == GPUSIM_FAILED);
    CHECK(control("set 9 temperature 1") == GPUSIM_FAILED);
    CHECK(control("set 0 temperature -1") == GPUSIM_FAILED);
    CHECK(control("set 0 power 9223372036854775807") == GPUSIM_FAILED);
    CHECK(control("set 0 power 1e300") == GPUSIM_FAILED);
    CHECK(control("occupy 0 pid=999999999") == GPUSIM_FAILED);
    CHECK(control("occupy 0 pid=0 sticky") == GPUSIM_FAILED);
    CHECK(control("occupy 0 pid=4294967297") == GPUSIM_FAILED);
    CHECK(control("occupy 0 pid=1 mem=-1") == GPUSIM_FAILED);
    CHECK(control("release 0 pid=0") == GPUSIM_FAILED);
    CHECK(control("node guest_reset maybe") == GPUSIM_FAILED);
    CHECK(control("") == GPUSIM_FAILED);
    CHECK(gpusim_control("show", check_output, 100) == GPUSIM_TOO_SMALL);
    CHECK(atoi(check_output) > 100);
}

static void counts(void)
{
    unsigned int minor;

    CHECK(control("resetcounts") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetMinorNumber(device(0), &minor));
    nvmlErrorString(NVML_SUCCESS);
    CHECK(control("counts") == GPUSIM_OK);
    CHECK(strcmp(check_output, "{\"nvmlDeviceGetHandleByIndex_v2\": 1, \"nvmlDeviceGetMinorNumber\": 1}") == 0);
}

int main(void)
{
    start("init h100-80gb-sxm5*2");
    nth_call();
    any_call_of_one_gpu();
    after_the_effect();
    killed_callers();
    hanging_callers();
    broken_gpus();
    driver_mismatch();
    bad_commands();
    counts();
    return finish("faults");
}
