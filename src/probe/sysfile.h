/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small files of /sys and /proc, read below a directory that stands for "/", so that tests can give
 * a tree of their own. Nothing read here is trusted: it may be cut short, binary, or a FIFO.
 */
#pragma once

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Longest path that is put together for these files. */
#define SYS_PATH 512

/* A directory, symbolic links followed; a descriptor or -errno. */
int sys_dir(int at, const char *path);
/* The same for iteration; NULL with errno set. */
DIR *sys_opendir(int at, const char *path);

/*
 * The first line, its control characters and stray bytes replaced by '?', cut to size - 1 bytes.
 * The length or -errno; text is an empty string then.
 */
ssize_t sys_line(int at, const char *path, char *text, size_t size);
/* A line that is one number in decimal; 0 or -errno (-EINVAL: it is something else). */
int sys_number(int at, const char *path, uint64_t *value);
/* A whole file, a NUL behind it, cut to limit bytes. The length, or -errno; the caller frees. */
ssize_t sys_slurp(int at, const char *path, size_t limit, char **text);

/* Replaces what would not be valid UTF-8 or would move the cursor. */
void sys_clean(char *text);
