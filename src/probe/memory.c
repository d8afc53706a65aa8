/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM, and what the cgroups leave of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/host.h"
#include "probe/mountinfo.h"
#include "probe/sysfile.h"
#include "util/cleanup.h"

/* "No limit" is the word max (v2), or LONG_MAX rounded down to pages (v1). */
#define NO_LIMIT (1ull << 60)
#define LEVELS	 32 /* of nested cgroups */

/* The two versions of one idea. */
static const struct hierarchy {
	const char *type, *limit, *used;
} v2 = { "cgroup2", "memory.max", "memory.current" },
  v1 = { "cgroup", "memory.limit_in_bytes", "memory.usage_in_bytes" };

static uint64_t meminfo_bytes(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	unsigned long long kib;

	return at && sscanf(at + strlen(name), " %llu kB", &kib) == 1 && kib < NO_LIMIT >> 10
		       ? kib << 10
		       : 0;
}

static void take_limit(struct host_memory *memory, int at, const char *dir,
		       const struct hierarchy *h)
{
	char path[SYS_PATH + 32];
	uint64_t limit, used = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, h->limit);
	if (sys_number(at, path, &limit) < 0 || limit >= NO_LIMIT ||
	    (memory->limit && memory->limit <= limit))
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, h->used);
	sys_number(at, path, &used);
	memory->limit = limit;
	memory->limit_used = used < limit ? used : limit;
}

/* The group's own limit, and those of the groups above it up to the mount. */
static void climb(struct host_memory *memory, int at, const struct mount_entry *m,
		  const char *group, const struct hierarchy *h)
{
	char dir[SYS_PATH];
	size_t root = strlen(m->root), base;

	/* A container sees its group as the root; the path still begins further up. */
	if (root > 1 && strncmp(group, m->root, root) == 0)
		group += root;
	base = strlen(m->mount_point) - 1; /* without the '/', as the path is below `at` */
	if (snprintf(dir, sizeof(dir), "%s/%s", m->mount_point + 1, group) >= (int)sizeof(dir))
		return;
	for (unsigned i = 0; i < LEVELS; i++) {
		char *slash;

		take_limit(memory, at, dir, h);
		slash = strrchr(dir, '/');
		if (!slash || (size_t)(slash - dir) < base)
			return;
		*slash = '\0';
	}
}

static bool has_word(const char *list, size_t length, const char *word)
{
	size_t n = strlen(word);

	for (const char *end = list + length; list < end;) {
		size_t here = strcspn(list, ",:\n");

		if (here == n && memcmp(list, word, n) == 0)
			return true;
		list += here + 1;
	}
	return false;
}

/* A line of /proc/self/cgroup: ID:CONTROLLERS:PATH; v2 has no controllers. */
static void follow_line(struct host_memory *memory, const struct probe_root *root,
			const struct mountinfo *mounts, char *line)
{
	char *controllers = strchr(line, ':');
	char *group = controllers ? strchr(++controllers, ':') : NULL;
	const struct hierarchy *h;

	if (!group)
		return;
	*group++ = '\0';
	h = *controllers ? &v1 : &v2;
	if (*controllers && !has_word(controllers, strlen(controllers), "memory"))
		return;
	for (size_t i = mounts->count; i-- > 0;) {
		const struct mount_entry *m = &mounts->entries[i];

		if (strcmp(m->type, h->type) != 0 ||
		    (h == &v1 && !has_word(m->options, strlen(m->options), "memory")))
			continue;
		climb(memory, root->fd, m, group, h);
		return;
	}
}

void host_memory_probe(struct host_memory *memory, const struct probe_root *root)
{
	autofree char *meminfo = NULL;
	autofree char *groups = NULL;
	struct mountinfo mounts;
	char *save = NULL;

	*memory = (struct host_memory){ 0 };
	if (sys_slurp(root->fd, "proc/meminfo", 65536, &meminfo) > 0) {
		memory->total = meminfo_bytes(meminfo, "MemTotal:");
		memory->available = meminfo_bytes(meminfo, "MemAvailable:");
	}
	if (sys_slurp(root->fd, "proc/self/cgroup", 65536, &groups) > 0 &&
	    mountinfo_init(&mounts, root->fd, root->mountinfo) == 0) {
		for (char *line = strtok_r(groups, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			follow_line(memory, root, &mounts, line);
		mountinfo_deinit(&mounts);
	}
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t host_memory_free(const struct host_memory *m)
{
	return m->limit ? lesser(m->available, m->limit - m->limit_used) : m->available;
}

uint64_t host_memory_size(const struct host_memory *m)
{
	return m->limit ? lesser(m->total, m->limit) : m->total;
}
