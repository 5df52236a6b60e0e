/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "settings.h"
#include "protocol.h"
#include <stdio.h>
#include <string.h>
#include <util/platform.h>

static obs_data_t *declared;

obs_data_t *declarations(void)
{
	return declared;
}

void declarations_load(void)
{
	/* Beside our other data, or, where that belongs to the system (a Flatpak extension), in the
	 * user's folder. */
	char *path = obs_module_file("install.json");
	if (!path)
		path = obs_module_config_path("install.json");
	if (path && os_file_exists(path))
		declared = obs_data_create_from_json_file(path);
	bfree(path);
	if (!declared)
		blog(LOG_ERROR, "[matte] install.json is missing: run `matte install obs`");
}

void declarations_free(void)
{
	obs_data_release(declared);
	declared = NULL;
}

static void knobs_of(const char *model, obs_data_t *holder, each_knob each, void *who)
{
	obs_data_array_t *knobs = obs_data_get_array(holder, "knobs");
	for (size_t i = 0; i < obs_data_array_count(knobs); i++) {
		obs_data_t *knob = obs_data_array_item(knobs, i);
		char key[160];
		const char *name = obs_data_get_string(knob, "name");
		if (*model)
			snprintf(key, sizeof key, "knob.%s.%s", model, name);
		else
			snprintf(key, sizeof key, "knob.%s", name);
		each(who, model, knob, key);
		obs_data_release(knob);
	}
	obs_data_array_release(knobs);
}

void for_knobs(each_knob each, void *who)
{
	if (!declared)
		return;
	knobs_of("", declared, each, who);
	obs_data_array_t *models = obs_data_get_array(declared, "models");
	for (size_t i = 0; i < obs_data_array_count(models); i++) {
		obs_data_t *model = obs_data_array_item(models, i);
		knobs_of(obs_data_get_string(model, "name"), model, each, who);
		obs_data_release(model);
	}
	obs_data_array_release(models);
}

static void knob_default(void *who, const char *model, obs_data_t *knob, const char *key)
{
	obs_data_t *data = who;
	const char *kind = obs_data_get_string(knob, "kind");
	(void)model;
	if (!strcmp(kind, "bool"))
		obs_data_set_default_bool(data, key, obs_data_get_bool(knob, "default"));
	else if (!strcmp(kind, "int"))
		obs_data_set_default_int(data, key, obs_data_get_int(knob, "default"));
	else if (!strcmp(kind, "float"))
		obs_data_set_default_double(data, key, obs_data_get_double(knob, "default"));
	else
		obs_data_set_default_string(data, key, obs_data_get_string(knob, "default"));
}

void settings_defaults(obs_data_t *data)
{
	if (declared) {
		obs_data_set_default_string(data, "model",
					    obs_data_get_string(declared, "default_model"));
		obs_data_set_default_int(data, "width", obs_data_get_int(declared, "default_width"));
	}
	obs_data_set_default_string(data, "device", "auto");
	obs_data_set_default_int(data, "threads", 1);
	obs_data_set_default_int(data, "fps", 0);
	obs_data_set_default_bool(data, "sync", true);
	obs_data_set_default_int(data, "delay", 300);
	obs_data_set_default_int(data, "hide_after", 1500);
	obs_data_set_default_int(data, "background", BACK_TRANSPARENT);
	obs_data_set_default_int(data, "background_colour", 0xff40b100); /* ABGR of 00b140 */
	obs_data_set_default_double(data, "background_blur", 12.0);
	obs_data_set_default_int(data, "view", VIEW_COMPOSITE);
	obs_data_set_default_int(data, "edges", 0);
	obs_data_set_default_double(data, "smoothing", 0.0);
	obs_data_set_default_bool(data, "drop_specks", true);
	obs_data_set_default_bool(data, "skip", true);
	obs_data_set_default_double(data, "feather_outward", 0.0);
	obs_data_set_default_int(data, "countdown", 5);
	for_knobs(knob_default, data);
}

struct chosen {
	const char *model;
	obs_data_t *from, *to;
};

static void knob_read(void *who, const char *model, obs_data_t *knob, const char *key)
{
	struct chosen *chosen = who;
	const char *kind = obs_data_get_string(knob, "kind");
	const char *name = obs_data_get_string(knob, "name");
	if (*model && strcmp(model, chosen->model))
		return;
	if (!strcmp(kind, "bool"))
		obs_data_set_bool(chosen->to, name, obs_data_get_bool(chosen->from, key));
	else if (!strcmp(kind, "int"))
		obs_data_set_int(chosen->to, name, obs_data_get_int(chosen->from, key));
	else if (!strcmp(kind, "float"))
		obs_data_set_double(chosen->to, name, obs_data_get_double(chosen->from, key));
	else
		obs_data_set_string(chosen->to, name, obs_data_get_string(chosen->from, key));
}

static uint32_t within(long long value, uint32_t low, uint32_t high)
{
	return value < low ? low : value > high ? high : (uint32_t)value;
}

void settings_read(struct settings *s, obs_data_t *data)
{
	static const char *edges[4] = {"crop_left", "crop_top", "crop_right", "crop_bottom"};
	memset(s, 0, sizeof *s);
	s->view = within(obs_data_get_int(data, "view"), 0, VIEW_PLATE);
	s->backdrop = within(obs_data_get_int(data, "background"), 0, BACK_BLUR);
	s->colour = (uint32_t)obs_data_get_int(data, "background_colour");
	snprintf(s->image, sizeof s->image, "%s", obs_data_get_string(data, "background_image"));
	s->blur = (float)obs_data_get_double(data, "background_blur");
	for (int i = 0; i < 4; i++) {
		float share = (float)obs_data_get_double(data, edges[i]) / 100.0f;
		share = share > 0 ? share < 1 ? share : 1 : 0;
		s->crop[i] = i < 2 ? share : 1 - share;
	}
	s->width = within(obs_data_get_int(data, "width"), 64, MX_SIDE);
	s->fps = within(obs_data_get_int(data, "fps"), 0, 240);
	s->hide_after_ms = within(obs_data_get_int(data, "hide_after"), 100, 10000);
	s->delay_ms = within(obs_data_get_int(data, "delay"), 0, 1000);
	s->sync = obs_data_get_bool(data, "sync");
	s->linear = obs_data_get_int(data, "edges") == 1;
	s->invert = obs_data_get_bool(data, "invert");
	s->unprocessed = obs_data_get_bool(data, "show_unprocessed");
	s->blank = obs_data_get_bool(data, "blank");
	snprintf(s->model, sizeof s->model, "%s", obs_data_get_string(data, "model"));
	snprintf(s->device, sizeof s->device, "%s", obs_data_get_string(data, "device"));

	obs_data_t *out = obs_data_create(), *knobs = obs_data_create();
	struct chosen chosen = {s->model, data, knobs};
	for_knobs(knob_read, &chosen);
	obs_data_set_string(out, "model", s->model);
	obs_data_set_string(out, "device", s->device);
	obs_data_set_int(out, "threads", obs_data_get_int(data, "threads"));
	obs_data_set_double(out, "smoothing", obs_data_get_double(data, "smoothing"));
	obs_data_set_bool(out, "drop_specks", obs_data_get_bool(data, "drop_specks"));
	obs_data_set_bool(out, "skip", obs_data_get_bool(data, "skip"));
	obs_data_set_double(out, "feather_outward", obs_data_get_double(data, "feather_outward"));
	obs_data_set_obj(out, "knobs", knobs);
	if (snprintf(s->json, sizeof s->json, "%s", obs_data_get_json(out)) >= (int)MX_SETTINGS) {
		blog(LOG_ERROR, "[matte] the settings are too long for the daemon");
		s->json[0] = 0;
	}
	obs_data_release(knobs);
	obs_data_release(out);
}
