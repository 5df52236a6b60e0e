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
		gs_texture_destroy(e->ring[i].matte);
		memset(&e->ring[i], 0, sizeof e->ring[i]);
	}
	for (int i = 0; i < 2; i++) {
		gs_stagesurface_destroy(e->surface[i]);
		e->surface[i] = NULL;
		e->surface_holds[i].number = 0;
	}
	gs_texture_destroy(e->matte);
	e->matte = NULL;
	gs_texrender_destroy(e->room[0]);
	gs_texrender_destroy(e->room[1]);
	gs_texrender_destroy(e->between);
	gs_texrender_destroy(e->slope);
	e->room[0] = e->room[1] = e->between = e->slope = NULL;
	for (int i = 0; i < 3; i++) {
		gs_texrender_destroy(e->quarter[i]);
		e->quarter[i] = NULL;
	}
	e->room_known = false;
	for (int i = 0; i < BLUR_LEVELS; i++) {
		gs_texrender_destroy(e->back.levels[i]);
		e->back.levels[i] = NULL;
	}
	gs_texrender_destroy(e->back.blurred);
	gs_texrender_destroy(e->back.mean);
	e->back.blurred = e->back.mean = NULL;
	e->newest = e->shown = e->before = e->after = -1;
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

/* Times are those of OBS's frames, which may be a little apart from each other. */
static uint64_t due_time(const struct engine *e, uint64_t now)
{
	return now - e->settings.delay_ms * 1000000ull + 3000000ull;
}

/* How many plates there may be. */
static int slots(const struct engine *e)
{
	const uint64_t one = (uint64_t)e->width * e->height * 4;
	const uint64_t may = one ? RING_BYTES / one : RING;
	return may < 8 ? 8 : may > RING ? RING : (int)may;
}

/* Whether the buffer has room for a plate now: few large plates are spread over the delay. */
bool gpu_paced(const struct engine *e, uint64_t now)
{
	if (!e->settings.sync || e->newest < 0)
		return true;
	const uint64_t apart = e->settings.delay_ms * 1000000ull / (uint64_t)(slots(e) - 6);
	return now - e->ring[e->newest].time + 2000000 >= apart;
}

/* The slot to overwrite: the oldest that is of no more use. */
static int spare(const struct engine *e, uint64_t now)
{
	const uint64_t due = e->settings.sync ? due_time(e, now) - 50000000ull : now;
	int best = -1, oldest = -1, fresh = -1;
	for (int i = 0; i < slots(e); i++) {
		const struct plate *plate = &e->ring[i];
		if (!plate->number || plate->generation != e->generation) {
			if (plate->full)
				return i;
			fresh = fresh < 0 ? i : fresh;
			continue;
		}
		/* Shown, or with the daemon, or on the way to it. */
		if (i == e->shown || i == e->before || i == e->after ||
		    plate->number == e->status.taken || e->number - plate->number < 3)
			continue;
		if (oldest < 0 || plate->time < e->ring[oldest].time)
			oldest = i;
		if (plate->time < due && (best < 0 || plate->time < e->ring[best].time))
			best = i;
	}
	return best >= 0 ? best : fresh >= 0 ? fresh : oldest;
}

static bool draw_into_kind(gs_texrender_t **target, enum gs_color_format kind, uint32_t width,
			   uint32_t height)
{
	struct vec4 clear;
	if (!*target)
		*target = gs_texrender_create(kind, GS_ZS_NONE);
	gs_texrender_reset(*target);
	if (!gs_texrender_begin(*target, width, height))
		return false;
	vec4_zero(&clear);
	gs_clear(GS_CLEAR_COLOR, &clear, 0.0f, 0);
	return true;
}

static bool draw_into(gs_texrender_t **target, uint32_t width, uint32_t height)
{
	return draw_into_kind(target, GS_RGBA, width, height);
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

static bool shrink_into(struct engine *e, gs_texrender_t **to, gs_texture_t *from, uint32_t width,
			uint32_t height)
{
	if (!draw_into(to, width, height))
		return false;
	const float pixel[2] = {1.0f / width, 1.0f / height};
	gs_ortho(0.0f, (float)width, 0.0f, (float)height, -1.0f, 1.0f);
	const struct gpu_value values[] = {
		GPU_TEXTURE("image", from),
		GPU_VALUE("texel", pixel),
	};
	bool drawn = gpu_pass(e, "Shrink", values, GPU_COUNT(values), width, height);
	gs_texrender_end(*to);
	return drawn;
}

/* The network's picture: each of its pixels is the mean of those it stands for. One pass averages
 * up to four by four; more are quartered first, or it would see the noise and the moire of a few. */
static bool shrink(struct engine *e, struct plate *plate)
{
	gs_texture_t *from = gs_texrender_get_texture(plate->full);
	uint32_t width = e->width, height = e->height;
	for (int i = 0; i < 3 && (width > 4 * e->small_width || height > 4 * e->small_height); i++) {
		width = (width + 3) / 4 > e->small_width ? (width + 3) / 4 : e->small_width;
		height = (height + 3) / 4 > e->small_height ? (height + 3) / 4 : e->small_height;
		if (!shrink_into(e, &e->quarter[i], from, width, height))
			return false;
		from = gs_texrender_get_texture(e->quarter[i]);
	}
	return shrink_into(e, &plate->small, from, e->small_width, e->small_height);
}

int gpu_take_plate(struct engine *e, uint64_t now, bool stage)
{
	const int slot = spare(e, now);
	if (slot < 0)
		return e->newest;
	struct plate *plate = &e->ring[slot];
	struct gpu_state before = plain_codes();
	plate->number = 0;
	plate->matted = false;
	bool drawn = draw_into(&plate->full, e->width, e->height);
	if (drawn) {
		gs_ortho(0.0f, (float)e->width, 0.0f, (float)e->height, -100.0f, 100.0f);
		e->draw_plate(e->who);
		gs_texrender_end(plate->full);
		drawn = shrink(e, plate);
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

static bool put_matte(gs_texture_t **to, const struct mx_picture *is, const uint8_t *pixels)
{
	if (*to && (gs_texture_get_width(*to) != is->width || gs_texture_get_height(*to) != is->height)) {
		gs_texture_destroy(*to);
		*to = NULL;
	}
	profile_start(upload);
	if (!*to)
		*to = gs_texture_create(is->width, is->height, GS_RGBA, 1, &pixels, GS_DYNAMIC);
	else
		gs_texture_set_image(*to, pixels, is->width * 4, false);
	profile_end(upload);
	return *to != NULL;
}

/* Keeps what a plate and its matte say of the room. */
static void learn_room(struct engine *e, const struct plate *plate)
{
	gs_texture_t *small = gs_texrender_get_texture(plate->small);
	gs_texture_t *old = e->room_known ? gs_texrender_get_texture(e->room[e->room_is]) : small;
	const float share = e->room_known ? 1.0f : 0.0f;
	const struct gpu_value values[] = {
		GPU_TEXTURE("small", small),
		GPU_TEXTURE("image", old),
		GPU_TEXTURE("matte", plate->matte),
		{"share", &share, sizeof share, NULL},
	};
	const unsigned to = e->room_is ^ 1;
	struct gpu_state before = plain_codes();
	e->room_known = false;
	if (draw_into(&e->room[to], e->small_width, e->small_height)) {
		gs_ortho(0.0f, (float)e->small_width, 0.0f, (float)e->small_height, -1.0f, 1.0f);
		e->room_known = gpu_pass(e, "Room", values, GPU_COUNT(values), e->small_width,
					 e->small_height);
		gs_texrender_end(e->room[to]);
		e->room_is = to;
	}
	restore(before);
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
	gs_texture_t **to = e->settings.sync ? &e->ring[slot].matte : &e->matte;
	if (!put_matte(to, &is, e->matte_pixels))
		return;
	if (e->settings.sync) {
		e->ring[slot].matted = true;
		learn_room(e, &e->ring[slot]);
	}
	if (e->matte_at && !e->new_daemon) { /* its start is no part of its pace */
		uint64_t since = now - e->matte_at;
		e->interval = e->interval ? (e->interval * 3 + since) / 4 : since;
	}
	e->new_daemon = false;
	e->matte_at = now;
	e->matte_is = is;
	e->mattes++;
	e->mattes_age += e->number - is.plate;
	if (slot < 0)
		return;
	/* A plate just after this one waits for the next matte. */
	const float needs = (float)(now - e->ring[slot].time + e->interval) / 1e6f;
	e->needs_ms = e->needs_ms > 0 ? 0.9f * e->needs_ms + 0.1f * needs : needs;
}

/* Two plates with mattes of their own, before and after a plate; false when one is missing. */
static bool around(const struct engine *e, const struct plate *plate, int *before, int *after)
{
	*before = *after = -1;
	for (int i = 0; i < RING; i++) {
		const struct plate *other = &e->ring[i];
		if (!other->number || !other->matted || other->generation != e->generation)
			continue;
		if (other->time < plate->time &&
		    (*before < 0 || other->time > e->ring[*before].time))
			*before = i;
		if (other->time > plate->time && (*after < 0 || other->time < e->ring[*after].time))
			*after = i;
	}
	return *before >= 0 && *after >= 0;
}

void gpu_choose(struct engine *e, uint64_t now)
{
	const uint64_t due = due_time(e, now);
	uint64_t newest = e->shown >= 0 ? e->ring[e->shown].time : 0;
	int best = -1;
	for (int i = 0; i < RING; i++) {
		const struct plate *plate = &e->ring[i];
		int before, after;
		if (!plate->number || plate->generation != e->generation || plate->time > due ||
		    plate->time <= newest)
			continue;
		if (!plate->matted && !around(e, plate, &before, &after))
			continue;
		best = i;
		newest = plate->time;
		e->before = plate->matted ? i : before;
		e->after = plate->matted ? i : after;
	}
	if (best >= 0) {
		e->shown = best;
		e->person_pictures++;
	}
	if (e->shown >= 0) {
		const float delay = (float)(now - e->ring[e->shown].time) / 1e6f;
		e->delay_ms = e->delay_ms > 0 ? 0.9f * e->delay_ms + 0.1f * delay : delay;
	}
	if (now - e->person_since >= 1000000000ull) {
		e->person_rate = e->person_pictures * 1e9f / (float)(now - e->person_since);
		e->person_pictures = 0;
		e->person_since = now;
	}
}

/* The matte of the shown plate: its own, or one between those of its neighbours. */
static gs_texture_t *matte_of_shown(struct engine *e)
{
	const struct plate *plate = &e->ring[e->shown];
	if (plate->matted)
		return plate->matte;
	const struct plate *a = &e->ring[e->before], *b = &e->ring[e->after];
	const float size[2] = {(float)e->small_width, (float)e->small_height};
	const float share = (float)(plate->time - a->time) / (float)(b->time - a->time);
	gs_texture_t *small = gs_texrender_get_texture(plate->small);
	gs_texture_t *room = e->room_known ? gs_texrender_get_texture(e->room[e->room_is]) : NULL;
	const struct gpu_value values[] = {
		GPU_TEXTURE("small", small),
		GPU_TEXTURE("image", gs_texrender_get_texture(a->small)),
		GPU_TEXTURE("matte", a->matte),
		GPU_TEXTURE("backdrop", gs_texrender_get_texture(b->small)),
		GPU_TEXTURE("around", b->matte),
		GPU_TEXTURE("room", room),
		GPU_VALUE("size", size),
		{"share", &share, sizeof share, NULL},
	};
	struct gpu_state before = plain_codes();
	bool drawn = draw_into(&e->between, e->small_width, e->small_height);
	if (drawn) {
		gs_ortho(0.0f, size[0], 0.0f, size[1], -1.0f, 1.0f);
		drawn = gpu_pass(e, "Between", values, GPU_COUNT(values), e->small_width,
				 e->small_height);
		gs_texrender_end(e->between);
	}
	restore(before);
	return drawn ? gs_texrender_get_texture(e->between) : NULL;
}

/* How alpha follows the plate's colours, at the size of the matte. */
static gs_texture_t *slope_of(struct engine *e, gs_texture_t *small, gs_texture_t *matte)
{
	const float size[2] = {(float)e->small_width, (float)e->small_height};
	const struct gpu_value values[] = {
		GPU_TEXTURE("small", small),
		GPU_TEXTURE("matte", matte),
		GPU_VALUE("size", size),
	};
	struct gpu_state before = plain_codes();
	bool drawn = draw_into_kind(&e->slope, GS_RGBA16F, e->small_width, e->small_height);
	if (drawn) {
		gs_ortho(0.0f, size[0], 0.0f, size[1], -1.0f, 1.0f);
		drawn = gpu_pass(e, "Slope", values, GPU_COUNT(values), e->small_width,
				 e->small_height);
		gs_texrender_end(e->slope);
	}
	restore(before);
	return drawn ? gs_texrender_get_texture(e->slope) : NULL;
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
	const int invert = e->settings.invert;
	const int view = e->settings.view, linear = e->settings.linear && view == VIEW_COMPOSITE;
	gs_texture_t *full = gs_texrender_get_texture(plate->full);
	gs_texture_t *small = gs_texrender_get_texture(plate->small);
	gs_texture_t *matte = e->settings.sync ? matte_of_shown(e) : e->matte;
	gs_texture_t *slope = small && matte ? slope_of(e, small, matte) : NULL;
	if (!full || !slope)
		return;
	struct behind back = behind(e);
	gs_texture_t *mean = full; /* bound, but not looked at */
	if (back.kind == BACK_BLUR && view == VIEW_COMPOSITE) {
		struct gpu_state before = plain_codes();
		back.texture = backdrop_blur(e, small, matte, &mean);
		restore(before);
		if (!back.texture || !mean)
			return;
	}
	const struct gpu_value values[] = {
		GPU_TEXTURE("image", full),
		GPU_TEXTURE("small", small),
		GPU_TEXTURE("matte", matte),
		GPU_TEXTURE("slope", slope),
		GPU_TEXTURE("backdrop", back.texture ? back.texture : full),
		GPU_TEXTURE("around", mean),
		GPU_VALUE("crop", e->settings.crop),
		GPU_VALUE("size", size),
		GPU_VALUE("fit", back.fit),
		GPU_VALUE("colour", back.colour),
		{"kind", &back.kind, sizeof back.kind, NULL},
		{"view", &view, sizeof view, NULL},
		{"linear_light", &linear, sizeof linear, NULL},
		{"invert", &invert, sizeof invert, NULL},
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
