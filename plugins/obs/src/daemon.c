/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's life: start, watch, give up on the hung, start again with back-off. */
#include "engine.h"
#include <stdio.h>
#include <string.h>
#include <util/platform.h>

#define SECOND 1000000000ull
#define HUNG (5 * SECOND)
#define HUNG_LOADING (180 * SECOND)
#define HUNG_IDLE (30 * SECOND) /* loading, but not at work */
#define PROVEN 10               /* mattes */
#define LINES 40                /* of what the daemon wrote, into OBS's log */
#define TELLS 160               /* of one of them, into the window */

static void trouble(struct engine *e, const char *what, const char *more)
{
	snprintf(e->trouble, sizeof e->trouble, "%s %s", obs_module_text(what), more);
	blog(LOG_ERROR, "[matte] %s", e->trouble);
}

/* Takes what the daemon wrote and keeps the last of it. A pipe holds 64 KiB and no more is taken at a
 * tick: a daemon that writes too much waits until it is read. OBS never waits. */
static void hear(struct engine *e)
{
	char part[4096];
	size_t got;
	for (int i = 0; i < 16 && (got = mx_child_read(&e->child, part, sizeof part)) > 0; i++) {
		const size_t room = sizeof e->said - got;
		const size_t kept = e->said_size < room ? e->said_size : room;
		memmove(e->said, e->said + e->said_size - kept, kept);
		memcpy(e->said + kept, part, got);
		e->said_size = kept + got;
	}
}

/* Where the last lines of what was heard begin. */
static size_t last_lines(const struct engine *e, size_t end)
{
	size_t at = end;
	for (int lines = 0; at; at--)
		if (e->said[at - 1] == '\n' && at != end && ++lines == LINES)
			break;
	return at;
}

/* Writes the last lines that the daemon wrote into OBS's log, and copies the one that tells most into
 * `out`: "" when there is none. */
static void repeat(struct engine *e, char out[TELLS])
{
	static const char fatal[] = "Fatal Python error";
	const size_t end = e->said_size, last = last_lines(e, end);
	bool found = false;
	char line[512];
	*out = 0;
	for (size_t at = 0; at < end; at++) {
		const bool late = at >= last;
		size_t used = 0;
		for (; at < end && e->said[at] != '\n'; at++)
			if (used < sizeof line - 1 && e->said[at] != '\r')
				line[used++] = e->said[at] < 32 || e->said[at] > 126 ? '?' : e->said[at];
		line[used] = 0;
		if (!line[strspn(line, " ")])
			continue;
		/* A crash inside of a library: what follows are the places. */
		const bool crash = !found && !strncmp(line, fatal, sizeof fatal - 1);
		if (late || crash)
			blog(LOG_WARNING, "[matte] daemon wrote: %s", line);
		if (found || !(late || crash))
			continue;
		found = crash;
		for (char *c = line; *c; c++)
			*c = mx_no_markup(*c);
		snprintf(out, TELLS, "%.*s", TELLS - 1, line);
	}
	e->said_size = 0;
}

/* How the daemon ended and its last line, for the log and the window. */
static void ended(struct engine *e, uint64_t now)
{
	char line[TELLS], more[TELLS + 32];
	hear(e);
	mx_child_release(&e->child, false);
	repeat(e, line);
	snprintf(more, sizeof more, "(%s %d) %.*s", e->child.signalled ? "signal" : "exit code",
		 e->child.code, TELLS - 1, *line ? line : e->status.text);
	trouble(e, "Trouble.Gone", more);
	blog(LOG_INFO, "[matte] the next daemon starts in %.1f s",
	     e->retry_at > now ? (double)(e->retry_at - now) / 1e9 : 0.0);
}

/* A model that loads may compile for minutes, but then it uses the processor. Under two thousandths of
 * one, it waits for something that does not come. */
static bool idle(struct engine *e, uint64_t now)
{
	if (now - e->looked_at >= SECOND) {
		const uint64_t worked = mx_child_worked(&e->child);
		if (!worked || worked - e->worked > (now - e->looked_at) / 500)
			e->worked_at = now;
		e->worked = worked;
		e->looked_at = now;
	}
	return now - e->worked_at > HUNG_IDLE && now - e->beat_at > HUNG_IDLE;
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
	e->said_size = 0;
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
	e->beat_at = e->worked_at = e->looked_at = now;
	e->worked = 0;
	e->started = done ? now : 0;
	e->new_daemon = true;
	e->heartbeat = 0;
	e->last_state = MX_NONE;
}

void daemon_tick(struct engine *e, uint64_t now)
{
	hear(e);
	if (!mx_child_alive(&e->child)) {
		if (e->started) {
			ended(e, now);
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
	/* It works: one that dies now is started again at once. */
	if (e->status.state == MX_READY &&
	    (now - e->started > 4 * SECOND || mx_matte_number(e->memory.base) >= PROVEN)) {
		e->failures = 0;
		if (e->retry_at > now) /* it was set when this one started, by earlier failures */
			e->retry_at = now;
	}
	if (e->status.heartbeat != e->heartbeat) {
		e->heartbeat = e->status.heartbeat;
		e->beat_at = now;
	}
	const bool ready = e->status.state == MX_READY;
	if (now - e->beat_at > (ready ? HUNG : HUNG_LOADING) || (!ready && idle(e, now))) {
		char line[TELLS];
		hear(e);
		repeat(e, line);
		trouble(e, "Trouble.Hung", line);
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
