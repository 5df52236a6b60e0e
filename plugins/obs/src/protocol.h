/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shared memory between the filter and its daemon. The twin of matte_nodes/hosts/obs/protocol.py.
 *
 * Little endian, 32-bit words at fixed offsets, then seven picture slots of MX_SLOT bytes:
 * three plates, three mattes, one clean plate. Every slot has a lock word that is odd while it is
 * written: a reader copies, then looks whether the lock is still what it was. Nothing the other
 * side wrote is used before it was copied out and checked. No libobs here: the fuzzer builds it
 * alone. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MX_MAGIC "MATTELIV"
#define MX_VERSION 1u
#define MX_HEADER 8192u
#define MX_SIDE 1024u /* widest and highest picture */
#define MX_SLOT (MX_SIDE * MX_SIDE * 4u)
#define MX_SIZE (MX_HEADER + 7u * MX_SLOT)
#define MX_TEXT 252u
#define MX_SETTINGS 4088u

enum mx_state { MX_NONE = 0, MX_LOADING = 1, MX_READY = 2, MX_ERROR = 3 };

struct mx_picture {
	uint32_t number;     /* counts up; 0 is none */
	uint32_t plate;      /* of a matte: the plate it belongs to */
	uint32_t width, height, generation;
};

struct mx_status {
	uint32_t state, heartbeat, taken, tenths_ms, drift;
	char text[MX_TEXT + 1]; /* always ends with 0, printable */
};

void mx_init(uint8_t *base);
bool mx_valid(const uint8_t *base);
void mx_put_plate(uint8_t *base, const struct mx_picture *picture, const uint8_t *rgba,
		  uint32_t stride);
void mx_put_background(uint8_t *base, const struct mx_picture *picture, const uint8_t *rgba);
bool mx_put_settings(uint8_t *base, const char *json);
void mx_set_active(uint8_t *base, bool active, uint32_t generation);
/* The newest matte after number `seen`, copied to `out` (MX_SLOT bytes); false when there is none
 * that is whole and within bounds. */
bool mx_take_matte(const uint8_t *base, uint32_t seen, struct mx_picture *picture, uint8_t *out);
/* A daemon's text is not trusted: a window may take <...> for its own. */
static inline char mx_no_markup(char c)
{
	return c == '<' ? '(' : c == '>' ? ')' : c;
}
void mx_read_status(const uint8_t *base, struct mx_status *status);
uint32_t mx_matte_number(const uint8_t *base);
void mx_forget(uint8_t *base); /* after the pictures were zeroed: no number names one */
void mx_reset_daemon(uint8_t *base); /* before a new daemon: forgets what the last one wrote */
