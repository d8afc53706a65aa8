/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * overdrivectl bench: a user's own directory, natively and through a mount of its own, cold and hot.
 * bench_work.c does what programs do, bench_mount.c makes the mount, bench_result.c (pure) says what
 * came of it, bench_print.c and bench_html.c show it.
 */
#pragma once

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_ROUNDS 5

enum bench_row { BENCH_LIST, BENCH_TREE, BENCH_STREAM, BENCH_ROWS };
enum bench_side { BENCH_NATIVE, BENCH_MOUNTED, BENCH_SIDES };
enum bench_state { BENCH_COLD, BENCH_HOT, BENCH_STATES };

extern const char *const bench_row_names[BENCH_ROWS];
extern const char *const bench_row_meanings[BENCH_ROWS];

struct bench_cell {
	double seconds[BENCH_ROUNDS];
	unsigned count;
};

struct bench_result {
	char directory[PATH_MAX];	    /* as shown */
	uint64_t files, directories, bytes; /* that were measured */
	uint64_t stream_bytes;		    /* of the largest file; 0: none worth it */
	double cold_share;		    /* of the files, when it began; -1: not known */
	bool cold;			    /* cold was measured */
	struct bench_cell cell[BENCH_ROWS][BENCH_STATES][BENCH_SIDES];
};

/* The middle of the rounds, and the largest less the smallest; -1: not measured. */
double bench_median(const struct bench_cell *cell);
double bench_spread(const struct bench_cell *cell);
/* native / mounted: above 1 the mount is faster; -1: not measured. */
double bench_gain(const struct bench_result *r, enum bench_row row, enum bench_state state);
/*
 * The share of opens that must be cold for the mount to pay, 0 to 1; above 1: it never does. -1: not
 * known. By reading the tree: a cold one saves c, a hot one costs h, so it is h / (h + c).
 */
double bench_break_even(const struct bench_result *r);
struct bench_verdict {
	bool mount;
	char text[256];
};
struct bench_verdict bench_verdict(const struct bench_result *r);

void bench_print_text(const struct bench_result *r);
void bench_print_json(const struct bench_result *r);
/* 0 or -errno. */
int bench_write_html(const struct bench_result *r, const char *path);

/* What is worked on: bounded, so that it fits the time and the memory. */
struct bench_sample {
	uint64_t max_files, max_bytes; /* the limits */
	uint64_t files, directories, bytes, resident_files;
	char *largest; /* relative; NULL: none */
	uint64_t largest_size;
	bool stopped; /* by a signal */
	const sigset_t *signals;
};

/* What is there; nothing is read of the files. 0 or -errno. */
int bench_survey(struct bench_sample *s, int root);
/* Does the row's work below the directory; its time in seconds, or -errno. */
int bench_work(const struct bench_sample *s, int root, enum bench_row row, double *seconds);

struct bench_mount {
	char point[64]; /* "": not made */
	char run[PATH_MAX];
	pid_t daemon;
	int root; /* the mount's root directory */
	int said; /* what the daemon prints; -1: to stderr */
};

/* Mounts dir read-only at a place of its own. 0 or -errno, after a line on stderr. */
int bench_mount_open(struct bench_mount *m, const char *dir, const sigset_t *old_mask);
/* Always to be called. 0, or -errno after a line on stderr. */
int bench_mount_close(struct bench_mount *m);
