/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who uses a GPU: liveness, use of instances, memory.
 */
#include "mig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Alive = /proc has it and it is not a zombie. started receives its start time (clock ticks since boot). */
int gs_process_alive(int pid, unsigned long long *started)
{
    char path[32], line[1024], *field;
    ssize_t length;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    length = read(fd, line, sizeof(line) - 1);
    close(fd);
    if (length <= 0)
        return 0;
    line[length] = 0;
    field = strrchr(line, ')'); /* the name may hold blanks and brackets; state follows it, start time is field 22 */
    if (!field || field[1] == 0 || field[2] == 'Z' || field[2] == 'X')
        return 0;
    for (int i = 2; field && i < 22; i++)
        field = strchr(field + 1, ' ');
    *started = field ? strtoull(field + 1, NULL, 10) : 0;
    return 1;
}

void gs_prune(struct gs_gpu *gpu)
{
    for (int i = 0; i < GS_MAX_PROCESSES; i++) {
        struct gs_process *process = &gpu->processes[i];
        unsigned long long started;

        if (process->pid && !process->sticky &&
            (!gs_process_alive(process->pid, &started) || started != process->started))
            process->pid = 0;
    }
}

int gs_gpu_in_use(struct gs_gpu *gpu)
{
    gs_prune(gpu);
    for (int i = 0; i < GS_MAX_PROCESSES; i++) {
        if (gpu->processes[i].pid)
            return 1;
    }
    return 0;
}

int gs_instance_in_use(struct gs_gpu *gpu, unsigned int gi, int ci)
{
    gs_prune(gpu);
    for (int i = 0; i < GS_MAX_PROCESSES; i++) {
        const struct gs_process *process = &gpu->processes[i];

        if (process->pid && process->gi == (int32_t)gi && (ci < 0 || process->ci == ci))
            return 1;
    }
    return 0;
}

unsigned long long gs_used_mib(const struct gs_gpu *gpu, int gi)
{
    unsigned long long used = 0;

    for (int i = 0; i < GS_MAX_PROCESSES; i++) {
        if (gpu->processes[i].pid && (gi < 0 || gpu->processes[i].gi == gi))
            used += gpu->processes[i].mib;
    }
    return used;
}
