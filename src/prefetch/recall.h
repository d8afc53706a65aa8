/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which files were opened after which: a second cold run of a build or an import wants the same
 * files again, though nothing about their names or places tells. Pure; the plan's own, under the
 * plan's lock.
 *
 * A log of opens, the oldest overwritten; a pause ends what belongs together. When opens follow a stretch of the log again, from three
 * in a row on, what came next then is guessed, the more the longer it holds. A log and not a graph:
 * it is plain memory that could be written out and read in again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RECALL_LOG    16384u /* opens: 64 bytes each */
#define RECALL_TRAILS 8u     /* stretches that are followed at a time */
#define RECALL_AHEAD  64u    /* files ahead of one */
#define RECALL_HANDLE 24u    /* bytes; longer ones are not kept */

/* A file, as its owner reaches it again. */
struct recall_file {
	uint64_t ino;
	uint64_t when; /* ns */
	uint32_t uid;  /* on whose account it was opened */
	int16_t handle_type;
	uint8_t handle_length;
	unsigned char handle[RECALL_HANDLE];
};

struct recall;

struct recall *recall_new(void); /* NULL without memory */
struct recall *recall_free(struct recall *recall);

/*
 * A file was opened. Writes what is likely to be opened next and was not written before for this
 * stretch, at most `room`, and returns how many.
 */
unsigned recall_open(struct recall *recall, const struct recall_file *file,
		     const struct recall_file **next, unsigned room);
