/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of named values.
 */
#include "values.h"

#include <string.h>

#define GS_INFO_ROW(id, name, scale, class) {name, scale, class},

const struct gs_value_info gs_value_infos[V_COUNT] = {GS_VALUES(GS_INFO_ROW)};

int gs_value_find(const char *name)
{
    for (int i = 0; i < V_COUNT; i++) {
        if (strcmp(gs_value_infos[i].name, name) == 0)
            return i;
    }
    return -1;
}
