/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts the daemon as the plug-in does, with memory that begins with a word, and ends it. */
#include "platform.h"
#include <stdio.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	struct mx_memory memory = {0};
	struct mx_child child = {0};
	const struct mx_variable set[] = {{"MATTE_HOME", "/a home"}, {NULL, NULL}};
	if (count != 2 || !mx_memory_create(&memory, 4096))
		return 2;
	strcpy((char *)memory.base, "the room");
	if (!mx_child_start(&child, arguments[1], &memory, set))
		return 3;
	/* Whoever was started writes into the memory: that it got the same one. */
	for (int i = 0; i < 500 && memory.base[0] == 't'; i++)
		usleep(20000);
	puts((char *)memory.base);
	mx_child_release(&child, false);
	mx_children_wait();
	mx_memory_free(&memory);
	return 0;
}
