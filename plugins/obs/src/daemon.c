/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's life: start, watch, give up on the hung, start again with back-off. */
#include "engine.h"
#include <stdio.h>
#include <string.h>
#include <util/platform.h>

#define SECOND 1000000000ull
#define HUNG (5 * SECOND)
#define HUNG_LOADING (180 * SECOND)

static void trouble(struct engine *e, const char *what, const char *more)
{
	snprintf(e->trouble, sizeof e->trouble, "%s %s", obs_module_text(what), more);
	blog(LOG_ERROR, "[matte] %s", e->trouble);
}

static void start(struct engine *e, uint64_t now)
{
	obs_data_t *declared = declarations();
	const char *python = declared ? obs_data_get_string(declared, "python") : "";
	struct mx_variable set[17] = {{NULL, NULL}};
	char names[16][64];
	size_t count = 0;
	if (!e->memory.base) {
		if (!mx_memory_create(&e->memory, MX_SIZE)) {
			trouble(e, "Trouble.Memory", "");
			e->retry_at = now + 10 * SECOND;
			return;
		}
		mx_init(e->memory.base);
	}
	mx_reset_daemon(e->memory.base);
	mx_set_active(e->memory.base, e->active, e->generation);
	mx_put_settings(e->memory.base, e->settings.json);
	if (e->clean)
		mx_put_background(e->memory.base, &e->clean_is, e->clean);
	e->seen = 0;
	obs_data_t *environment = declared ? obs_data_get_obj(declared, "environment") : NULL;
	for (obs_data_item_t *item = obs_data_first(environment); item; obs_data_item_next(&item)) {
		if (count == 16 || strlen(obs_data_item_get_name(item)) >= sizeof names[0])
			continue;
		strcpy(names[count], obs_data_item_get_name(item));
		set[count].name = names[count];
		set[count].value = obs_data_get_string(environment, names[count]);
		set[++count].name = NULL;
	}
	bool done = *python && mx_child_start(&e->child, python, &e->memory, set);
	obs_data_release(environment);
	if (!done)
		trouble(e, "Trouble.Start", python);
	else
		blog(LOG_INFO, "[matte] daemon %lld started", (long long)e->child.process);
	uint64_t wait = SECOND / 2 << (e->failures < 5 ? e->failures : 5);
	e->failures++;
	e->retry_at = now + wait;
	e->beat_at = now;
	e->started = done ? now : 0;
	e->heartbeat = 0;
	e->last_state = MX_NONE;
}

void daemon_tick(struct engine *e, uint64_t now)
{
	if (!mx_child_alive(&e->child)) {
		if (e->started) {
			trouble(e, "Trouble.Gone", e->status.text);
			e->started = 0;
			memset(&e->status, 0, sizeof e->status);
		}
		if (e->active && now >= e->retry_at)
			start(e, now);
		return;
	}
	mx_read_status(e->memory.base, &e->status);
	if (e->status.state != e->last_state) {
		static const char *words[] = {"none", "loading", "ready", "error"};
		e->last_state = e->status.state;
		e->beat_at = now; /* nothing beats while a model loads */
		if (e->last_state == MX_READY)
			e->trouble[0] = 0;
		blog(LOG_INFO, "[matte] daemon: %s %s", words[e->last_state], e->status.text);
	}
	if (e->status.state == MX_READY && now - e->started > 4 * SECOND)
		e->failures = 0; /* it works: one that dies now is started again at once */
	if (e->status.heartbeat != e->heartbeat) {
		e->heartbeat = e->status.heartbeat;
		e->beat_at = now;
	}
	uint64_t patience = e->status.state == MX_READY ? HUNG : HUNG_LOADING;
	if (now - e->beat_at > patience) {
		trouble(e, "Trouble.Hung", "");
		e->started = 0;
		memset(&e->status, 0, sizeof e->status);
		mx_child_release(&e->child, true);
		/* A hung one may still write until it is dead: the next gets memory of its own. */
		mx_memory_free(&e->memory);
	}
}

void daemon_stop(struct engine *e)
{
	mx_child_release(&e->child, false);
	mx_memory_free(&e->memory);
}
