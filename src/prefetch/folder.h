/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory's listing as prefetching keeps it: names, types and inode numbers, in the orders in
 * which programs may go through them. Memory only; no system calls.
 *
 * Counted, because fetches that are under way still need the names when the plan has let the
 * directory go. Names and orders never change; an entry's `state` and `next` are the plan's.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Entries of one directory that are kept, with some 10 MiB; a larger one is known by its beginning,
 * and what lies beyond is read as by a mount that guesses nothing. */
#define FOLDER_MAX (1u << 17)
/* More than so many only for one directory at a time: many are listed at once. */
#define FOLDER_LARGE (1u << 15)

enum order {
	ORDER_LISTING, /* as the filesystem lists them: tar, cp, find, grep -r */
	ORDER_NAME,    /* sorted: rsync, ls, git, shell patterns */
	ORDER_INODE,   /* as they lie on the disk: du, ls -U and cp of large directories */
	ORDERS,
};

enum entry_state {
	ENTRY_ASKED = 1,   /* its content is to be fetched, or was */
	ENTRY_DONE = 2,	   /* that has ended */
	ENTRY_OPENED = 4,  /* by a program */
	ENTRY_COUNTED = 8, /* the guess stands in the ledger */
	ENTRY_PASSED = 16, /* passed over, where a walk might have opened it */
};

struct entry {
	uint64_t ino;
	uint32_t name;		   /* offset in names */
	uint32_t rank[ORDERS - 1]; /* its place in sorted[] */
	uint32_t next;		   /* the plan's chain of equal hashes */
	uint32_t pages;		   /* fetched: 4 KiB each */
	uint16_t suffix;	   /* hash of what follows the last dot; 0: none */
	uint8_t type;		   /* DT_* */
	uint8_t state;
	uint8_t walk; /* who guessed */
};

struct folder {
	_Atomic unsigned refs;
	uint64_t node; /* how its owner reaches it; 0: not at all */
	uint64_t ino;
	uint32_t n, dirs;
	struct entry *entries;
	uint32_t *sorted[ORDERS - 1];
	char *names;
	size_t names_used, names_room;
	uint32_t room;
	struct folder *next; /* of a list of those to be let go */
};

struct folder *folder_new(uint64_t ino);
struct folder *folder_ref(struct folder *folder);
/* True: that was the last reference; what folder->node stands for is to be let go, then
 * folder_free() called. */
bool folder_unref(struct folder *folder);
void folder_free(struct folder *folder); /* accepts NULL */

/* False when it is full or there is no memory. */
bool folder_add(struct folder *folder, const char *name, uint64_t ino, uint8_t type);
/* After the last folder_add(): makes the orders. False without memory. */
bool folder_sort(struct folder *folder);

static inline const char *folder_name(const struct folder *f, uint32_t index)
{
	return f->names + f->entries[index].name;
}

static inline uint32_t folder_rank(const struct folder *f, enum order order, uint32_t index)
{
	return order == ORDER_LISTING ? index : f->entries[index].rank[order - 1];
}

static inline uint32_t folder_at(const struct folder *f, enum order order, uint32_t rank)
{
	return order == ORDER_LISTING ? rank : f->sorted[order - 1][rank];
}
