/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The properties window. Models and their knobs come from the declarations; nothing is named twice. */
#include "engine.h"
#include <stdio.h>
#include <string.h>

struct chosen {
	obs_properties_t *list;
	const char *model;
};

/* Where knobs go: those of a model, those of the matte's edge, those for who knows the engine. */
struct places {
	obs_properties_t *model, *edge, *advanced;
};

static void show(obs_properties_t *list, const char *key, bool shown)
{
	obs_property_t *property = obs_properties_get(list, key);
	if (property)
		obs_property_set_visible(property, shown);
}

/* A callback gets the group that the property is in. */
static obs_properties_t *whole(obs_properties_t *list)
{
	for (obs_properties_t *up; (up = obs_properties_get_parent(list));)
		list = up;
	return list;
}

static void knob_shown(void *who, const char *model, obs_data_t *knob, const char *key)
{
	const struct chosen *chosen = who;
	(void)knob;
	obs_property_t *property = obs_properties_get(chosen->list, key);
	if (property && *model)
		obs_property_set_visible(property, !strcmp(model, chosen->model));
}

static bool takes_clean_plate(const char *name)
{
	bool takes = false;
	obs_data_array_t *models = obs_data_get_array(declarations(), "models");
	for (size_t i = 0; i < obs_data_array_count(models); i++) {
		obs_data_t *model = obs_data_array_item(models, i);
		if (!strcmp(obs_data_get_string(model, "name"), name))
			takes = obs_data_get_bool(model, "clean_plate");
		obs_data_release(model);
	}
	obs_data_array_release(models);
	return takes;
}

/* Only what the chosen model, background and timing use. */
static bool changed(obs_properties_t *list, obs_property_t *property, obs_data_t *data)
{
	list = whole(list);
	struct chosen chosen = {list, obs_data_get_string(data, "model")};
	const long long back = obs_data_get_int(data, "background");
	(void)property;
	for_knobs(knob_shown, &chosen);
	show(list, "background_colour", back == BACK_COLOUR);
	show(list, "background_image", back == BACK_IMAGE);
	show(list, "background_blur", back == BACK_BLUR);
	show(list, "group_clean", takes_clean_plate(chosen.model));
	show(list, "delay", obs_data_get_bool(data, "sync"));
	show(list, "group_advanced", obs_data_get_bool(data, "advanced"));
	return true;
}

static void add_names(obs_property_t *to, obs_data_t *from, const char *key)
{
	obs_data_array_t *items = obs_data_get_array(from, key);
	for (size_t i = 0; i < obs_data_array_count(items); i++) {
		obs_data_t *item = obs_data_array_item(items, i);
		const char *text = obs_data_get_string(item, "name");
		obs_property_list_add_string(to, text, text);
		obs_data_release(item);
	}
	obs_data_array_release(items);
}

static void add_knob(void *who, const char *model, obs_data_t *knob, const char *key)
{
	const struct places *places = who;
	obs_properties_t *list = *model ? places->model
				 : !strcmp(obs_data_get_string(knob, "stage"), "finish")
					 ? places->edge
					 : places->advanced;
	const char *kind = obs_data_get_string(knob, "kind");
	const char *label = obs_data_get_string(knob, "label");
	const double low = obs_data_get_double(knob, "low"), high = obs_data_get_double(knob, "high");
	obs_property_t *made;
	if (!strcmp(kind, "bool")) {
		made = obs_properties_add_bool(list, key, label);
	} else if (!strcmp(kind, "int")) {
		made = obs_properties_add_int(list, key, label, (int)low, (int)high, 1);
	} else if (!strcmp(kind, "float")) {
		made = obs_properties_add_float_slider(list, key, label, low, high,
						       high - low > 10 ? 0.1 : 0.01);
	} else if (!strcmp(kind, "choice")) {
		made = obs_properties_add_list(list, key, label, OBS_COMBO_TYPE_LIST,
					       OBS_COMBO_FORMAT_STRING);
		add_names(made, knob, "choices");
	} else {
		made = obs_properties_add_text(list, key, label, OBS_TEXT_DEFAULT);
	}
	obs_property_set_long_description(made, obs_data_get_string(knob, "help"));
}

static bool capture(obs_properties_t *list, obs_property_t *property, void *data)
{
	struct engine *e = data;
	(void)list, (void)property;
	obs_data_t *settings = obs_source_get_settings(e->source);
	engine_capture(e, (unsigned)obs_data_get_int(settings, "countdown"));
	obs_data_release(settings);
	return false;
}

static bool refresh(obs_properties_t *list, obs_property_t *property, void *data)
{
	char text[1024];
	(void)property;
	engine_report(data, text, sizeof text);
	obs_property_set_description(obs_properties_get(whole(list), "report"), text);
	return true;
}

static obs_property_t *choice(obs_properties_t *list, const char *key, const char *const *labels)
{
	obs_property_t *made = obs_properties_add_list(list, key, obs_module_text(labels[0]),
						       OBS_COMBO_TYPE_LIST, OBS_COMBO_FORMAT_INT);
	for (int i = 1; labels[i]; i++)
		obs_property_list_add_int(made, obs_module_text(labels[i]), i - 1);
	return made;
}

static void add_models(obs_properties_t *list)
{
	obs_property_t *made = obs_properties_add_list(list, "model", obs_module_text("Model"),
						       OBS_COMBO_TYPE_LIST, OBS_COMBO_FORMAT_STRING);
	obs_data_array_t *models = obs_data_get_array(declarations(), "models");
	for (size_t i = 0; i < obs_data_array_count(models); i++) {
		obs_data_t *model = obs_data_array_item(models, i);
		obs_property_list_add_string(made, obs_data_get_string(model, "title"),
					     obs_data_get_string(model, "name"));
		obs_data_release(model);
	}
	obs_data_array_release(models);
	obs_property_set_modified_callback(made, changed);
}

static void add_devices(obs_properties_t *list)
{
	obs_property_t *made = obs_properties_add_list(list, "device", obs_module_text("Device"),
						       OBS_COMBO_TYPE_LIST,
						       OBS_COMBO_FORMAT_STRING);
	add_names(made, declarations(), "devices");
}

static obs_properties_t *group(obs_properties_t *list, const char *key, const char *title)
{
	obs_properties_t *made = obs_properties_create();
	obs_properties_add_group(list, key, obs_module_text(title), OBS_GROUP_NORMAL, made);
	return made;
}

void engine_properties_top(struct engine *e, obs_properties_t *list)
{
	char text[1024] = "";
	if (e)
		engine_report(e, text, sizeof text);
	if (!declarations())
		snprintf(text, sizeof text, "%s", obs_module_text("State.NotInstalled"));
	obs_properties_add_bool(list, "blank", obs_module_text("Blank"));
	obs_properties_add_text(list, "report", text, OBS_TEXT_INFO);
	if (e)
		obs_properties_add_button2(list, "refresh", obs_module_text("Refresh"), refresh, e);
}

static void add_background(obs_properties_t *list)
{
	static const char *backs[] = {"Background", "Background.Transparent", "Background.Colour",
				      "Background.Image", "Background.Blur", NULL};
	obs_property_set_modified_callback(choice(list, "background", backs), changed);
	obs_properties_add_color(list, "background_colour", obs_module_text("Background.Colour"));
	obs_properties_add_path(list, "background_image", obs_module_text("Background.Image"),
				OBS_PATH_FILE, "*.png *.jpg *.jpeg *.bmp *.gif", NULL);
	obs_properties_add_float_slider(list, "background_blur", obs_module_text("Background.Blur"),
					1, 50, 0.5);
}

static void add_timing(obs_properties_t *list)
{
	obs_property_t *sync = obs_properties_add_bool(list, "sync", obs_module_text("Sync"));
	obs_property_set_long_description(sync, obs_module_text("Sync.Help"));
	obs_property_set_modified_callback(sync, changed);
	obs_property_t *delay = obs_properties_add_int_slider(
		list, "delay", obs_module_text("Delay"), 0, 1000, 10);
	obs_property_set_long_description(delay, obs_module_text("Delay.Help"));
}

static void add_crop(obs_properties_t *list)
{
	static const char *crops[] = {"crop_left", "crop_top", "crop_right", "crop_bottom"};
	static const char *sides[] = {"Crop.Left", "Crop.Top", "Crop.Right", "Crop.Bottom"};
	for (int i = 0; i < 4; i++)
		obs_properties_add_float_slider(list, crops[i], obs_module_text(sides[i]), 0, 100,
						0.5);
}

static void add_advanced(obs_properties_t *list)
{
	static const char *views[] = {"View", "View.Composite", "View.Alpha", "View.Foreground",
				      "View.Plate", NULL};
	static const char *edges[] = {"Edges", "Edges.Gamma", "Edges.Linear", NULL};
	if (declarations())
		add_devices(list);
	obs_properties_add_int(list, "threads", obs_module_text("Threads"), 1, 16, 1);
	obs_properties_add_int(list, "fps", obs_module_text("Fps"), 0, 240, 1);
	obs_properties_add_int(list, "hide_after", obs_module_text("HideAfter"), 100, 10000, 100);
	obs_properties_add_bool(list, "skip", obs_module_text("Skip"));
	choice(list, "edges", edges);
	choice(list, "view", views);
	obs_properties_add_bool(list, "invert", obs_module_text("Invert"));
	obs_properties_add_bool(list, "show_unprocessed", obs_module_text("ShowUnprocessed"));
}

obs_properties_t *engine_properties(struct engine *e, obs_properties_t *list)
{
	add_background(group(list, "group_background", "Group.Background"));
	struct places places;
	places.model = group(list, "group_model", "Group.Model");
	if (declarations())
		add_models(places.model);
	obs_properties_add_int(places.model, "width", obs_module_text("Width"), 64, MX_SIDE, 16);
	places.edge = group(list, "group_edge", "Group.Edge");
	obs_properties_add_float_slider(places.edge, "feather_outward",
					obs_module_text("FeatherOutward"), 0, 20, 0.1);
	obs_properties_add_float_slider(places.edge, "smoothing", obs_module_text("Smoothing"), 0,
					0.95, 0.01);
	obs_properties_add_bool(places.edge, "drop_specks", obs_module_text("DropSpecks"));
	add_timing(group(list, "group_timing", "Group.Timing"));
	if (e) {
		obs_properties_t *clean = group(list, "group_clean", "Group.Clean");
		obs_properties_add_int(clean, "countdown", obs_module_text("Countdown"), 0, 30, 1);
		obs_properties_add_button2(clean, "capture", obs_module_text("Capture"), capture, e);
	}
	add_crop(group(list, "group_crop", "Group.Crop"));
	obs_property_set_modified_callback(
		obs_properties_add_bool(list, "advanced", obs_module_text("Advanced")), changed);
	places.advanced = group(list, "group_advanced", "Advanced");
	add_advanced(places.advanced);
	for_knobs(add_knob, &places);
	if (e) {
		obs_data_t *data = obs_source_get_settings(e->source);
		changed(list, NULL, data);
		obs_data_release(data);
	}
	return list;
}
