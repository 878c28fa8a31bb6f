/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * JSON output.
 */
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put(struct gs_json *json, const char *text)
{
    size_t length = strlen(text);

    if (json->length + length < json->size)
        memcpy(json->out + json->length, text, length + 1);
    json->length += length;
}

static void put_quoted(struct gs_json *json, const char *text)
{
    char escaped[8];

    put(json, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            snprintf(escaped, sizeof(escaped), "\\%c", c);
        else if (c < 0x20)
            snprintf(escaped, sizeof(escaped), "\\u%04x", c);
        else
            snprintf(escaped, sizeof(escaped), "%c", c);
        put(json, escaped);
    }
    put(json, "\"");
}

static void put_key(struct gs_json *json, const char *key)
{
    if (json->comma)
        put(json, ", ");
    json->comma = 1;
    if (key) {
        put_quoted(json, key);
        put(json, ": ");
    }
}

void gs_json_start(struct gs_json *json, char *out, size_t size)
{
    *json = (struct gs_json){.out = out, .size = size};
    if (size)
        out[0] = 0;
}

void gs_json_open(struct gs_json *json, const char *key, char bracket)
{
    put_key(json, key);
    put(json, bracket == '{' ? "{" : "[");
    json->comma = 0;
}

void gs_json_close(struct gs_json *json, char bracket)
{
    put(json, bracket == '}' ? "}" : "]");
    json->comma = 1;
}

void gs_json_int(struct gs_json *json, const char *key, int64_t value)
{
    char text[32];

    put_key(json, key);
    snprintf(text, sizeof(text), "%" PRId64, value);
    put(json, text);
}

void gs_json_bool(struct gs_json *json, const char *key, int value)
{
    put_key(json, key);
    put(json, value ? "true" : "false");
}

void gs_json_null(struct gs_json *json, const char *key)
{
    put_key(json, key);
    put(json, "null");
}

void gs_json_string(struct gs_json *json, const char *key, const char *value)
{
    put_key(json, key);
    put_quoted(json, value);
}

void gs_json_scaled(struct gs_json *json, const char *key, int64_t value, int64_t scale)
{
    char text[48];

    if (value % scale == 0) {
        gs_json_int(json, key, value / scale);
        return;
    }
    put_key(json, key);
    snprintf(text, sizeof(text), "%.3f", (double)value / (double)scale);
    put(json, text);
}
