/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A few real files below a directory, for trying Direct IO and for measuring. Found by a bounded
 * walk that never leaves the mount, follows no link, opens nothing but regular files, changes no
 * access time of theirs, and breaks no lease.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SAMPLE_FILES   8
#define SAMPLE_ENTRIES 200

struct sample_file {
	int path_fd;	     /* O_PATH */
	int fd;		     /* O_RDONLY; -1 if it may not be read, or not without a trace */
	uint64_t begin, end; /* the first run of bytes that are no hole */
};

/* The largest files that were met, largest first. Owns their descriptors. */
struct sample {
	struct sample_file files[SAMPLE_FILES];
	unsigned count;
	unsigned entries; /* looked at */
	unsigned denied;  /* that may not be read */
};

/*
 * Looks until `enough` bytes are found, SAMPLE_ENTRIES have been seen, or clock_ns() passes
 * deadline_ns. 0 or -errno (the directory can't be read); s goes to sample_deinit in any case.
 */
int sample_init(struct sample *s, int dir_fd, uint64_t enough, uint64_t deadline_ns);
void sample_deinit(struct sample *s);

/* The same file opened with O_DIRECT; a descriptor or -errno. */
int sample_open_direct(const struct sample_file *file);
