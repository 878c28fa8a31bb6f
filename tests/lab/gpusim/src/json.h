/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Writing one JSON document into a buffer of fixed size. The length goes on counting when the buffer is full, so that
 * the caller learns how much is needed.
 */
#ifndef GS_JSON_H
#define GS_JSON_H

#include <stddef.h>
#include <stdint.h>

struct gs_json {
    char *out;
    size_t size, length;
    int comma; /* the next item needs one */
};

void gs_json_start(struct gs_json *json, char *out, size_t size);

/* key is NULL inside an array and at the top. */
void gs_json_open(struct gs_json *json, const char *key, char bracket); /* '{' or '[' */
void gs_json_close(struct gs_json *json, char bracket);                 /* '}' or ']' */
void gs_json_int(struct gs_json *json, const char *key, int64_t value);
void gs_json_bool(struct gs_json *json, const char *key, int value);
void gs_json_null(struct gs_json *json, const char *key);
void gs_json_string(struct gs_json *json, const char *key, const char *value);
void gs_json_scaled(struct gs_json *json, const char *key, int64_t value, int64_t scale); /* value / scale */

#endif
