/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "platform.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* A Flatpak has this file, and this program, which asks the host to start another one there. */
#ifndef MX_FLATPAK
#define MX_FLATPAK "/.flatpak-info"
#define MX_FLATPAK_SPAWN "/usr/bin/flatpak-spawn"
#endif

static int nameless(size_t size)
{
#ifdef __linux__
	int fd = memfd_create("matte", MFD_CLOEXEC | MFD_ALLOW_SEALING);
#else
	/* A random name for an instant: taken away before anything is written. */
	char name[32];
	unsigned char noise[8];
	int random = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	if (random < 0 || read(random, noise, sizeof noise) != (ssize_t)sizeof noise) {
		if (random >= 0)
			close(random);
		return -1;
	}
	close(random);
	unsigned long long number;
	memcpy(&number, noise, sizeof number);
	snprintf(name, sizeof name, "/matte-%llx", number);
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd >= 0)
		shm_unlink(name);
#endif
	if (fd < 0)
		return -1;
	bool done = !ftruncate(fd, (off_t)size);
#ifdef __linux__
	/* The daemon cannot shrink it under our feet: that would be a bus error in OBS. Memory that
	 * cannot be sealed is not used. (On macOS, such memory has one size for its whole life.) */
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	done = done && !fcntl(fd, F_ADD_SEALS, seals) && fcntl(fd, F_GET_SEALS) == seals;
#endif
	if (!done) {
		close(fd);
		return -1;
	}
	return fd;
}

bool mx_memory_create(struct mx_memory *memory, size_t size)
{
	int fd = nameless(size);
	if (fd < 0)
		return false;
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		close(fd);
		return false;
	}
	*memory = (struct mx_memory){base, size, fd};
	return true;
}

void mx_memory_zero(struct mx_memory *memory, size_t from)
{
#ifdef __linux__
	/* Takes the pages away: the next ones are new. Written over, 28 MiB cost the graphics thread 23
	 * to 82 ms the first time. `from` is a whole number of pages. */
	if (!madvise(memory->base + from, memory->size - from, MADV_REMOVE))
		return;
#endif
	memset(memory->base + from, 0, memory->size - from);
}

void mx_memory_free(struct mx_memory *memory)
{
	if (!memory->base)
		return;
	mx_memory_zero(memory, 0);
	munmap(memory->base, memory->size);
	close((int)memory->handle);
	memory->base = NULL;
}

void *mx_symbol(const char *name)
{
	return dlsym(RTLD_DEFAULT, name);
}

static char **environment(const struct mx_variable *set)
{
	size_t count = 0, more = 0;
	while (environ[count])
		count++;
	while (set && set[more].name)
		more++;
	char **copy = calloc(count + more + 1, sizeof *copy);
	size_t used = 0;
	for (size_t i = 0; copy && i < count; i++) {
		bool replaced = mx_of_the_host(environ[i]);
		for (size_t k = 0; k < more; k++) {
			size_t length = strlen(set[k].name);
			replaced |= !strncmp(environ[i], set[k].name, length) && environ[i][length] == '=';
		}
		if (!replaced)
			copy[used++] = strdup(environ[i]);
	}
	for (size_t k = 0; copy && k < more; k++) {
		size_t length = strlen(set[k].name) + strlen(set[k].value) + 2;
		copy[used] = malloc(length);
		if (copy[used])
			snprintf(copy[used++], length, "%s=%s", set[k].name, set[k].value);
	}
	return copy;
}

/* What to start: the daemon itself, or in a Flatpak what has the host start it, hands it the memory
 * and ends it with us. The variables that a host may have set for its own Python are taken out there:
 * those of this process do not reach it. */
static char **command(const char *python, const struct mx_variable *set, const char **program)
{
	static const char *const spawn[] = {MX_FLATPAK_SPAWN, "--host", "--watch-bus",
					    "--forward-fd=3", "env", "-u", "PYTHONPATH", "-u",
					    "PYTHONHOME", "-u", "LD_LIBRARY_PATH", "-u",
					    "LD_PRELOAD", "-u", "OCIO", NULL};
	static const char *const own[] = {"-P", "-m", "matte_nodes.hosts.obs", "--memory", "3", NULL};
	const bool flatpak = !access(MX_FLATPAK, F_OK);
	size_t used = 0, more = 0;
	while (set && set[more].name)
		more++;
	char **out = calloc(sizeof spawn / sizeof *spawn + sizeof own / sizeof *own + more + 1,
			    sizeof *out);
	if (!out)
		return NULL;
	for (size_t i = 0; flatpak && spawn[i]; i++)
		out[used++] = strdup(spawn[i]);
	for (size_t i = 0; flatpak && i < more; i++) {
		const size_t length = strlen(set[i].name) + strlen(set[i].value) + 2;
		out[used] = malloc(length);
		if (out[used])
			snprintf(out[used++], length, "%s=%s", set[i].name, set[i].value);
	}
	out[used++] = strdup(python);
	for (size_t i = 0; own[i]; i++)
		out[used++] = strdup(own[i]);
	*program = flatpak ? MX_FLATPAK_SPAWN : python;
	return out;
}

static void free_all(char **texts)
{
	for (size_t i = 0; texts && texts[i]; i++)
		free(texts[i]);
	free(texts);
}

/* A pipe with numbers from 100 on. If OBS was started without standard outputs, a pipe could get the
 * numbers 0 to 3, which the child needs. */
static bool conduit(int ends[2])
{
	int made[2];
#ifdef __linux__
	if (pipe2(made, O_CLOEXEC)) /* at once: another thread of OBS may start a program now */
		return false;
#else
	if (pipe(made))
		return false;
#endif
	for (int i = 0; i < 2; i++) {
		ends[i] = fcntl(made[i], F_DUPFD_CLOEXEC, 100);
		close(made[i]);
	}
	if (ends[0] >= 0 && ends[1] >= 0)
		return true;
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	return false;
}

bool mx_child_start(struct mx_child *child, const char *python, const struct mx_memory *memory,
		    const struct mx_variable *set)
{
	int ends[2], errors[2];
	if (!conduit(ends))
		return false;
	if (!conduit(errors)) {
		close(ends[0]);
		close(ends[1]);
		return false;
	}
	fcntl(errors[0], F_SETFL, O_NONBLOCK);
	const char *program = python;
	char **variables = environment(set), **arguments = command(python, set, &program);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	/* Moved out of the way first, so that neither target number is still in use. */
	int high = fcntl((int)memory->handle, F_DUPFD_CLOEXEC, 100);
	posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
	posix_spawn_file_actions_adddup2(&actions, errors[1], 1);
	posix_spawn_file_actions_adddup2(&actions, errors[1], 2);
	posix_spawn_file_actions_adddup2(&actions, high, 3);
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	/* Its own group: a Ctrl-C for OBS must not end it before OBS has closed the pipe. */
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						      POSIX_SPAWN_SETPGROUP);
	pid_t pid = 0;
	int failed = high < 0 || !variables || !arguments ||
		     posix_spawn(&pid, program, &actions, &attributes, arguments, variables);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	free_all(variables);
	free_all(arguments);
	close(ends[0]);
	close(errors[1]);
	if (high >= 0)
		close(high);
	if (failed) {
		close(ends[1]);
		close(errors[0]);
		return false;
	}
	*child = (struct mx_child){pid, ends[1], errors[0], 0, 0, false};
	return true;
}

bool mx_child_alive(struct mx_child *child)
{
	if (!child->process)
		return false;
	int how = 0;
	pid_t found = waitpid((pid_t)child->process, &how, WNOHANG);
	if (found == 0)
		return true;
	close((int)child->input);
	child->process = 0;
	child->signalled = WIFSIGNALED(how);
	child->code = child->signalled ? WTERMSIG(how) : WEXITSTATUS(how);
	return false;
}

size_t mx_child_read(struct mx_child *child, char *out, size_t size)
{
	const ssize_t got = child->errors ? read((int)child->errors, out, size) : 0;
	return got > 0 ? (size_t)got : 0;
}

uint64_t mx_child_worked(const struct mx_child *child)
{
#ifdef __linux__
	clockid_t clock;
	struct timespec used;
	/* In a Flatpak this process is flatpak-spawn, not the daemon: its time tells nothing. */
	if (child->process && access(MX_FLATPAK, F_OK) &&
	    !clock_getcpuclockid((pid_t)child->process, &clock) && !clock_gettime(clock, &used))
		return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
#else
	(void)child;
#endif
	return 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gone = PTHREAD_COND_INITIALIZER;
static int reaping;

static void *reap(void *argument)
{
	pid_t pid = (pid_t)(intptr_t)argument;
	const struct timespec nap = {0, 20 * 1000 * 1000};
	for (int i = 0; i < 50 && waitpid(pid, NULL, WNOHANG) == 0; i++)
		nanosleep(&nap, NULL);
	/* Still ours until it is waited for, so the number cannot have been given to another. */
	if (waitpid(pid, NULL, WNOHANG) == 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	pthread_mutex_lock(&lock);
	reaping--;
	pthread_cond_broadcast(&gone);
	pthread_mutex_unlock(&lock);
	return NULL;
}

void mx_child_release(struct mx_child *child, bool kill_now)
{
	if (child->errors)
		close((int)child->errors);
	child->errors = 0;
	if (!child->process)
		return;
	close((int)child->input);
	if (kill_now)
		kill((pid_t)child->process, SIGKILL);
	pthread_mutex_lock(&lock);
	reaping++;
	pthread_mutex_unlock(&lock);
	pthread_t thread;
	if (pthread_create(&thread, NULL, reap, (void *)child->process)) {
		kill((pid_t)child->process, SIGKILL);
		reap((void *)child->process);
	} else {
		pthread_detach(thread);
	}
	child->process = 0;
}

void mx_children_wait(void)
{
	pthread_mutex_lock(&lock);
	while (reaping)
		pthread_cond_wait(&gone, &lock);
	pthread_mutex_unlock(&lock);
}
