/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source "Matte Camera": another source without its room. When the plug-in is missing, OBS
 * shows nothing in its place, where a missing filter would show the room. */
#include "engine.h"
#include <string.h>

struct camera {
	struct engine *engine;
	obs_source_t *source;
	pthread_mutex_t lock; /* child and wanted: the UI, OBS's walks and the graphics thread */
	obs_source_t *child;  /* a reference of ours */
	char *wanted, *held;  /* names: as the settings say, and of the child when it was found */
	pthread_mutex_t looking;
	volatile bool child_changed;
	uint32_t width, height;
};

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
	(void)call;
	((struct camera *)data)->child_changed = true;
}

static void put_child(struct camera *c, obs_source_t *child)
{
	pthread_mutex_lock(&c->lock);
	obs_source_t *old = c->child;
	c->child = child;
	pthread_mutex_unlock(&c->lock);
	c->child_changed = true;
	if (child)
		signal_handler_connect(obs_source_get_signal_handler(child), "update", on_update, c);
	if (old) {
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
		/* add_active_child refuses what would draw itself. */
		if (found && (found == c->source || !obs_source_add_active_child(c->source, found))) {
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
	if (obs_source_get_output_flags(source) & OBS_SOURCE_VIDEO)
		obs_property_list_add_string(list, obs_source_get_name(source),
					     obs_source_get_name(source));
	return true;
}

static obs_properties_t *properties(void *data)
{
	struct camera *c = data;
	obs_properties_t *out = obs_properties_create();
	obs_property_t *list = obs_properties_add_list(out, "camera", obs_module_text("Camera"),
						       OBS_COMBO_TYPE_LIST, OBS_COMBO_FORMAT_STRING);
	obs_property_list_add_string(list, "", "");
	obs_enum_sources(add_source, list);
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
	.output_flags = OBS_SOURCE_VIDEO | OBS_SOURCE_CUSTOM_DRAW | OBS_SOURCE_DO_NOT_DUPLICATE,
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
