/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine.h"
#include <stdio.h>
#include <string.h>
#include <util/platform.h>

#define MS 1000000ull

static void toggle_hidden(void *data, obs_hotkey_id id, obs_hotkey_t *key, bool pressed)
{
	struct engine *e = data;
	(void)id, (void)key;
	if (!pressed)
		return;
	obs_data_t *settings = obs_source_get_settings(e->source);
	obs_data_set_bool(settings, "blank", !obs_data_get_bool(settings, "blank"));
	obs_data_release(settings);
	obs_source_update(e->source, NULL);
}

static void capture_now(void *data, obs_hotkey_id id, obs_hotkey_t *key, bool pressed)
{
	(void)id, (void)key;
	if (pressed)
		engine_capture(data, 0);
}

void engine_keys(struct engine *e, obs_source_t *owner)
{
	if (e->hide_key != OBS_INVALID_HOTKEY_ID)
		return;
	e->hide_key = obs_hotkey_register_source(owner, "matte_nodes.blank",
						 obs_module_text("Key.Blank"), toggle_hidden, e);
	e->capture_key = obs_hotkey_register_source(owner, "matte_nodes.capture",
						    obs_module_text("Key.Capture"), capture_now, e);
}

static uint64_t hashed(uint64_t hash, const char *text)
{
	for (; text && *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
	return (hash ^ 0xff) * 0x100000001b3ull;
}

uint64_t engine_identity(obs_source_t *source)
{
	obs_data_t *settings = obs_source_get_settings(source);
	uint64_t hash = 0xcbf29ce484222325ull;
	for (obs_data_item_t *item = obs_data_first(settings); item; obs_data_item_next(&item)) {
		const enum obs_data_type type = obs_data_item_gettype(item);
		if (type == OBS_DATA_STRING) {
			hash = hashed(hash, obs_data_item_get_name(item));
			hash = hashed(hash, obs_data_item_get_string(item));
		} else if (type == OBS_DATA_ARRAY) { /* of a slide show */
			obs_data_array_t *array = obs_data_item_get_array(item);
			for (size_t i = 0; i < obs_data_array_count(array); i++) {
				obs_data_t *one = obs_data_array_item(array, i);
				hash = hashed(hash, obs_data_get_json(one));
				obs_data_release(one);
			}
			obs_data_array_release(array);
		}
	}
	obs_data_release(settings);
	return hash;
}

struct engine *engine_create(obs_source_t *source, void (*draw_plate)(void *), void *who)
{
	struct engine *e = bzalloc(sizeof *e);
	e->source = source;
	e->draw_plate = draw_plate;
	e->who = who;
	e->newest = e->shown = e->before = e->after = -1;
	e->generation = 1;
	e->hiding = true;
	e->matte_pixels = bmalloc(MX_SLOT);
	pthread_mutex_init(&e->lock, NULL);
	e->hide_key = e->capture_key = OBS_INVALID_HOTKEY_ID;
	engine_keys(e, source);
	return e;
}

void engine_destroy(struct engine *e)
{
	obs_hotkey_unregister(e->hide_key);
	obs_hotkey_unregister(e->capture_key);
	obs_enter_graphics();
	gpu_free(e);
	backdrop_free(e);
	gs_effect_destroy(e->effect);
	obs_leave_graphics();
	daemon_stop(e);
	memset(e->matte_pixels, 0, MX_SLOT);
	bfree(e->matte_pixels);
	if (e->clean)
		memset(e->clean, 0, MX_SLOT);
	bfree(e->clean);
	pthread_mutex_destroy(&e->lock);
	bfree(e);
}

void engine_update(struct engine *e, obs_data_t *data)
{
	struct settings *next = bmalloc(sizeof *next);
	settings_read(next, data);
	pthread_mutex_lock(&e->lock);
	e->next = *next;
	e->changed = true;
	pthread_mutex_unlock(&e->lock);
	bfree(next);
}

void engine_forget(struct engine *e, const char *why)
{
	e->generation++;
	e->shown = e->before = e->after = -1;
	e->room_known = false;
	e->matte_is.number = 0;
	e->matte_at = 0;
	e->interval = 0;
	e->delay_ms = e->needs_ms = e->person_rate = 0;
	for (int i = 0; i < 2; i++)
		e->surface_holds[i].number = 0;
	if (e->memory.base) {
		mx_set_active(e->memory.base, e->active, e->generation);
		e->seen = mx_matte_number(e->memory.base);
	}
	blog(LOG_INFO, "[matte] forgets its picture: %s (%u mattes, %.1f plates old)", why, e->mattes,
	     e->mattes ? (double)e->mattes_age / e->mattes : 0.0);
	e->mattes = e->mattes_age = 0;
}

static void take_settings(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	bool changed = e->changed;
	struct settings *old = &e->settings, *next = &e->next;
	bool other = changed && (strcmp(old->model, next->model) || old->width != next->width ||
				 strcmp(old->device, next->device) || old->sync != next->sync);
	bool tell = changed && strcmp(old->json, next->json);
	if (changed)
		*old = *next;
	e->changed = false;
	pthread_mutex_unlock(&e->lock);
	const bool late = e->settings.sync && !e->settings.unprocessed &&
			  e->settings.view != VIEW_PLATE;
	e->sound_delay = late ? (long)e->settings.delay_ms : 0;
	if (other)
		engine_forget(e, "settings");
	if (tell && e->memory.base)
		mx_put_settings(e->memory.base, e->settings.json);
}

/* An open window of properties is made anew when the state is another, at most every two seconds, and
 * every ten while a model loads: not for each number, as that would take a slider out of the user's hand. */
static void tell_window(struct engine *e, const char *state)
{
	const uint64_t now = os_gettime_ns();
	const bool rated = e->person_rate > 0;
	const bool loads = !strcmp(state, "State.Loading") && now - e->told_at >= 10000 * MS;
	const bool same = e->told && !strcmp(e->told, state) && e->rated == rated &&
			  e->told_hdr == e->hdr;
	if (now - e->told_at < 2000 * MS || (same && !loads))
		return;
	e->told_hdr = e->hdr;
	e->told = state;
	e->rated = rated;
	e->told_at = now;
	obs_source_update_properties(e->source);
}

static void say(struct engine *e)
{
	char text[sizeof e->report];
	const char *state = "State.Off";
	if (e->settings.blank)
		state = "State.Blank";
	else if (!e->child.process)
		state = e->active ? "State.Starting" : "State.Off";
	else if (e->status.state == MX_LOADING || e->status.state == MX_NONE)
		state = "State.Loading";
	else if (e->status.state == MX_ERROR)
		state = "State.Error";
	else
		state = e->hiding ? "State.Hidden" : "State.Running";
	int used = snprintf(text, sizeof text, "%s", obs_module_text(state));
	if (e->status.text[0] && used < (int)sizeof text)
		used += snprintf(text + used, sizeof text - used, " %s", e->status.text);
	if (e->trouble[0] && used < (int)sizeof text)
		used += snprintf(text + used, sizeof text - used, "\n%s", e->trouble);
	if (!e->settings.json[0] && used < (int)sizeof text)
		used += snprintf(text + used, sizeof text - used, "\n%s",
				 obs_module_text("Trouble.Settings"));
	if (e->hdr && used < (int)sizeof text)
		used += snprintf(text + used, sizeof text - used, "\n%s",
				 obs_module_text("Report.HDR"));
	if (e->child.process && e->status.state == MX_LOADING && used < (int)sizeof text)
		used += snprintf(text + used, sizeof text - used, "\n%s %.0f s",
				 obs_module_text("Report.Loading"),
				 (double)(os_gettime_ns() - e->beat_at) / 1e9);
	const long capture_at = e->capture_at, seconds = (long)(os_gettime_ns() / (1000 * MS));
	if (capture_at && used < (int)sizeof text)
		used += snprintf(text + used, sizeof text - used, "\n%s %ld s",
				 obs_module_text("Report.Countdown"),
				 capture_at > seconds ? capture_at - seconds : 0);
	if (e->status.state == MX_READY && used < (int)sizeof text)
		used += snprintf(text + used, sizeof text - used, "\n%s %.1f ms",
				 obs_module_text("Report.Step"), e->status.tenths_ms / 10.0);
	if (e->status.state == MX_READY && e->settings.sync && used < (int)sizeof text)
		used += snprintf(text + used, sizeof text - used, "\n%s %.0f ms\n%s %.0f",
				 obs_module_text("Report.Delay"), e->delay_ms,
				 obs_module_text("Report.Rate"), e->person_rate);
	if (e->status.state == MX_READY && e->settings.sync && used < (int)sizeof text &&
	    e->needs_ms > e->settings.delay_ms)
		used += e->needs_ms > 1000
				? snprintf(text + used, sizeof text - used, "\n%s",
					   obs_module_text("Report.Slow"))
				: snprintf(text + used, sizeof text - used, "\n%s %.0f ms",
					   obs_module_text("Report.Needs"), e->needs_ms);
	if (e->status.drift && used < (int)sizeof text)
		snprintf(text + used, sizeof text - used, "\n%s", obs_module_text("Report.Drift"));
	pthread_mutex_lock(&e->lock);
	memcpy(e->report, text, sizeof text);
	pthread_mutex_unlock(&e->lock);
	tell_window(e, state);
}

void engine_report(struct engine *e, char *text, size_t size)
{
	pthread_mutex_lock(&e->lock);
	snprintf(text, size, "%s", e->report);
	pthread_mutex_unlock(&e->lock);
}

void engine_capture(struct engine *e, unsigned seconds)
{
	e->capture_at = (long)(os_gettime_ns() / (1000 * MS)) + (long)seconds;
	if (!e->capture_at)
		e->capture_at = 1;
}

static void wipe(struct engine *e)
{
	mx_memory_zero(&e->memory, MX_HEADER);
	mx_forget(e->memory.base);
}

void engine_tick(struct engine *e)
{
	const uint64_t now = os_gettime_ns();
	take_settings(e);
	/* By ticks too: an OBS that stutters has not hidden us. */
	bool wanted = e->rendered_at && (e->unseen++ < 15 || now - e->rendered_at < 500 * MS);
	if (e->active && !wanted) {
		e->active = false;
		e->rendered_at = 0;
		engine_forget(e, "not shown");
		if (e->memory.base)
			wipe(e);
		memset(e->matte_pixels, 0, MX_SLOT);
		obs_enter_graphics();
		gpu_free(e); /* the plates in the ring too */
		obs_leave_graphics();
	} else if (wanted && !e->active) {
		e->active = true;
		if (e->memory.base) {
			wipe(e); /* what a daemon may have written since */
			mx_set_active(e->memory.base, true, e->generation);
			e->seen = mx_matte_number(e->memory.base);
			if (e->clean)
				mx_put_background(e->memory.base, &e->clean_is, e->clean);
		}
	}
	if (!e->active && e->capture_at) { /* not later, when somebody is in the picture */
		e->capture_at = 0;
		blog(LOG_WARNING, "[matte] the empty room is not captured: the camera is not shown");
	}
	e->due = true;
	daemon_tick(e, now);
	say(e);
}

/* Whether the pair that is held may be drawn now. */
static bool fresh(struct engine *e, uint64_t now)
{
	if (e->settings.blank || !e->matte_is.number || !e->matte_at)
		return false;
	if (!e->settings.json[0]) /* the daemon could not be told what is wanted */
		return false;
	if (e->settings.sync ? e->shown < 0 : e->newest < 0 || !e->matte)
		return false;
	uint64_t limit = e->settings.hide_after_ms * MS;
	/* A slow daemon would blink. A plate and its own matte may stay; with sync off the plate is
	 * newer than the matte, and age is what leaks. */
	if (e->settings.sync && 3 * e->interval > limit)
		limit = 3 * e->interval < 5000 * MS ? 3 * e->interval : 5000 * MS;
	return now - e->matte_at < limit;
}

void engine_colours(struct engine *e, obs_source_t *from)
{
	static const enum gs_color_space known[] = {GS_CS_SRGB, GS_CS_SRGB_16F, GS_CS_709_EXTENDED};
	const enum gs_color_space is = obs_source_get_color_space(from, 3, known);
	const bool hdr = from && (is == GS_CS_709_EXTENDED || is == GS_CS_709_SCRGB);
	if (hdr && !e->hdr)
		blog(LOG_WARNING, "[matte] the camera is HDR: OBS makes SDR of it, with 8 bits, "
				  "before it is matted and shown");
	e->hdr = hdr;
}

void engine_render(struct engine *e, uint32_t width, uint32_t height)
{
	const uint64_t now = os_gettime_ns();
	if (!width || !height || width > 16384 || height > 16384) {
		if (e->width)
			engine_forget(e, "no picture");
		e->width = e->height = 0;
		return;
	}
	e->rendered_at = now;
	e->unseen = 0;
	if (!gpu_ready(e))
		return;
	gpu_sizes(e, width, height);
	if (e->due) {
		e->due = false;
		const uint64_t frame = obs_get_video_frame_time();
		const bool ready = e->active && e->memory.base && e->status.state >= MX_READY;
		const bool wanted = ready || !e->settings.sync || e->settings.unprocessed ||
				    e->settings.view == VIEW_PLATE;
		bool stage = ready;
		if (e->settings.fps && frame - e->staged_at < 950 * MS / e->settings.fps)
			stage = false;
		/* First the matte: a new plate may take the place of the one that it belongs to. */
		gpu_take_matte(e, frame);
		if (wanted && gpu_paced(e, frame))
			e->newest = gpu_take_plate(e, frame, stage);
		if (e->settings.sync)
			gpu_choose(e, frame);
	}
	bool hide = !fresh(e, now);
	if (hide != e->hiding)
		blog(LOG_INFO, "[matte] %s", hide ? "hides" : "shows");
	e->hiding = hide;
	if ((e->settings.unprocessed || e->settings.view == VIEW_PLATE) && !e->settings.blank &&
	    e->newest >= 0)
		gpu_draw_plate(e);
	else if (hide)
		gpu_draw_hidden(e);
	else
		gpu_draw(e);
}
