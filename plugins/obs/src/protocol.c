/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "protocol.h"
#include <string.h>

/* Words of the header, by index. */
enum {
	W_VERSION = 2, W_HEADER = 3, W_SIZE = 4, W_SIDE = 5, W_SLOT = 6,
	W_PLATE = 16, W_GENERATION = 17, W_BACKGROUND = 18, W_SETTINGS = 19, W_ACTIVE = 20,
	W_MATTE = 32, W_HEARTBEAT = 33, W_STATE = 34, W_TAKEN = 35, W_TENTHS = 36, W_DRIFT = 37,
	W_META = 64,        /* 7 x 16 words: lock, number, plate, width, height, generation */
	W_TEXT = 256,       /* length, then bytes */
	W_JSON = 1024,      /* lock, length, then bytes */
};
enum { SLOT_PLATE = 0, SLOT_MATTE = 3, SLOT_BACKGROUND = 6 };

static uint32_t *word(const uint8_t *base, unsigned index)
{
	return (uint32_t *)(void *)(uintptr_t)base + index;
}

static uint32_t load(const uint8_t *base, unsigned index)
{
	return __atomic_load_n(word(base, index), __ATOMIC_ACQUIRE);
}

static void store(uint8_t *base, unsigned index, uint32_t value)
{
	__atomic_store_n(word(base, index), value, __ATOMIC_RELEASE);
}

static uint8_t *slot(const uint8_t *base, unsigned index)
{
	return (uint8_t *)(uintptr_t)base + MX_HEADER + (size_t)index * MX_SLOT;
}

static bool fits(uint32_t width, uint32_t height)
{
	return width && height && width <= MX_SIDE && height <= MX_SIDE;
}

void mx_init(uint8_t *base)
{
	memset(base, 0, MX_HEADER);
	store(base, W_VERSION, MX_VERSION);
	store(base, W_HEADER, MX_HEADER);
	store(base, W_SIZE, MX_SIZE);
	store(base, W_SIDE, MX_SIDE);
	store(base, W_SLOT, MX_SLOT);
	memcpy(base, MX_MAGIC, 8);
}

bool mx_valid(const uint8_t *base)
{
	return !memcmp(base, MX_MAGIC, 8) && load(base, W_VERSION) == MX_VERSION &&
	       load(base, W_HEADER) == MX_HEADER && load(base, W_SIZE) == MX_SIZE &&
	       load(base, W_SIDE) == MX_SIDE && load(base, W_SLOT) == MX_SLOT;
}

static void put(uint8_t *base, unsigned index, const struct mx_picture *picture,
		const uint8_t *rgba, uint32_t stride)
{
	const unsigned meta = W_META + 16 * index;
	const uint32_t row = picture->width * 4;
	const uint32_t lock = load(base, meta) | 1u;
	store(base, meta, lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	store(base, meta + 1, picture->number);
	store(base, meta + 2, picture->plate);
	store(base, meta + 3, picture->width);
	store(base, meta + 4, picture->height);
	store(base, meta + 5, picture->generation);
	for (uint32_t y = 0; y < picture->height; y++)
		memcpy(slot(base, index) + (size_t)y * row, rgba + (size_t)y * stride, row);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	store(base, meta, lock + 1);
}

void mx_put_plate(uint8_t *base, const struct mx_picture *picture, const uint8_t *rgba,
		  uint32_t stride)
{
	if (!fits(picture->width, picture->height) || stride < picture->width * 4)
		return;
	put(base, SLOT_PLATE + picture->number % 3, picture, rgba, stride);
	store(base, W_PLATE, picture->number);
}

void mx_put_background(uint8_t *base, const struct mx_picture *picture, const uint8_t *rgba)
{
	if (!fits(picture->width, picture->height))
		return;
	put(base, SLOT_BACKGROUND, picture, rgba, picture->width * 4);
	store(base, W_BACKGROUND, picture->number);
}

bool mx_put_settings(uint8_t *base, const char *json)
{
	const size_t length = strlen(json);
	if (length > MX_SETTINGS)
		return false;
	const uint32_t lock = load(base, W_JSON) | 1u;
	store(base, W_JSON, lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	store(base, W_JSON + 1, (uint32_t)length);
	memcpy(word(base, W_JSON + 2), json, length);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	store(base, W_JSON, lock + 1);
	store(base, W_SETTINGS, load(base, W_SETTINGS) + 1);
	return true;
}

void mx_set_active(uint8_t *base, bool active, uint32_t generation)
{
	store(base, W_GENERATION, generation);
	store(base, W_ACTIVE, active);
}

uint32_t mx_matte_number(const uint8_t *base)
{
	return load(base, W_MATTE);
}

bool mx_take_matte(const uint8_t *base, uint32_t seen, struct mx_picture *picture, uint8_t *out)
{
	const uint32_t newest = load(base, W_MATTE);
	if (newest == seen || newest == 0)
		return false;
	const unsigned index = SLOT_MATTE + newest % 3, meta = W_META + 16 * index;
	const uint32_t lock = load(base, meta);
	if (lock & 1u)
		return false;
	const struct mx_picture found = {
		.number = load(base, meta + 1), .plate = load(base, meta + 2),
		.width = load(base, meta + 3), .height = load(base, meta + 4),
		.generation = load(base, meta + 5),
	};
	if (found.number != newest || !fits(found.width, found.height))
		return false;
	memcpy(out, slot(base, index), (size_t)found.width * found.height * 4);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load(base, meta) != lock)
		return false;
	*picture = found;
	return true;
}

void mx_read_status(const uint8_t *base, struct mx_status *status)
{
	status->state = load(base, W_STATE);
	if (status->state > MX_ERROR)
		status->state = MX_ERROR;
	status->heartbeat = load(base, W_HEARTBEAT);
	status->taken = load(base, W_TAKEN);
	status->tenths_ms = load(base, W_TENTHS);
	status->drift = load(base, W_DRIFT) != 0;
	uint32_t length = load(base, W_TEXT);
	if (length > MX_TEXT)
		length = MX_TEXT;
	memcpy(status->text, word(base, W_TEXT + 1), length);
	status->text[length] = 0;
	for (uint32_t i = 0; i < length; i++) {
		char *c = &status->text[i];
		if ((unsigned char)*c < 32 || (unsigned char)*c > 126)
			*c = '?';
		*c = mx_no_markup(*c);
	}
}

void mx_forget(uint8_t *base)
{
	for (unsigned index = 0; index < 7; index++)
		store(base, W_META + 16 * index + 1, 0);
}

void mx_reset_daemon(uint8_t *base)
{
	memset(word(base, W_MATTE), 0, 32 * 4);
	memset(word(base, W_TEXT), 0, MX_TEXT + 4);
	for (unsigned index = SLOT_MATTE; index < SLOT_BACKGROUND; index++)
		memset(word(base, W_META + 16 * index), 0, 64);
}
