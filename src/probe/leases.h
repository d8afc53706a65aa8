/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files to which somebody holds a lease that a reader would break (fcntl F_SETLEASE F_WRLCK, Samba's
 * oplocks, an NFS server's delegations). Even a non-blocking open breaks one: it returns EWOULDBLOCK,
 * but the holder has been told. So whoever only guesses has to know before.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LEASES_MAX 64u

struct leases {
	unsigned n;
	bool many; /* more than fit: every file counts as one of them */
	uint64_t ino[LEASES_MAX];
};

/* proc: a directory that is /proc. Those of other PID namespaces are not shown there. Devices are
 * not compared, as btrfs has others here: a file of the same number elsewhere counts too. */
void leases_read(int proc, struct leases *leases);
bool leases_has(const struct leases *leases, uint64_t ino);
