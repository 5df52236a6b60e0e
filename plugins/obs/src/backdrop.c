/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands behind the person: an image, or the room blurred from outside the matte alone. */
#include "engine.h"
#include <graphics/vec4.h>
#include <string.h>

gs_texture_t *backdrop_image(struct engine *e)
{
	struct backdrop_state *back = &e->back;
	if (strcmp(back->path, e->settings.image)) {
		if (back->loaded)
			gs_image_file_free(&back->image);
		memcpy(back->path, e->settings.image, sizeof back->path);
		gs_image_file_init(&back->image, back->path);
		gs_image_file_init_texture(&back->image);
		back->loaded = true;
	}
	return back->loaded ? back->image.texture : NULL;
}

static gs_texture_t *pass(struct engine *e, const char *technique, gs_texrender_t **to,
			  gs_texture_t *from)
{
	struct vec4 clear;
	if (!*to)
		*to = gs_texrender_create(GS_RGBA16F, GS_ZS_NONE);
	gs_texrender_reset(*to);
	if (!from || !gs_texrender_begin(*to, e->small_width, e->small_height))
		return NULL;
	vec4_zero(&clear);
	gs_clear(GS_CLEAR_COLOR, &clear, 0.0f, 0);
	gs_ortho(0.0f, (float)e->small_width, 0.0f, (float)e->small_height, -1.0f, 1.0f);
	gpu_pass(e, technique, from, e->small_width, e->small_height);
	gs_texrender_end(*to);
	return gs_texrender_get_texture(*to);
}

gs_texture_t *backdrop_blur(struct engine *e)
{
	struct backdrop_state *back = &e->back;
	const struct plate *plate = &e->ring[e->settings.sync ? e->shown : e->newest];
	const float sigma = e->settings.blur / 1000.0f; /* of the width */
	const float across[2] = {sigma / 4, 0};
	const float down[2] = {0, sigma / 4 * e->small_width / e->small_height};
	gs_texture_t *small = gs_texrender_get_texture(plate->small);
	gs_texture_t *texture = pass(e, "Outside", &back->outside, small);
	gpu_set(e, "direction", across, sizeof across);
	texture = pass(e, "Blur", &back->blurred, texture);
	gpu_set(e, "direction", down, sizeof down);
	return pass(e, "Blur", &back->outside, texture);
}

void backdrop_free(struct engine *e)
{
	if (e->back.loaded)
		gs_image_file_free(&e->back.image);
	e->back.loaded = false;
}
