/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/folder.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX (4u << 20) /* bytes of names in one directory */

struct folder *folder_new(uint64_t ino)
{
	struct folder *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	atomic_init(&f->refs, 1);
	f->ino = ino;
	return f;
}

struct folder *folder_ref(struct folder *f)
{
	atomic_fetch_add(&f->refs, 1);
	return f;
}

bool folder_unref(struct folder *f)
{
	return atomic_fetch_sub(&f->refs, 1) == 1;
}

void folder_free(struct folder *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < ORDERS - 1; i++)
		free(f->sorted[i]);
	free(f->entries);
	free(f->names);
	free(f);
}

static uint16_t suffix_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	uint32_t hash = 2166136261u; /* FNV-1a */

	if (!dot || dot == name || !dot[1])
		return 0;
	while (*++dot)
		hash = (hash ^ (unsigned char)*dot) * 16777619u;
	hash ^= hash >> 16;
	return (uint16_t)hash ? (uint16_t)hash : 1;
}

static bool grow(void **array, size_t size, size_t room)
{
	void *more = realloc(*array, size * room);

	if (more)
		*array = more;
	return more;
}

bool folder_add(struct folder *f, const char *name, uint64_t ino, uint8_t type)
{
	size_t length = strlen(name) + 1;

	if (f->n == FOLDER_MAX || f->names_used + length > NAMES_MAX)
		return false;
	if (f->n == f->room) {
		uint32_t room = f->room ? f->room * 2 : 32;

		if (!grow((void **)&f->entries, sizeof(*f->entries), room))
			return false;
		f->room = room;
	}
	if (f->names_used + length > f->names_room) {
		size_t room = f->names_room ? f->names_room * 2 : 1024;

		if (!grow((void **)&f->names, 1, room))
			return false;
		f->names_room = room;
	}
	memcpy(f->names + f->names_used, name, length);
	f->entries[f->n++] = (struct entry){
		.ino = ino,
		.name = (uint32_t)f->names_used,
		.suffix = suffix_of(name),
		.type = type,
	};
	f->names_used += length;
	f->dirs += type == DT_DIR;
	return true;
}

static int by_name(const void *a, const void *b, void *argument)
{
	const struct folder *f = argument;

	return strcmp(folder_name(f, *(const uint32_t *)a), folder_name(f, *(const uint32_t *)b));
}

static int by_inode(const void *a, const void *b, void *argument)
{
	const struct folder *f = argument;
	uint64_t x = f->entries[*(const uint32_t *)a].ino, y = f->entries[*(const uint32_t *)b].ino;

	return x < y ? -1 : x > y;
}

bool folder_sort(struct folder *f)
{
	static int (*const compare[])(const void *, const void *, void *) = { by_name, by_inode };

	for (unsigned order = 0; order < ORDERS - 1; order++) {
		uint32_t *sorted = malloc((f->n + 1) * sizeof(*sorted));

		if (!sorted)
			return false;
		for (uint32_t i = 0; i < f->n; i++)
			sorted[i] = i;
		qsort_r(sorted, f->n, sizeof(*sorted), compare[order], f);
		for (uint32_t i = 0; i < f->n; i++)
			f->entries[sorted[i]].rank[order] = i;
		f->sorted[order] = sorted;
	}
	return true;
}
