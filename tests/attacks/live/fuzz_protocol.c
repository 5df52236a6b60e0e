/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hostile headers against the plug-in's side of the protocol; built with AddressSanitizer. The
 * memory ends right before a page that may not be touched, so that an overrun is a crash too. */
#include "../../../plugins/obs/src/protocol.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint32_t next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static const uint32_t nasty[] = {0, 1, 2, 3, 1023, 1024, 1025, 0x7fffffff, 0x80000000, 0xffffffff, 252, 253};

int main(int count, char **arguments)
{
	uint32_t state = count > 1 ? (uint32_t)atoi(arguments[1]) : 1;
	const int rounds = count > 2 ? atoi(arguments[2]) : 20000;
	uint8_t *area = mmap(NULL, MX_SIZE + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED || mprotect(area + MX_SIZE, 4096, PROT_NONE))
		return 2;
	uint8_t *out = malloc(MX_SLOT), *in = calloc(1, 64 * 64 * 4);
	struct mx_picture picture;
	struct mx_status status;
	int taken = 0;
	for (int round = 0; round < rounds; round++) {
		mx_init(area);
		uint32_t *words = (uint32_t *)(void *)area;
		for (int i = 0; i < 24; i++) {
			uint32_t at = next(&state) % 3 ? 32 + next(&state) % 160 : next(&state) % (MX_HEADER / 4);
			words[at] = next(&state) & 1 ? nasty[next(&state) % 12] : next(&state);
		}
		if (next(&state) & 1) { /* a header that names its slot, with any size */
			uint32_t number = words[32] ? words[32] : 1, slot = 64 + 16 * (3 + number % 3);
			words[32] = number;
			words[slot] &= ~1u;
			words[slot + 1] = number;
			words[slot + 3] = nasty[next(&state) % 12];
			words[slot + 4] = nasty[next(&state) % 12];
		}
		if (mx_take_matte(area, next(&state) % 3, &picture, out)) {
			taken++;
			if (!picture.width || !picture.height || picture.width > MX_SIDE || picture.height > MX_SIDE)
				return 3;
		}
		mx_read_status(area, &status);
		if (strlen(status.text) > MX_TEXT || status.state > MX_ERROR)
			return 4;
		mx_valid(area);
		picture = (struct mx_picture){next(&state), 0, nasty[next(&state) % 4], nasty[next(&state) % 4], 1};
		mx_put_plate(area, &picture, in, 64 * 4);
		picture.width = MX_SIDE + 1; /* refused */
		mx_put_background(area, &picture, in);
	}
	/* A text that a window would take for a picture, a link or lines of its own (word 256). */
	static const char markup[] = "<img src='x'>\n<a href='y'>\x7f\xff";
	mx_init(area);
	((uint32_t *)(void *)area)[256] = sizeof markup - 1;
	memcpy(area + 257 * 4, markup, sizeof markup - 1);
	mx_read_status(area, &status);
	if (strcmp(status.text, "(img src='x')?(a href='y')??"))
		return 8;
	char *text = malloc(MX_SETTINGS + 2);
	memset(text, 'x', MX_SETTINGS + 1);
	text[MX_SETTINGS + 1] = 0;
	if (mx_put_settings(area, text))
		return 5;
	text[MX_SETTINGS] = 0;
	if (!mx_put_settings(area, text))
		return 6;
	mx_forget(area);
	mx_reset_daemon(area);
	free(text);
	free(out);
	free(in);
	printf("%d mattes taken\n", taken);
	return taken ? 0 : 7; /* the fuzzer must get through to the copying */
}
