/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the filter and the camera share: one daemon, its memory, the ring of plates, the picture.
 *
 * Fail closed: what is drawn is a plate with the matte that belongs to it (or, with sync off, the
 * newest of both), or the chosen background, or nothing. */
#pragma once
#include "platform.h"
#include "protocol.h"
#include "settings.h"
#include <graphics/image-file.h>
#include <pthread.h>

#define RING 48
#define RING_BYTES (512u << 20) /* what full plates may take on the card: 15 of 3840 x 2160 */
#define BLUR_LEVELS 6

struct plate {
	gs_texrender_t *full, *small;
	gs_texture_t *matte;
	bool matted; /* the matte is this plate's own */
	uint32_t number, generation;
	uint64_t time; /* ns, of this process's clock */
};

struct backdrop_state {
	gs_image_file_t image;
	char path[1024];
	bool loaded;
	gs_texrender_t *levels[BLUR_LEVELS], *blurred; /* of the room: whole, halved, ... */
	gs_texrender_t *mean; /* of all that is outside of the matte: one pixel */
};

struct engine {
	obs_source_t *source;
	void (*draw_plate)(void *who);
	void *who;

	pthread_mutex_t lock; /* next, changed, report */
	struct settings next;
	bool changed;
	char report[1024];

	/* From here on: the graphics thread's alone. */
	struct settings settings;
	struct mx_memory memory;
	struct mx_child child;
	char trouble[256]; /* why the last daemon is gone; "" once one is ready */
	char said[16384]; /* the last of what the daemon wrote to its outputs */
	size_t said_size;
	uint64_t started, retry_at, beat_at;
	uint64_t worked, worked_at, looked_at; /* processor time of the daemon, and when it last grew */
	uint32_t failures, heartbeat, last_state;
	bool active;
	struct mx_status status;

	bool hdr; /* the camera's light goes beyond what 8 bits hold */
	bool due;
	uint32_t unseen; /* ticks since it was last drawn */
	uint64_t rendered_at, staged_at;
	uint32_t width, height, small_width, small_height;
	uint32_t number, generation, seen;
	struct plate ring[RING];
	int newest, shown;          /* into the ring; -1 is none */
	int before, after;          /* the plates with mattes that the shown one lies between */
	gs_texrender_t *room[2], *between, *slope, *quarter[3];
	unsigned room_is; /* which of the two; 0 and 1 */
	bool room_known;
	gs_stagesurf_t *surface[2];
	struct mx_picture surface_holds[2];
	uint32_t surfaces;

	uint8_t *matte_pixels;
	gs_texture_t *matte;
	struct mx_picture matte_is;
	uint64_t matte_at, interval;
	bool new_daemon; /* none of its mattes was taken yet */
	float delay_ms, needs_ms; /* of the picture; and the delay from which on it would be smooth */
	float person_rate;        /* pictures of the person a second */
	uint32_t person_pictures;
	uint64_t person_since;
	uint32_t mattes, mattes_age; /* since it last forgot: how many, and their plates' ages together */
	bool hiding;

	gs_effect_t *effect;
	bool effect_failed, pass_failed;
	struct backdrop_state back;

	const char *told; /* the state that an open window of properties shows */
	bool rated, told_hdr;
	uint64_t told_at;

	volatile long sound_delay; /* ms: the sound of a Matte Camera is as late as its picture */
	volatile long capture_at; /* seconds of the clock; 0 is none */
	uint8_t *clean;
	struct mx_picture clean_is;
	obs_hotkey_id hide_key, capture_key;
};

struct engine *engine_create(obs_source_t *source, void (*draw_plate)(void *), void *who);
/* Changes when a source shows another device, file or address: these are texts. Its sliders are not. */
uint64_t engine_identity(obs_source_t *source);
/* Hot keys; OBS gives none to private sources, which many filters are: then the parent has them. */
void engine_keys(struct engine *engine, obs_source_t *owner);
void engine_destroy(struct engine *engine);
void engine_update(struct engine *engine, obs_data_t *data);
void engine_forget(struct engine *engine, const char *why); /* graphics thread */
void engine_tick(struct engine *engine);
/* What kind of light the source that is shown next has. */
void engine_colours(struct engine *engine, obs_source_t *from);
void engine_render(struct engine *engine, uint32_t width, uint32_t height);
void engine_capture(struct engine *engine, unsigned seconds);
void engine_report(struct engine *engine, char *text, size_t size);

/* daemon.c */
void daemon_tick(struct engine *engine, uint64_t now);
void daemon_stop(struct engine *engine);

/* gpu.c: all need the graphics context. */
bool gpu_ready(struct engine *engine);
void gpu_free(struct engine *engine);
void gpu_sizes(struct engine *engine, uint32_t width, uint32_t height);
int gpu_take_plate(struct engine *engine, uint64_t now, bool stage);
void gpu_take_matte(struct engine *engine, uint64_t now);
/* Aligned: which plate is due, and between which mattes it lies. */
void gpu_choose(struct engine *engine, uint64_t now);
bool gpu_paced(const struct engine *engine, uint64_t now);
void gpu_draw(struct engine *engine);
void gpu_draw_plate(struct engine *engine);
void gpu_draw_hidden(struct engine *engine);

/* One parameter of the shader: its bytes or its texture. */
struct gpu_value {
	const char *name;
	const void *data;
	size_t size;
	gs_texture_t *texture;
};
#define GPU_VALUE(name, array) {name, array, sizeof(array), NULL}
#define GPU_TEXTURE(name, from) {name, NULL, 0, from}
#define GPU_COUNT(values) (sizeof(values) / sizeof((values)[0]))
/* Draws with these values and no others; draws nothing and returns false when one is missing. */
bool gpu_pass(struct engine *engine, const char *technique, const struct gpu_value *values,
	      size_t count, uint32_t width, uint32_t height);

/* backdrop.c */
gs_texture_t *backdrop_image(struct engine *engine);
/* The room blurred; `mean` is its mean colour, for where none of it is near. NULL: it failed. */
gs_texture_t *backdrop_blur(struct engine *engine, gs_texture_t *small, gs_texture_t *matte,
			    gs_texture_t **mean);
void backdrop_free(struct engine *engine);

/* properties.c: first what must be found at once (hide, state), then the rest. */
void engine_properties_top(struct engine *engine, obs_properties_t *properties);
obs_properties_t *engine_properties(struct engine *engine, obs_properties_t *properties);
