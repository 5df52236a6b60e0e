/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "platform.h"
#include "settings.h"
#include <stddef.h>

OBS_DECLARE_MODULE()
OBS_MODULE_USE_DEFAULT_LOCALE("matte-nodes", "en-US")

extern struct obs_source_info filter_info, camera_info;

MODULE_EXPORT const char *obs_module_description(void)
{
	return "Matte: the camera without the room";
}

bool obs_module_load(void)
{
	declarations_load();
	/* No more of the struct than is used: libobs refuses one that is longer than its own, and
	 * then the filter is missing without a word. */
	const size_t used = offsetof(struct obs_source_info, type_data);
	obs_register_source_s(&filter_info, used);
	obs_register_source_s(&camera_info, used);
	blog(LOG_INFO, "[matte] loaded");
	return true;
}

void obs_module_unload(void)
{
	mx_children_wait();
	declarations_free();
}
