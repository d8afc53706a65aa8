/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/recall.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS	  RECALL_LOG
#define SLACK	  16u		/* opens that may be missing, or come in another order */
#define PAUSE	  2000000000ull /* ns without an open: what comes then is another run's */
#define CONFIDENT 2u		/* steps along a stretch: three opens */

/* Positions count all opens there ever were; position p lies in log[p % RECALL_LOG]. */
struct trail {
	uint64_t at;	/* the position that was matched last */
	uint64_t asked; /* all up to here have been guessed */
	uint64_t end;	/* what was logged from here on is this very run */
	uint64_t used;	/* when, as a position */
	unsigned steps;
};

struct recall {
	uint64_t head; /* the next position; begins at 1, so that 0 is none */
	struct trail trail[RECALL_TRAILS];
	uint64_t newest[BUCKETS];   /* by inode number: the position logged last */
	uint64_t older[RECALL_LOG]; /* the one of the same bucket before that */
	struct recall_file log[RECALL_LOG];
};

struct recall *recall_new(void)
{
	struct recall *r = calloc(1, sizeof(*r));

	if (r)
		r->head = 1;
	return r;
}

struct recall *recall_free(struct recall *r)
{
	free(r);
	return NULL;
}

static uint32_t bucket_of(uint64_t ino)
{
	return (uint32_t)((ino * 0x9e3779b97f4a7c15ull) >> 32) % BUCKETS;
}

static bool is_kept(const struct recall *r, uint64_t position)
{
	return position && position + RECALL_LOG > r->head;
}

static struct recall_file *at(struct recall *r, uint64_t position)
{
	return &r->log[position % RECALL_LOG];
}

/* The last open of this file by this user before now; 0: none. */
static uint64_t find(struct recall *r, const struct recall_file *file)
{
	uint64_t p = r->newest[bucket_of(file->ino)];

	while (is_kept(r, p) && (at(r, p)->ino != file->ino || at(r, p)->uid != file->uid))
		p = r->older[p % RECALL_LOG];
	return is_kept(r, p) ? p : 0;
}

static void append(struct recall *r, const struct recall_file *file)
{
	uint64_t *bucket = &r->newest[bucket_of(file->ino)];

	*at(r, r->head) = *file;
	r->older[r->head % RECALL_LOG] = *bucket;
	*bucket = r->head++;
}

static struct trail *trail_of(struct recall *r, uint64_t position)
{
	struct trail *oldest = &r->trail[0];

	for (unsigned i = 0; i < RECALL_TRAILS; i++) {
		struct trail *t = &r->trail[i];

		if (t->used && position > t->at && position - t->at <= SLACK) {
			t->steps++;
			t->at = position;
			t->used = r->head;
			return t;
		}
		/* A little out of order: neither a step nor another stretch. */
		if (t->used && position <= t->at && t->at - position <= SLACK) {
			t->used = r->head;
			return NULL;
		}
		if (t->used < oldest->used)
			oldest = t;
	}
	*oldest = (struct trail){
		.at = position, .asked = position, .end = r->head, .used = r->head
	};
	return oldest;
}

unsigned recall_open(struct recall *r, const struct recall_file *file,
		     const struct recall_file **next, unsigned room)
{
	uint64_t before = find(r, file), until;
	struct trail *t = before ? trail_of(r, before) : NULL;
	unsigned n = 0, ahead;

	append(r, file);
	if (!t || t->steps < CONFIDENT)
		return 0;
	ahead = t->steps < 6 ? 1u << t->steps : RECALL_AHEAD;
	until = t->at + ahead < t->end ? t->at + ahead : t->end - 1;
	if (t->asked < t->at)
		t->asked = t->at;
	while (t->asked < until && n < room) {
		const struct recall_file *f = at(r, t->asked + 1);

		if (f->when - at(r, t->asked)->when > PAUSE)
			break;
		t->asked++;
		if (is_kept(r, t->asked) && f->uid == file->uid)
			next[n++] = f;
	}
	return n;
}
