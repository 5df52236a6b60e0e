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

void mx_memory_zero(struct mx_memory *memory, size_t from)
{
	memset(memory->base + from, 0, memory->size - from);
}

void mx_memory_free(struct mx_memory *memory)
{
	if (!memory->base)
		return;
	mx_memory_zero(memory, 0);
	UnmapViewOfFile(memory->base);
	CloseHandle((HANDLE)memory->handle);
	memory->base = NULL;
}

void *mx_symbol(const char *name)
{
	HMODULE frontend = GetModuleHandleA("obs-frontend-api.dll");
	FARPROC found = frontend ? GetProcAddress(frontend, name) : NULL;
	void *out = NULL;
	memcpy(&out, &found, sizeof out);
	return out;
}

static wchar_t *wide(const char *text)
{
	int length = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
	wchar_t *out = length > 0 ? calloc((size_t)length, sizeof *out) : NULL;
	if (out)
		MultiByteToWideChar(CP_UTF8, 0, text, -1, out, length);
	return out;
}

static bool replaced(const char *entry, const struct mx_variable *set)
{
	for (; set && set->name; set++) {
		size_t length = strlen(set->name);
		if (!_strnicmp(entry, set->name, length) && entry[length] == '=')
			return true;
	}
	return mx_of_the_host(entry);
}

static wchar_t *add(wchar_t *end, const wchar_t *text)
{
	size_t length = wcslen(text);
	memcpy(end, text, length * sizeof *text);
	return end + length;
}

/* NAME=value, each with a NUL after it, and one more at the end. */
static wchar_t *environment(const struct mx_variable *set)
{
	wchar_t *ours = GetEnvironmentStringsW(), *found = ours;
	size_t room = 2;
	for (; found && *found; found += wcslen(found) + 1)
		room += wcslen(found) + 1;
	for (const struct mx_variable *more = set; more && more->name; more++)
		room += strlen(more->name) + strlen(more->value) + 2;
	wchar_t *block = ours ? calloc(room, sizeof *block) : NULL, *end = block;
	for (found = ours; block && *found; found += wcslen(found) + 1) {
		char entry[128] = ""; /* long enough for every name that is looked for */
		for (size_t i = 0; i + 1 < sizeof entry && found[i]; i++)
			entry[i] = found[i] < 128 ? (char)found[i] : '?';
		if (!replaced(entry, set))
			end = add(end, found) + 1;
	}
	for (; block && set && set->name; set++) {
		wchar_t *name = wide(set->name), *value = wide(set->value);
		if (name && value)
			end = add(add(add(end, name), L"="), value) + 1;
		free(name);
		free(value);
	}
	if (ours)
		FreeEnvironmentStringsW(ours);
	return block;
}

bool mx_child_start(struct mx_child *child, const char *python, const struct mx_memory *memory,
		    const struct mx_variable *set)
{
	SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
	HANDLE theirs, ours, said, saying;
	if (!CreatePipe(&theirs, &ours, &inherited, 0))
		return false;
	if (!CreatePipe(&said, &saying, &inherited, 1 << 16)) {
		CloseHandle(theirs);
		CloseHandle(ours);
		return false;
	}
	SetHandleInformation(ours, HANDLE_FLAG_INHERIT, 0);
	SetHandleInformation(said, HANDLE_FLAG_INHERIT, 0);
	char line[2048];
	snprintf(line, sizeof line, "\"%s\" -P -m matte_nodes.hosts.obs --memory %lld", python,
		 (long long)memory->handle);
	wchar_t *program = wide(python), *command = wide(line);
	HANDLE job = CreateJobObjectW(NULL, NULL);
	JOBOBJECT_EXTENDED_LIMIT_INFORMATION limit;
	memset(&limit, 0, sizeof limit);
	limit.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
	SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limit, sizeof limit);

	/* Only these three handles go to the child, none of the many that OBS holds. */
	HANDLE handed[3] = {theirs, (HANDLE)memory->handle, saying};
	SIZE_T bytes = 0;
	InitializeProcThreadAttributeList(NULL, 1, 0, &bytes);
	LPPROC_THREAD_ATTRIBUTE_LIST list = malloc(bytes);
	STARTUPINFOEXW start;
	memset(&start, 0, sizeof start);
	start.StartupInfo.cb = sizeof start;
	start.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
	start.StartupInfo.hStdInput = theirs;
	start.StartupInfo.hStdOutput = start.StartupInfo.hStdError = saying;
	start.lpAttributeList = list;
	PROCESS_INFORMATION started;
	memset(&started, 0, sizeof started);
	BOOL done = FALSE;
	wchar_t *variables = environment(set);
	if (program && command && job && list && variables &&
	    InitializeProcThreadAttributeList(list, 1, 0, &bytes)) {
		done = UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handed,
						 sizeof handed, NULL, NULL) &&
		       CreateProcessW(program, command, NULL, NULL, TRUE,
				      CREATE_NO_WINDOW | CREATE_SUSPENDED |
					      CREATE_UNICODE_ENVIRONMENT |
					      EXTENDED_STARTUPINFO_PRESENT,
				      variables, NULL, &start.StartupInfo, &started);
		DeleteProcThreadAttributeList(list);
	}
	free(list);
	free(variables);
	free(program);
	free(command);
	CloseHandle(theirs);
	CloseHandle(saying);
	if (!done) {
		CloseHandle(ours);
		CloseHandle(said);
		if (job)
			CloseHandle(job);
		return false;
	}
	AssignProcessToJobObject(job, started.hProcess);
	ResumeThread(started.hThread);
	CloseHandle(started.hThread);
	*child = (struct mx_child){(intptr_t)started.hProcess, (intptr_t)ours, (intptr_t)said,
				   (intptr_t)job, 0, false};
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
	DWORD code = 0;
	GetExitCodeProcess((HANDLE)child->process, &code);
	child->code = (int)code;
	CloseHandle((HANDLE)child->input);
	forget(child);
	return false;
}

size_t mx_child_read(struct mx_child *child, char *out, size_t size)
{
	DWORD there = 0, got = 0;
	/* Reading what is not there would wait. */
	if (!child->errors ||
	    !PeekNamedPipe((HANDLE)child->errors, NULL, 0, NULL, &there, NULL) || !there)
		return 0;
	if (there > size)
		there = (DWORD)size;
	return ReadFile((HANDLE)child->errors, out, there, &got, NULL) ? got : 0;
}

uint64_t mx_child_worked(const struct mx_child *child)
{
	/* Of the whole job: the python.exe of a virtual environment only starts another one. */
	JOBOBJECT_BASIC_ACCOUNTING_INFORMATION used;
	/* Without a job of its own, Windows would answer for OBS's. */
	if (!child->process || !child->job ||
	    !QueryInformationJobObject((HANDLE)child->job, JobObjectBasicAccountingInformation, &used,
				       sizeof used, NULL))
		return 0;
	return 100 * (uint64_t)(used.TotalUserTime.QuadPart + used.TotalKernelTime.QuadPart);
}

void mx_child_release(struct mx_child *child, bool kill_now)
{
	if (child->errors)
		CloseHandle((HANDLE)child->errors);
	child->errors = 0;
	if (!child->process)
		return;
	CloseHandle((HANDLE)child->input);
	if (kill_now)
		TerminateProcess((HANDLE)child->process, 1);
	forget(child);
}

void mx_children_wait(void) {}
