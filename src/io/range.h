/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which bytes go by aligned transfers, and which don't. Pure arithmetic; ranges end at 2^63 - 1 at
 * most, as files do.
 *
 * alignment is a power of two throughout.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Bytes of a file: [offset, offset + length). */
struct range {
	uint64_t offset, length;
};

/*
 * head and tail are shorter than alignment each and cross no multiple of it; body is whole blocks.
 * In this order they are the whole, and a part that is empty has length 0. A range without a whole
 * block has no body: it is head up to the block's boundary, and tail behind it.
 */
struct range_parts {
	struct range head, body, tail;
};

/* For writes. 0, -EINVAL (alignment) or -EOVERFLOW. */
int range_split(struct range whole, uint32_t alignment, struct range_parts *parts);

/*
 * For reads: the whole blocks that hold what there is of wanted in a file of size bytes, so that
 * the last block may reach beyond the file's end, and to 2^63. Empty when wanted lies behind the
 * end. size UINT64_MAX: not known. 0, -EINVAL (alignment) or -EOVERFLOW.
 */
int range_widen(struct range wanted, uint32_t alignment, uint64_t size, struct range *wide);

/*
 * Takes the next piece off rest: at most max bytes, rounded down to whole blocks but one at least.
 * False when nothing is left.
 */
bool range_next(struct range *rest, uint32_t alignment, uint32_t max, struct range *piece);

/* What both have; length 0 for nothing. Of a wide piece that was read, what was wanted. */
struct range range_overlap(struct range a, struct range b);
