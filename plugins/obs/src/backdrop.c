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

struct canvas {
	uint32_t width, height;
};

static gs_texture_t *pass(struct engine *e, const char *technique, gs_texrender_t **to,
			  struct canvas is, const struct gpu_value *values, size_t count)
{
	struct vec4 clear;
	if (!*to)
		*to = gs_texrender_create(GS_RGBA16F, GS_ZS_NONE);
	gs_texrender_reset(*to);
	if (!gs_texrender_begin(*to, is.width, is.height))
		return NULL;
	vec4_zero(&clear);
	gs_clear(GS_CLEAR_COLOR, &clear, 0.0f, 0);
	gs_ortho(0.0f, (float)is.width, 0.0f, (float)is.height, -1.0f, 1.0f);
	bool drawn = gpu_pass(e, technique, values, count, is.width, is.height);
	gs_texrender_end(*to);
	return drawn ? gs_texrender_get_texture(*to) : NULL;
}

/* A pass from one texture with one pair of numbers. */
static gs_texture_t *pass_from(struct engine *e, const char *technique, gs_texrender_t **to,
			       struct canvas is, gs_texture_t *from, struct gpu_value pair)
{
	const struct gpu_value values[] = {GPU_TEXTURE("image", from), pair};
	return pass(e, technique, to, is, values, GPU_COUNT(values));
}

gs_texture_t *backdrop_blur(struct engine *e, gs_texture_t *small, gs_texture_t *matte,
			    gs_texture_t **mean)
{
	struct backdrop_state *back = &e->back;
	struct canvas is = {e->small_width, e->small_height};
	const float sigma = e->settings.blur / 1000.0f; /* of the width */
	const struct gpu_value values[] = {
		GPU_TEXTURE("image", small),
		GPU_TEXTURE("matte", matte),
		GPU_VALUE("crop", e->settings.crop),
	};
	gs_texture_t *texture = pass(e, "Outside", &back->levels[0], is, values, GPU_COUNT(values));
	const struct gpu_value whole[] = {GPU_TEXTURE("image", texture)};
	*mean = pass(e, "Mean", &back->mean, (struct canvas){1, 1}, whole, GPU_COUNT(whole));
	/* The taps are a quarter of sigma apart. Over a pixel, they would miss what is between them,
	 * and a fine pattern of the room would come through: then the picture is halved first. */
	int level = 0;
	while (sigma / 4 * is.width > 1 && level + 1 < BLUR_LEVELS) {
		is.width = (is.width + 1) / 2;
		is.height = (is.height + 1) / 2;
		const float texel[2] = {1.0f / is.width, 1.0f / is.height};
		texture = pass_from(e, "Shrink", &back->levels[++level], is, texture,
				    (struct gpu_value)GPU_VALUE("texel", texel));
	}
	const float across[2] = {sigma / 4, 0};
	const float down[2] = {0, sigma / 4 * e->small_width / e->small_height};
	texture = pass_from(e, "Blur", &back->blurred, is, texture,
			    (struct gpu_value)GPU_VALUE("direction", across));
	return pass_from(e, "Blur", &back->levels[level], is, texture,
			 (struct gpu_value)GPU_VALUE("direction", down));
}

void backdrop_free(struct engine *e)
{
	if (e->back.loaded)
		gs_image_file_free(&e->back.image);
	e->back.loaded = false;
}
