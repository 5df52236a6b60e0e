/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything that touches the graphics card: the ring of plates, staging, mattes, the picture.
 *
 * Codes are never decoded on the way in: what the daemon gets and what is drawn where alpha is 1
 * are the plate's own bytes. */
#include "engine.h"
#include <graphics/vec4.h>
#include <string.h>
#include <util/platform.h>
#include <util/profiler.h>

/* OBS writes into its log, when it ends, what these took a frame. */
static const char staging[] = "matte: staging", copy[] = "matte: copy", upload[] = "matte: upload";

struct gpu_state {
	bool framebuffer, linear;
};

static struct gpu_state plain_codes(void)
{
	struct gpu_state before = {gs_framebuffer_srgb_enabled(), gs_get_linear_srgb()};
	gs_enable_framebuffer_srgb(false);
	gs_set_linear_srgb(false);
	gs_blend_state_push();
	gs_blend_function(GS_BLEND_ONE, GS_BLEND_ZERO);
	return before;
}

static void restore(struct gpu_state before)
{
	gs_blend_state_pop();
	gs_set_linear_srgb(before.linear);
	gs_enable_framebuffer_srgb(before.framebuffer);
}

bool gpu_ready(struct engine *e)
{
	if (e->effect || e->effect_failed)
		return e->effect != NULL;
	char *path = obs_module_file("matte.effect"), *error = NULL;
	e->effect = path ? gs_effect_create_from_file(path, &error) : NULL;
	if (!e->effect) {
		blog(LOG_ERROR, "[matte] the shader cannot be used, nothing is shown: %s",
		     error ? error : "matte.effect is missing");
		e->effect_failed = true;
	}
	bfree(error);
	bfree(path);
	return e->effect != NULL;
}

void gpu_free(struct engine *e)
{
	for (int i = 0; i < RING; i++) {
		gs_texrender_destroy(e->ring[i].full);
		gs_texrender_destroy(e->ring[i].small);
		memset(&e->ring[i], 0, sizeof e->ring[i]);
	}
	for (int i = 0; i < 2; i++) {
		gs_stagesurface_destroy(e->surface[i]);
		e->surface[i] = NULL;
		e->surface_holds[i].number = 0;
	}
	gs_texture_destroy(e->matte);
	e->matte = NULL;
	for (int i = 0; i < BLUR_LEVELS; i++) {
		gs_texrender_destroy(e->back.levels[i]);
		e->back.levels[i] = NULL;
	}
	gs_texrender_destroy(e->back.blurred);
	gs_texrender_destroy(e->back.mean);
	e->back.blurred = e->back.mean = NULL;
	e->newest = e->shown = -1;
	e->width = e->height = 0;
}

void gpu_sizes(struct engine *e, uint32_t width, uint32_t height)
{
	uint32_t w = e->settings.width < width ? e->settings.width : width;
	uint32_t h = (uint32_t)(((uint64_t)w * height + width / 2) / width);
	if (h > MX_SIDE) {
		h = MX_SIDE;
		w = (uint32_t)((uint64_t)h * width / height);
	}
	w = w ? w : 1;
	h = h ? h : 1;
	if (e->width == width && e->height == height && e->small_width == w && e->small_height == h)
		return;
	gpu_free(e);
	engine_forget(e, "a new size");
	e->width = width;
	e->height = height;
	e->small_width = w;
	e->small_height = h;
}

/* Sets one parameter; false when the shader has none of that name or there is no texture. */
static bool set(struct engine *e, const struct gpu_value *value)
{
	gs_eparam_t *param = gs_effect_get_param_by_name(e->effect, value->name);
	if (!param || (!value->data && !value->texture))
		return false;
	if (value->data)
		gs_effect_set_val(param, value->data, value->size);
	else
		gs_effect_set_texture(param, value->texture);
	return true;
}

/* OBS empties every parameter of an effect at the end of each technique, and a matte that is not
 * bound reads as solid. So no value is set apart from the pass that reads it. */
bool gpu_pass(struct engine *e, const char *technique, const struct gpu_value *values, size_t count,
	      uint32_t width, uint32_t height)
{
	for (size_t i = 0; i < count; i++)
		if (!set(e, &values[i])) {
			if (!e->pass_failed)
				blog(LOG_ERROR, "[matte] %s has no %s: nothing is drawn", technique,
				     values[i].name);
			e->pass_failed = true;
			return false;
		}
	while (gs_effect_loop(e->effect, technique))
		gs_draw_sprite(NULL, 0, width, height);
	return true;
}

/* The slot to overwrite: the oldest that is neither shown nor with the daemon. */
static int spare(const struct engine *e)
{
	int best = -1;
	for (int i = 0; i < RING; i++) {
		const struct plate *plate = &e->ring[i];
		if (i == e->shown || (plate->number && plate->number == e->status.taken))
			continue;
		if (best < 0 || plate->number < e->ring[best].number)
			best = i;
	}
	return best;
}

static bool draw_into(gs_texrender_t **target, uint32_t width, uint32_t height)
{
	struct vec4 clear;
	if (!*target)
		*target = gs_texrender_create(GS_RGBA, GS_ZS_NONE);
	gs_texrender_reset(*target);
	if (!gs_texrender_begin(*target, width, height))
		return false;
	vec4_zero(&clear);
	gs_clear(GS_CLEAR_COLOR, &clear, 0.0f, 0);
	return true;
}

static void keep_clean(struct engine *e, const struct mx_picture *is, const uint8_t *data,
		       uint32_t stride)
{
	if (!e->clean)
		e->clean = bmalloc(MX_SLOT);
	for (uint32_t y = 0; y < is->height; y++)
		memcpy(e->clean + (size_t)y * is->width * 4, data + (size_t)y * stride,
		       (size_t)is->width * 4);
	e->clean_is = *is;
	mx_put_background(e->memory.base, &e->clean_is, e->clean);
	e->capture_at = 0;
	blog(LOG_INFO, "[matte] the empty room is captured");
}

/* The card has had a whole frame for the other surface: mapping it does not wait. */
static void hand_over(struct engine *e, unsigned which)
{
	struct mx_picture *is = &e->surface_holds[which];
	uint8_t *data;
	uint32_t stride;
	if (!is->number || !e->memory.base || !gs_stagesurface_map(e->surface[which], &data, &stride))
		return;
	mx_put_plate(e->memory.base, is, data, stride);
	long at = e->capture_at;
	if (at && (long)(os_gettime_ns() / 1000000000ull) >= at)
		keep_clean(e, is, data, stride);
	gs_stagesurface_unmap(e->surface[which]);
	is->number = 0;
}

int gpu_take_plate(struct engine *e, uint64_t now, bool stage)
{
	const int slot = spare(e);
	if (slot < 0)
		return e->newest;
	struct plate *plate = &e->ring[slot];
	struct gpu_state before = plain_codes();
	plate->number = 0;
	bool drawn = draw_into(&plate->full, e->width, e->height);
	if (drawn) {
		gs_ortho(0.0f, (float)e->width, 0.0f, (float)e->height, -100.0f, 100.0f);
		e->draw_plate(e->who);
		gs_texrender_end(plate->full);
		drawn = draw_into(&plate->small, e->small_width, e->small_height);
	}
	if (drawn) {
		const float pixel[2] = {1.0f / e->small_width, 1.0f / e->small_height};
		gs_ortho(0.0f, (float)e->small_width, 0.0f, (float)e->small_height, -1.0f, 1.0f);
		const struct gpu_value values[] = {
			GPU_TEXTURE("image", gs_texrender_get_texture(plate->full)),
			GPU_VALUE("texel", pixel),
		};
		drawn = gpu_pass(e, "Shrink", values, GPU_COUNT(values), e->small_width,
				 e->small_height);
		gs_texrender_end(plate->small);
	}
	restore(before);
	if (!drawn)
		return -1;
	plate->number = ++e->number ? e->number : ++e->number;
	plate->generation = e->generation;
	plate->time = now;
	if (stage) {
		const unsigned which = e->surfaces++ & 1;
		if (!e->surface[which])
			e->surface[which] = gs_stagesurface_create(e->small_width, e->small_height,
								   GS_RGBA);
		profile_start(staging);
		gs_stage_texture(e->surface[which], gs_texrender_get_texture(plate->small));
		e->surface_holds[which] = (struct mx_picture){plate->number, 0, e->small_width,
							      e->small_height, e->generation};
		e->staged_at = now;
		profile_end(staging);
		profile_start(copy);
		hand_over(e, which ^ 1);
		profile_end(copy);
	}
	return slot;
}

void gpu_take_matte(struct engine *e, uint64_t now)
{
	struct mx_picture is;
	if (!e->memory.base || !mx_valid(e->memory.base) ||
	    !mx_take_matte(e->memory.base, e->seen, &is, e->matte_pixels))
		return;
	e->seen = is.number;
	if (is.generation != e->generation || is.width != e->small_width ||
	    is.height != e->small_height)
		return;
	int slot = -1;
	for (int i = 0; i < RING; i++)
		if (e->ring[i].number == is.plate && e->ring[i].generation == e->generation)
			slot = i;
	if (e->settings.sync && slot < 0)
		return;
	const uint8_t *pixels = e->matte_pixels;
	if (e->matte && (gs_texture_get_width(e->matte) != is.width ||
			 gs_texture_get_height(e->matte) != is.height)) {
		gs_texture_destroy(e->matte);
		e->matte = NULL;
	}
	profile_start(upload);
	if (!e->matte)
		e->matte = gs_texture_create(is.width, is.height, GS_RGBA, 1, &pixels, GS_DYNAMIC);
	else
		gs_texture_set_image(e->matte, pixels, is.width * 4, false);
	profile_end(upload);
	if (!e->matte)
		return;
	if (e->matte_at) {
		uint64_t since = now - e->matte_at;
		e->interval = e->interval ? (e->interval * 3 + since) / 4 : since;
	}
	e->matte_at = now;
	e->matte_is = is;
	e->shown = slot;
	e->mattes++;
	e->mattes_age += e->number - is.plate;
	if (slot >= 0) {
		float delay = (float)(now - e->ring[slot].time) / 1e6f;
		e->delay_ms = e->delay_ms ? 0.9f * e->delay_ms + 0.1f * delay : delay;
	}
}

/* What is behind the person, as the shader wants it. */
struct behind {
	gs_texture_t *texture; /* NULL: none is needed */
	int kind;
	float colour[4], fit[2];
};

static struct behind behind(struct engine *e)
{
	const uint32_t c = e->settings.colour;
	struct behind b = {
		.kind = e->settings.backdrop,
		.colour = {(c & 255) / 255.0f, (c >> 8 & 255) / 255.0f, (c >> 16 & 255) / 255.0f, 1.0f},
		.fit = {1.0f, 1.0f},
	};
	if (b.kind != BACK_IMAGE)
		return b;
	b.texture = backdrop_image(e);
	if (!b.texture) {
		b.kind = BACK_TRANSPARENT;
		return b;
	}
	float shape = (float)e->width / e->height * gs_texture_get_height(b.texture) /
		      gs_texture_get_width(b.texture);
	b.fit[0] = shape < 1 ? shape : 1;
	b.fit[1] = shape < 1 ? 1 : 1 / shape;
	return b;
}

static struct gpu_state over_canvas(const struct engine *e)
{
	struct gpu_state before = {gs_framebuffer_srgb_enabled(), gs_get_linear_srgb()};
	gs_enable_framebuffer_srgb(e->settings.linear && e->settings.view == VIEW_COMPOSITE);
	gs_set_linear_srgb(false);
	gs_blend_state_push();
	gs_blend_function(GS_BLEND_ONE, GS_BLEND_INVSRCALPHA);
	return before;
}

void gpu_draw(struct engine *e)
{
	struct plate *plate = &e->ring[e->settings.sync ? e->shown : e->newest];
	const float size[2] = {(float)e->small_width, (float)e->small_height};
	const int view = e->settings.view, linear = e->settings.linear && view == VIEW_COMPOSITE;
	gs_texture_t *full = gs_texrender_get_texture(plate->full);
	gs_texture_t *small = gs_texrender_get_texture(plate->small);
	if (!full || !small)
		return;
	struct behind back = behind(e);
	gs_texture_t *mean = full; /* bound, but not looked at */
	if (back.kind == BACK_BLUR && view == VIEW_COMPOSITE) {
		struct gpu_state before = plain_codes();
		back.texture = backdrop_blur(e, small, &mean);
		restore(before);
		if (!back.texture || !mean)
			return;
	}
	const struct gpu_value values[] = {
		GPU_TEXTURE("image", full),
		GPU_TEXTURE("small", small),
		GPU_TEXTURE("matte", e->matte),
		GPU_TEXTURE("backdrop", back.texture ? back.texture : full),
		GPU_TEXTURE("around", mean),
		GPU_VALUE("crop", e->settings.crop),
		GPU_VALUE("size", size),
		GPU_VALUE("fit", back.fit),
		GPU_VALUE("colour", back.colour),
		{"kind", &back.kind, sizeof back.kind, NULL},
		{"view", &view, sizeof view, NULL},
		{"linear_light", &linear, sizeof linear, NULL},
	};
	struct gpu_state before = over_canvas(e);
	gpu_pass(e, "Draw", values, GPU_COUNT(values), e->width, e->height);
	restore(before);
}

void gpu_draw_plate(struct engine *e)
{
	gs_texture_t *full = gs_texrender_get_texture(e->ring[e->newest].full);
	if (!full)
		return;
	const struct gpu_value values[] = {
		GPU_TEXTURE("image", full),
		GPU_VALUE("crop", e->settings.crop),
	};
	struct gpu_state before = over_canvas(e);
	gs_enable_framebuffer_srgb(false);
	gpu_pass(e, "Plate", values, GPU_COUNT(values), e->width, e->height);
	restore(before);
}

void gpu_draw_hidden(struct engine *e)
{
	if (e->settings.view != VIEW_COMPOSITE)
		return;
	const struct behind back = behind(e);
	const struct gpu_value image[] = {
		GPU_TEXTURE("image", back.texture),
		GPU_VALUE("fit", back.fit),
	};
	const struct gpu_value colour[] = {GPU_VALUE("colour", back.colour)};
	struct gpu_state before = over_canvas(e);
	gs_enable_framebuffer_srgb(false);
	if (back.kind == BACK_IMAGE)
		gpu_pass(e, "HiddenImage", image, GPU_COUNT(image), e->width, e->height);
	else if (back.kind == BACK_COLOUR)
		gpu_pass(e, "HiddenColour", colour, GPU_COUNT(colour), e->width, e->height);
	restore(before);
}
