/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of a filter or camera, and the declarations they are made from. */
#pragma once
#include <obs-module.h>

enum view { VIEW_COMPOSITE, VIEW_ALPHA, VIEW_FOREGROUND, VIEW_PLATE };
enum backdrop { BACK_TRANSPARENT, BACK_COLOUR, BACK_IMAGE, BACK_BLUR };

struct settings {
	enum view view;
	enum backdrop backdrop;
	uint32_t colour; /* ABGR, as OBS keeps it */
	char image[1024];
	float blur;     /* sigma, in thousandths of the picture's width */
	float crop[4];  /* left, top, right, bottom edges, 0..1 */
	uint32_t width, fps, hide_after_ms, delay_ms;
	bool sync, linear, invert, unprocessed, blank;
	char model[64], device[32];
	char json[4096]; /* for the daemon */
};

/* What `matte install obs` wrote beside the plug-in: interpreter, environment, models, knobs. */
obs_data_t *declarations(void); /* borrowed; NULL when it is not there */
void declarations_load(void);
void declarations_free(void);

void settings_defaults(obs_data_t *data);
void settings_read(struct settings *settings, obs_data_t *data);

/* Calls `each` for every knob of the node (model "") and of every model. */
typedef void (*each_knob)(void *who, const char *model, obs_data_t *knob, const char *key);
void for_knobs(each_knob each, void *who);
