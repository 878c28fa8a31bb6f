/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * set, keys and xid: readings, settings, NVLinks, kernel-log lines.
 */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "gpusim.h"

#define MAX_VALUE (1LL << 53)

static int set_link(struct gs_command *command, struct gs_gpu *gpu, const char *key, const char *text)
{
    unsigned int number;
    char field[16];
    long long value;
    struct gs_link *link;

    if (sscanf(key, "nvlink.%u.%15s", &number, field) != 2 || number >= gs_board_of(gpu)->nvlinks)
        return gs_fail(command, "%s: this board has %u links; write nvlink.N.FIELD", key, gs_board_of(gpu)->nvlinks);
    if (!gs_parse_int(text, &value) || value < 0)
        return gs_fail(command, "%s: \"%s\" is no number", key, text);
    link = &gpu->links[number];
    if (strcmp(field, "state") == 0)
        link->state = value != 0;
    else if (strcmp(field, "speed") == 0)
        link->speed_mbps = (uint32_t)value;
    else if (strcmp(field, "replay") == 0)
        link->replay = (uint64_t)value;
    else if (strcmp(field, "recovery") == 0)
        link->recovery = (uint64_t)value;
    else if (strcmp(field, "crc_flit") == 0)
        link->crc_flit = (uint64_t)value;
    else if (strcmp(field, "crc_data") == 0)
        link->crc_data = (uint64_t)value;
    else if (strcmp(field, "ecc_data") == 0)
        link->ecc_data = (uint64_t)value;
    else
        return gs_fail(command, "%s: fields are state speed replay recovery crc_flit crc_data ecc_data", key);
    return GPUSIM_OK;
}

static int parse_value(const char *text, int64_t scale, int64_t *value)
{
    char *end;
    long long whole;
    double number;

    if (strcmp(text, "none") == 0) {
        *value = GS_NONE;
        return 1;
    }
    /* No reading is negative, and NVML's are 32 or 53 bits wide at most: more would not come out as it went in. */
    if (gs_parse_int(text, &whole)) {
        *value = whole < 0 || whole > MAX_VALUE ? 0 : whole * scale;
        return whole >= 0 && whole <= MAX_VALUE;
    }
    number = strtod(text, &end);
    if (!*text || *end != 0 || scale == 1 || !(number >= 0 && number <= (double)MAX_VALUE))
        return 0;
    *value = (int64_t)llround(number * (double)scale);
    return 1;
}

int gs_control_set(struct gs_command *command)
{
    struct gs_gpu *gpu;
    int64_t value;
    int key, result = GPUSIM_OK;

    if (command->count != 3)
        return gs_fail(command, "set GPU KEY VALUE");
    gpu = gs_find_gpu(command, command->words[0]);
    if (!gpu)
        return GPUSIM_FAILED;
    if (strncmp(command->words[1], "nvlink.", 7) == 0) {
        gs_begin(command->st, gpu);
        result = set_link(command, gpu, command->words[1], command->words[2]);
        gs_commit(command->st);
        return result;
    }
    key = gs_value_find(command->words[1]);
    if (key < 0)
        return gs_fail(command, "unknown key \"%s\"; the command keys lists them", command->words[1]);
    if (!parse_value(command->words[2], gs_value_infos[key].scale, &value))
        return gs_fail(command, "%s: \"%s\" is neither a number from 0 on nor none", command->words[1], command->words[2]);
    gpu->values[key] = value;
    return GPUSIM_OK;
}

static const char *lifetime(char class)
{
    switch (class) {
    case 'R':
        return "until reboot or unload";
    case 'C':
    case 'S':
        return "until reset";
    case 'P':
        return "until reboot or unload";
    default:
        return "kept";
    }
}

int gs_control_keys(struct gs_command *command)
{
    struct gs_json *json = &command->json;

    gs_json_open(json, NULL, '[');
    for (int v = 0; v < V_COUNT; v++) {
        gs_json_open(json, NULL, '{');
        gs_json_string(json, "key", gs_value_infos[v].name);
        gs_json_string(json, "lifetime", lifetime(gs_value_infos[v].class));
        gs_json_bool(json, "decimals", gs_value_infos[v].scale != 1);
        gs_json_close(json, '}');
    }
    gs_json_open(json, NULL, '{');
    gs_json_string(json, "key", "nvlink.N.{state,speed,replay,recovery,crc_flit,crc_data,ecc_data}");
    gs_json_string(json, "lifetime", lifetime('R'));
    gs_json_bool(json, "decimals", 0);
    gs_json_close(json, '}');
    gs_json_close(json, ']');
    return GPUSIM_OK;
}

static int append_line(struct gs_command *command, const char *line)
{
    const char *path = getenv("GPUSIM_KMSG");
    size_t length = strlen(line);
    int fd, good;

    if (!path || !*path)
        path = GPUSIM_DEFAULT_KMSG;
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return gs_fail(command, "cannot append to %s", path);
    good = write(fd, line, length) == (ssize_t)length;
    close(fd);
    return good ? GPUSIM_OK : gs_fail(command, "cannot write to %s", path);
}

static void add_event(struct gs_state *st, const struct gs_gpu *gpu, uint64_t type, uint64_t data)
{
    uint64_t number = ++st->event_number;

    st->events[number % GS_MAX_EVENTS] =
        (struct gs_event){.number = number, .type = type, .data = data, .gpu = (uint32_t)(gpu - st->gpus)};
}

/* The form of the real driver: NVRM: Xid (PCI:0000:10:00): 79, pid=..., name=..., text */
int gs_control_xid(struct gs_command *command)
{
    struct gs_gpu *gpu;
    long long code;
    char line[512];

    if (command->count < 2 || command->count > 3)
        return gs_fail(command, "xid GPU CODE [TEXT]");
    gpu = gs_find_gpu(command, command->words[0]);
    if (!gpu)
        return GPUSIM_FAILED;
    if (!gs_parse_int(command->words[1], &code) || code < 1)
        return gs_fail(command, "\"%s\" is no Xid", command->words[1]);
    snprintf(line, sizeof(line), "NVRM: Xid (PCI:%04x:%02x:00): %lld, %s\n", gpu->domain, gpu->bus, code,
             command->count == 3 ? command->words[2] : "pid='<unknown>', name=<unknown>");
    add_event(command->st, gpu, nvmlEventTypeXidCriticalError, (uint64_t)code);
    return append_line(command, line);
}
