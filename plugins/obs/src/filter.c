/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The filter "Matte": the picture of its target without the room. */
#include "engine.h"

struct filter {
	struct engine *engine;
	obs_source_t *source, *parent; /* parent: only to know when it becomes another */
	pthread_mutex_t watching; /* parent, gone: the graphics thread, and who removes us */
	volatile bool parent_changed;
	bool gone;
	uint64_t identity; /* of the parent */
};

static const char *name(void *type)
{
	(void)type;
	return obs_module_text("Matte");
}

static void draw(void *data)
{
	struct filter *f = data;
	obs_source_t *target = obs_filter_get_target(f->source);
	obs_source_t *parent = obs_filter_get_parent(f->source);
	if (!target)
		return;
	const uint32_t flags = obs_source_get_output_flags(target);
	/* obs_source_video_render alone draws black for sources that leave drawing to OBS. */
	if (target == parent && !(flags & (OBS_SOURCE_ASYNC | OBS_SOURCE_CUSTOM_DRAW)))
		obs_source_default_render(target);
	else
		obs_source_video_render(target);
}

static void on_update(void *data, calldata_t *call)
{
	struct filter *f = data;
	const uint64_t is = engine_identity(calldata_ptr(call, "source"));
	if (is != f->identity)
		f->parent_changed = true; /* another device or file: our matte is not its own */
	f->identity = is;
}

static void watch(struct filter *f, obs_source_t *parent)
{
	if (parent == f->parent)
		return;
	if (f->parent)
		signal_handler_disconnect(obs_source_get_signal_handler(f->parent), "update",
					  on_update, f);
	f->parent = parent;
	if (parent) {
		f->identity = engine_identity(parent);
		engine_keys(f->engine, parent);
		signal_handler_connect(obs_source_get_signal_handler(parent), "update", on_update,
				       f);
	}
	f->parent_changed = true;
}

static void *create(obs_data_t *settings, obs_source_t *source)
{
	struct filter *f = bzalloc(sizeof *f);
	f->source = source;
	pthread_mutex_init(&f->watching, NULL);
	f->engine = engine_create(source, draw, f);
	engine_update(f->engine, settings);
	return f;
}

static void removed(void *data, obs_source_t *parent)
{
	struct filter *f = data;
	pthread_mutex_lock(&f->watching);
	f->gone = true; /* not watched again by a frame that is being drawn */
	if (f->parent == parent)
		watch(f, NULL);
	pthread_mutex_unlock(&f->watching);
}

static void destroy(void *data)
{
	struct filter *f = data;
	engine_destroy(f->engine);
	pthread_mutex_destroy(&f->watching);
	bfree(f);
}

static void update(void *data, obs_data_t *settings)
{
	engine_update(((struct filter *)data)->engine, settings);
}

static obs_properties_t *properties(void *data)
{
	struct filter *f = data;
	struct engine *engine = f ? f->engine : NULL;
	obs_properties_t *list = obs_properties_create();
	engine_properties_top(engine, list);
	return engine_properties(engine, list);
}

static void tick(void *data, float seconds)
{
	struct filter *f = data;
	(void)seconds;
	engine_tick(f->engine);
}

static void render(void *data, gs_effect_t *effect)
{
	struct filter *f = data;
	obs_source_t *target = obs_filter_get_target(f->source);
	(void)effect;
	pthread_mutex_lock(&f->watching);
	if (!f->parent && !f->gone)
		watch(f, obs_filter_get_parent(f->source));
	pthread_mutex_unlock(&f->watching);
	if (f->parent_changed) {
		f->parent_changed = false;
		engine_forget(f->engine, "the source changed");
	}
	engine_colours(f->engine, target);
	engine_render(f->engine, obs_source_get_base_width(target),
		      obs_source_get_base_height(target));
}

struct obs_source_info filter_info = {
	.id = "matte_nodes_filter",
	.type = OBS_SOURCE_TYPE_FILTER,
	.output_flags = OBS_SOURCE_VIDEO,
	.get_name = name,
	.create = create,
	.destroy = destroy,
	.get_defaults = settings_defaults,
	.get_properties = properties,
	.update = update,
	.video_tick = tick,
	.video_render = render,
	.filter_remove = removed,
};
