/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/range.h"

#include <errno.h>

static uint64_t round_down(uint64_t value, uint32_t alignment)
{
	return value & ~((uint64_t)alignment - 1);
}

/* value is at most 2^63, so this can't wrap. */
static uint64_t round_up(uint64_t value, uint32_t alignment)
{
	return round_down(value + alignment - 1, alignment);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static int check(struct range range, uint32_t alignment)
{
	if (!alignment || (alignment & (alignment - 1)))
		return -EINVAL;
	if (range.offset > INT64_MAX || range.length > INT64_MAX - range.offset)
		return -EOVERFLOW;
	return 0;
}

int range_split(struct range whole, uint32_t alignment, struct range_parts *parts)
{
	uint64_t end = whole.offset + whole.length;
	uint64_t body, tail;
	int err = check(whole, alignment);

	if (err)
		return err;
	body = min(round_up(whole.offset, alignment), end);
	tail = max(round_down(end, alignment), body);
	parts->head = (struct range){ whole.offset, body - whole.offset };
	parts->body = (struct range){ body, tail - body };
	parts->tail = (struct range){ tail, end - tail };
	return 0;
}

int range_widen(struct range wanted, uint32_t alignment, uint64_t size, struct range *wide)
{
	int err = check(wanted, alignment);
	uint64_t begin, end;

	if (err)
		return err;
	begin = round_down(wanted.offset, alignment);
	end = min(wanted.offset + wanted.length, size);
	if (end <= wanted.offset)
		*wide = (struct range){ begin, 0 };
	else
		*wide = (struct range){ begin, round_up(end, alignment) - begin };
	return 0;
}

bool range_next(struct range *rest, uint32_t alignment, uint32_t limit, struct range *piece)
{
	uint64_t step = max(round_down(limit, alignment), alignment);

	if (!rest->length)
		return false;
	*piece = (struct range){ rest->offset, min(rest->length, step) };
	rest->offset += piece->length;
	rest->length -= piece->length;
	return true;
}

struct range range_overlap(struct range a, struct range b)
{
	uint64_t begin = max(a.offset, b.offset);
	uint64_t end = min(a.offset + a.length, b.offset + b.length);

	return (struct range){ begin, end > begin ? end - begin : 0 };
}
