/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source "Matte Camera": another source without its room. When the plug-in is missing, OBS
 * shows nothing in its place, where a missing filter would show the room. */
#include "engine.h"
#include <string.h>
#include <util/platform.h>

struct camera {
	struct engine *engine;
	obs_source_t *source;
	pthread_mutex_t lock; /* child and wanted: the UI, OBS's walks and the graphics thread */
	obs_source_t *child;  /* a reference of ours */
	char *wanted, *held;  /* names: as the settings say, and of the child when it was found */
	pthread_mutex_t looking;
	volatile bool child_changed;
	uint64_t identity; /* of the child */
	bool sounds; /* the child has sound, so OBS's mixer shows us */
	/* Of the child's own clock, on its sound's thread: what leads to this process's clock, and the
	 * time at which the next sound is due. `heard`: both are known. */
	int64_t sound_adjust;
	uint64_t sound_next;
	volatile bool heard;
	uint32_t width, height;
};

extern struct obs_source_info camera_info;

static const char *name(void *type)
{
	(void)type;
	return obs_module_text("MatteCamera");
}

static obs_source_t *child_of(struct camera *c)
{
	pthread_mutex_lock(&c->lock);
	obs_source_t *child = c->child ? obs_source_get_ref(c->child) : NULL;
	pthread_mutex_unlock(&c->lock);
	return child;
}

static void draw(void *data)
{
	obs_source_t *child = child_of(data);
	if (child)
		obs_source_video_render(child);
	obs_source_release(child);
}

static void on_update(void *data, calldata_t *call)
{
	struct camera *c = data;
	const uint64_t is = engine_identity(calldata_ptr(call, "source"));
	if (is != c->identity)
		c->child_changed = true;
	c->identity = is;
}

static int64_t apart(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b);
}

/* When a sound of the child was made, by this process's clock. OBS moves a sound of another clock to
 * the moment that it comes, and with it any delay that was added: so it gets ours. The rules are
 * OBS's own: two seconds off is another clock or a jump, 70 ms is jitter. */
static uint64_t on_our_clock(struct camera *c, const struct audio_data *sound, uint32_t rate)
{
	const uint64_t now = os_gettime_ns();
	const int64_t far = 2000000000, jitter = 70000000;
	const int64_t to_now = apart(now, sound->timestamp);
	const int64_t jump = apart(sound->timestamp, c->sound_next);
	if (to_now < far && to_now > -far)
		c->sound_adjust = 0;
	else if (!c->heard || jump > far || jump < -far || to_now < c->sound_adjust - jitter)
		c->sound_adjust = to_now; /* new, or the first ones came late */
	c->sound_next = sound->timestamp + (uint64_t)sound->frames * 1000000000 / rate;
	c->heard = true;
	return sound->timestamp + (uint64_t)c->sound_adjust;
}

/* The child's sound, after its own filters, becomes ours: OBS mixes that of no other source that a
 * source shows. Called on the child's own thread. */
static void on_sound(void *data, obs_source_t *child, const struct audio_data *sound, bool muted)
{
	struct camera *c = data;
	struct obs_audio_info is;
	(void)child;
	if (muted || !obs_get_audio_info(&is))
		return;
	struct obs_source_audio out = {
		.frames = sound->frames,
		.speakers = is.speakers,
		.format = AUDIO_FORMAT_FLOAT_PLANAR,
		.samples_per_sec = is.samples_per_sec,
		.timestamp = on_our_clock(c, sound, is.samples_per_sec) +
			     (uint64_t)c->engine->sound_delay * 1000000,
	};
	for (int i = 0; i < MAX_AV_PLANES; i++)
		out.data[i] = sound->data[i];
	obs_source_output_audio(c->source, &out);
}

static void put_child(struct camera *c, obs_source_t *child)
{
	pthread_mutex_lock(&c->lock);
	obs_source_t *old = c->child;
	c->child = child;
	pthread_mutex_unlock(&c->lock);
	c->child_changed = true;
	if (child) {
		c->identity = engine_identity(child);
		signal_handler_connect(obs_source_get_signal_handler(child), "update", on_update, c);
		c->heard = false;
		obs_source_add_audio_capture_callback(child, on_sound, c);
	}
	if (old) {
		obs_source_remove_audio_capture_callback(old, on_sound, c);
		signal_handler_disconnect(obs_source_get_signal_handler(old), "update", on_update, c);
		obs_source_remove_active_child(c->source, old);
		obs_source_release(old);
	}
}

/* The user has given our child another name: it stays our child. Called with the lock. */
static void follow_name(struct camera *c)
{
	if (!c->child || obs_source_removed(c->child) || !c->wanted || !c->held)
		return;
	const char *is = obs_source_get_name(c->child);
	if (strcmp(c->held, c->wanted) || !is || !strcmp(is, c->held))
		return;
	bfree(c->wanted);
	bfree(c->held);
	c->wanted = bstrdup(is);
	c->held = bstrdup(is);
	obs_data_t *settings = obs_source_get_settings(c->source);
	obs_data_set_string(settings, "camera", is);
	obs_data_release(settings);
}

/* The wrapped source may be made after us: asked for at every tick until it is there. */
static void look(struct camera *c)
{
	pthread_mutex_lock(&c->looking);
	pthread_mutex_lock(&c->lock);
	follow_name(c);
	char *wanted = bstrdup(c->wanted ? c->wanted : "");
	obs_source_t *has = c->child;
	bool same = has && !obs_source_removed(has) && !strcmp(obs_source_get_name(has), wanted);
	pthread_mutex_unlock(&c->lock);
	if (!same) {
		obs_source_t *found = *wanted ? obs_get_source_by_name(wanted) : NULL;
		/* One that the user has removed is found for as long as somebody holds it: a camera
		 * would stay open. add_active_child refuses what would draw itself. */
		if (found && (found == c->source || obs_source_removed(found) ||
			      !obs_source_add_active_child(c->source, found))) {
			obs_source_release(found);
			found = NULL;
		}
		if (found || has)
			put_child(c, found);
		pthread_mutex_lock(&c->lock);
		bfree(c->held);
		c->held = found ? bstrdup(wanted) : NULL;
		pthread_mutex_unlock(&c->lock);
	}
	bfree(wanted);
	pthread_mutex_unlock(&c->looking);
}

/* All sources are there, and those that nobody holds are about to be let go: a camera that is in
 * no scene would be lost at every start. */
static void loaded(void *data, obs_data_t *settings)
{
	(void)settings;
	look(data);
}

static void update(void *data, obs_data_t *settings)
{
	struct camera *c = data;
	pthread_mutex_lock(&c->lock);
	bfree(c->wanted);
	c->wanted = bstrdup(obs_data_get_string(settings, "camera"));
	pthread_mutex_unlock(&c->lock);
	engine_update(c->engine, settings);
}

static void *create(obs_data_t *settings, obs_source_t *source)
{
	struct camera *c = bzalloc(sizeof *c);
	c->source = source;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->looking, NULL);
	c->engine = engine_create(source, draw, c);
	/* As OBS thinks of every source that may have sound. Said to it only in a tick: told about a
	 * source that is being made, its mixer keeps that source for ever. */
	c->sounds = true;
	update(c, settings);
	return c;
}

static void destroy(void *data)
{
	struct camera *c = data;
	put_child(c, NULL);
	engine_destroy(c->engine);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->looking);
	bfree(c->wanted);
	bfree(c->held);
	bfree(c);
}

static uint32_t get_width(void *data)
{
	return ((struct camera *)data)->width;
}

static uint32_t get_height(void *data)
{
	return ((struct camera *)data)->height;
}

static bool add_source(void *list, obs_source_t *source)
{
	const char *id = obs_source_get_unversioned_id(source);
	if ((obs_source_get_output_flags(source) & OBS_SOURCE_VIDEO) &&
	    strcmp(id ? id : "", camera_info.id))
		obs_property_list_add_string(list, obs_source_get_name(source),
					     obs_source_get_name(source));
	return true;
}

/* OBS's own windows, for a camera that is in no scene. Without its user interface there are none. */
static bool open_window(struct camera *c, const char *function)
{
	void (*open)(obs_source_t *);
	void *found = mx_symbol(function);
	obs_source_t *child = child_of(c);
	memcpy(&open, &found, sizeof open);
	if (found && child)
		open(child);
	obs_source_release(child);
	return false;
}

static bool open_settings(obs_properties_t *list, obs_property_t *property, void *data)
{
	(void)list, (void)property;
	return open_window(data, "obs_frontend_open_source_properties");
}

static bool open_filters(obs_properties_t *list, obs_property_t *property, void *data)
{
	(void)list, (void)property;
	return open_window(data, "obs_frontend_open_source_filters");
}

static obs_properties_t *properties(void *data)
{
	struct camera *c = data;
	obs_properties_t *out = obs_properties_create();
	engine_properties_top(c ? c->engine : NULL, out);
	obs_property_t *list = obs_properties_add_list(out, "camera", obs_module_text("Camera"),
						       OBS_COMBO_TYPE_LIST, OBS_COMBO_FORMAT_STRING);
	obs_property_list_add_string(list, "", "");
	obs_enum_sources(add_source, list);
	if (c && mx_symbol("obs_frontend_open_source_properties")) {
		obs_properties_add_button2(out, "camera_settings",
					   obs_module_text("Camera.Settings"), open_settings, c);
		obs_properties_add_button2(out, "camera_filters", obs_module_text("Camera.Filters"),
					   open_filters, c);
	}
	return engine_properties(c ? c->engine : NULL, out);
}

static void tick(void *data, float seconds)
{
	struct camera *c = data;
	(void)seconds;
	look(c);
	obs_source_t *child = child_of(c);
	c->width = obs_source_get_width(child);
	c->height = obs_source_get_height(child);
	bool sounds = child && (obs_source_get_output_flags(child) & OBS_SOURCE_AUDIO) &&
		      obs_source_audio_active(child);
	if (sounds != c->sounds)
		obs_source_set_audio_active(c->source, sounds);
	c->sounds = sounds;
	obs_source_release(child);
	engine_tick(c->engine);
}

static void render(void *data, gs_effect_t *effect)
{
	struct camera *c = data;
	(void)effect;
	if (c->child_changed) {
		c->child_changed = false;
		engine_forget(c->engine, "the source changed");
	}
	obs_source_t *child = child_of(c);
	engine_colours(c->engine, child);
	obs_source_release(child);
	engine_render(c->engine, c->width, c->height);
}

static void walk(void *data, obs_source_enum_proc_t each, void *who)
{
	struct camera *c = data;
	obs_source_t *child = child_of(c);
	if (child)
		each(c->source, child, who);
	obs_source_release(child);
}

struct obs_source_info camera_info = {
	.id = "matte_nodes_camera",
	.type = OBS_SOURCE_TYPE_INPUT,
	.output_flags = OBS_SOURCE_VIDEO | OBS_SOURCE_AUDIO | OBS_SOURCE_CUSTOM_DRAW |
			OBS_SOURCE_DO_NOT_DUPLICATE,
	.get_name = name,
	.create = create,
	.destroy = destroy,
	.get_width = get_width,
	.get_height = get_height,
	.get_defaults = settings_defaults,
	.get_properties = properties,
	.update = update,
	.video_tick = tick,
	.video_render = render,
	.enum_active_sources = walk,
	.load = loaded,
};
