/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What differs between systems: shared memory without a name, and the daemon as a child. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mx_memory {
	uint8_t *base;
	size_t size;
	intptr_t handle; /* a descriptor, or a Windows handle */
};

/* Zeroed, private to this user, with no name that another process could open. */
bool mx_memory_create(struct mx_memory *memory, size_t size);
void mx_memory_free(struct mx_memory *memory);
/* Zeroes all from `from` on. Pages that nobody has written cost nothing. */
void mx_memory_zero(struct mx_memory *memory, size_t from);

/* A function of the running OBS, where it has one of this name: NULL otherwise. */
void *mx_symbol(const char *name);

struct mx_child {
	intptr_t process; /* process id, or a Windows handle; 0 is none */
	intptr_t input;   /* our end of its standard input: closing it ends the child */
	intptr_t errors;  /* our end of its error output; 0 is none */
	intptr_t job;     /* Windows: kills the child when OBS is gone */
	int code;         /* how it ended: its exit code, or a signal */
	bool signalled;
};

struct mx_variable {
	const char *name, *value;
};

/* What a host sets for its own Python, libraries and colours would break ours, or change it. */
static inline bool mx_of_the_host(const char *name)
{
	return !strncmp(name, "PYTHON", 6) || !strncmp(name, "LD_", 3) ||
	       !strncmp(name, "DYLD_", 5) || !strncmp(name, "OCIO=", 5);
}

/* Starts `python -P -m matte_nodes.hosts.obs` with the memory and a pipe as its standard input.
 * `set` ends with a NULL name: variables on top of those of OBS, which keeps its own. */
bool mx_child_start(struct mx_child *child, const char *python, const struct mx_memory *memory,
		    const struct mx_variable *set);
bool mx_child_alive(struct mx_child *child);
/* What it has written to its outputs, also when it is gone; 0 when there is nothing more now. Never
 * waits: a child that writes more than is read waits for us. */
size_t mx_child_read(struct mx_child *child, char *out, size_t size);
/* Nanoseconds of processors that it has used so far; 0 where that is not known. */
uint64_t mx_child_worked(const struct mx_child *child);
/* Lets go of the child at once; another thread kills it if it has not ended after a second. */
void mx_child_release(struct mx_child *child, bool kill_now);
void mx_children_wait(void); /* at unload: until every released child is gone */
