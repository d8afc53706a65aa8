/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/leases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/sysfile.h"
#include "util/cleanup.h"

#define LIMIT (4u << 20) /* bytes; some 60,000 locks */

/* "7: LEASE  ACTIVE    WRITE 4711 fd:01:1234 0 EOF"; a delegation is called DELEG. */
static bool parse(const char *line, uint64_t *ino)
{
	char kind[16], type[16];
	unsigned long long number;

	if (sscanf(line, "%*u: %15s %*s %15s %*d %*x:%*x:%llu ", kind, type, &number) != 3)
		return false;
	*ino = number;
	return (strcmp(kind, "LEASE") == 0 || strcmp(kind, "DELEG") == 0) &&
	       strcmp(type, "READ") != 0;
}

void leases_read(int proc, struct leases *l)
{
	autofree char *text = NULL;
	char *save = NULL;
	ssize_t n = sys_slurp(proc, "locks", LIMIT, &text);
	uint64_t ino;

	*l = (struct leases){ .many = n >= (ssize_t)LIMIT };
	if (n <= 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!parse(line, &ino))
			continue;
		if (l->n == LEASES_MAX) {
			l->many = true;
			return;
		}
		l->ino[l->n++] = ino;
	}
}

bool leases_has(const struct leases *l, uint64_t ino)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->ino[i] == ino)
			return true;
	return l->many;
}
