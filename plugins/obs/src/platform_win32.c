/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "platform.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

bool mx_memory_create(struct mx_memory *memory, size_t size)
{
	SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
	HANDLE mapping = CreateFileMappingW(INVALID_HANDLE_VALUE, &inherited, PAGE_READWRITE, 0,
					    (DWORD)size, NULL);
	if (!mapping)
		return false;
	uint8_t *base = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, size);
	if (!base) {
		CloseHandle(mapping);
		return false;
	}
	*memory = (struct mx_memory){base, size, (intptr_t)mapping};
	return true;
}

void mx_memory_free(struct mx_memory *memory)
{
	if (!memory->base)
		return;
	memset(memory->base, 0, memory->size);
	UnmapViewOfFile(memory->base);
	CloseHandle((HANDLE)memory->handle);
	memory->base = NULL;
}

static wchar_t *wide(const char *text)
{
	int length = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
	wchar_t *out = length > 0 ? calloc((size_t)length, sizeof *out) : NULL;
	if (out)
		MultiByteToWideChar(CP_UTF8, 0, text, -1, out, length);
	return out;
}

static void set_variables(const struct mx_variable *set)
{
	for (; set && set->name; set++) {
		wchar_t *name = wide(set->name), *value = wide(set->value);
		if (name && value)
			SetEnvironmentVariableW(name, value);
		free(name);
		free(value);
	}
}

bool mx_child_start(struct mx_child *child, const char *python, const struct mx_memory *memory,
		    const struct mx_variable *set)
{
	SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
	HANDLE theirs, ours;
	if (!CreatePipe(&theirs, &ours, &inherited, 0))
		return false;
	SetHandleInformation(ours, HANDLE_FLAG_INHERIT, 0);
	char line[2048];
	snprintf(line, sizeof line, "\"%s\" -P -m matte_nodes.live --memory %lld", python,
		 (long long)memory->handle);
	wchar_t *program = wide(python), *command = wide(line);
	HANDLE job = CreateJobObjectW(NULL, NULL);
	JOBOBJECT_EXTENDED_LIMIT_INFORMATION limit;
	memset(&limit, 0, sizeof limit);
	limit.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
	SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limit, sizeof limit);

	/* Only these two handles go to the child, none of the many that OBS holds. */
	HANDLE handed[2] = {theirs, (HANDLE)memory->handle};
	SIZE_T bytes = 0;
	InitializeProcThreadAttributeList(NULL, 1, 0, &bytes);
	LPPROC_THREAD_ATTRIBUTE_LIST list = malloc(bytes);
	STARTUPINFOEXW start;
	memset(&start, 0, sizeof start);
	start.StartupInfo.cb = sizeof start;
	start.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
	start.StartupInfo.hStdInput = theirs;
	start.lpAttributeList = list;
	PROCESS_INFORMATION started;
	memset(&started, 0, sizeof started);
	BOOL done = FALSE;
	if (program && command && job && list &&
	    InitializeProcThreadAttributeList(list, 1, 0, &bytes)) {
		set_variables(set);
		done = UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handed,
						 sizeof handed, NULL, NULL) &&
		       CreateProcessW(program, command, NULL, NULL, TRUE,
				      CREATE_NO_WINDOW | CREATE_SUSPENDED |
					      EXTENDED_STARTUPINFO_PRESENT,
				      NULL, NULL, &start.StartupInfo, &started);
		DeleteProcThreadAttributeList(list);
	}
	free(list);
	free(program);
	free(command);
	CloseHandle(theirs);
	if (!done) {
		CloseHandle(ours);
		if (job)
			CloseHandle(job);
		return false;
	}
	AssignProcessToJobObject(job, started.hProcess);
	ResumeThread(started.hThread);
	CloseHandle(started.hThread);
	*child = (struct mx_child){(intptr_t)started.hProcess, (intptr_t)ours, (intptr_t)job};
	return true;
}

static void forget(struct mx_child *child)
{
	CloseHandle((HANDLE)child->process);
	CloseHandle((HANDLE)child->job); /* ends what is left of it */
	child->process = 0;
}

bool mx_child_alive(struct mx_child *child)
{
	if (!child->process)
		return false;
	if (WaitForSingleObject((HANDLE)child->process, 0) == WAIT_TIMEOUT)
		return true;
	CloseHandle((HANDLE)child->input);
	forget(child);
	return false;
}

void mx_child_release(struct mx_child *child, bool kill_now)
{
	if (!child->process)
		return;
	CloseHandle((HANDLE)child->input);
	if (kill_now)
		TerminateProcess((HANDLE)child->process, 1);
	forget(child);
}

void mx_children_wait(void) {}
