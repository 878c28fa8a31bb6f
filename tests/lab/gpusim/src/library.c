/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The version of this library. Packages name the file after it, libnvidia-ml.so.580.126.16, and a process keeps the
 * one that it loaded, whatever is installed meanwhile.
 */
#define _GNU_SOURCE
#include "call.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char version[32];

__attribute__((constructor)) static void read_version(void)
{
    char path[PATH_MAX];
    const char *suffix;
    Dl_info found;

    if (!dladdr((void *)version, &found) || !realpath(found.dli_fname, path))
        return;
    suffix = strstr(strrchr(path, '/'), ".so.");
    /* libnvidia-ml.so.1 tells no version */
    if (suffix && strchr(suffix + 4, '.') && strlen(suffix + 4) < sizeof(version) &&
        suffix[4 + strspn(suffix + 4, "0123456789.")] == '\0')
        snprintf(version, sizeof(version), "%s", suffix + 4);
}

const char *gs_library_version(const struct gs_state *st)
{
    return version[0] ? version : st->driver;
}
