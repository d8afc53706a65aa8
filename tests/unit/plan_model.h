/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program and a disk, for a plan: the program waits where nothing was fetched. */
#pragma once

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_bury.h"
#include "prefetch/plan.h"

#define DIRS  30u
#define FILES 60u
#define ALL   (DIRS * FILES)
#define BYTES 10240u
#define PAGES 3u
#define DEPTH 8u /* guesses that the disk gets done while the program does one thing */

/* Inode numbers: 1 the root, 10 + d a directory, 1000 + d * FILES + f a file. */
#define DIR_INO(d)     (10u + (d))
#define FILE_INO(d, f) (1000u + (d)*FILES + (f))

/* As ck_assert(), which writes to a file each time, is too slow for what is done most. */
static inline void must(bool holds)
{
	if (!holds)
		ck_abort();
}

struct model {
	struct plan *plan;
	struct guess queue[8192];
	unsigned head, tail;
	uint64_t now;
	bool there[ALL], inode[ALL], listed[DIRS + 1];
	unsigned waits, fetched;
	struct who who;
};

/* Files lie on the disk in another order than they are listed, and their names in a third. */
static inline struct folder *list(unsigned d)
{
	struct folder *f = folder_new(DIR_INO(d));
	char name[32];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%03u.%c", i * 7 % FILES, i % 2 ? 'h' : 'c');
		must(folder_add(f, name, FILE_INO(d, i * 11 % FILES), DT_REG));
	}
	must(folder_sort(f));
	f->node = 1;
	return f;
}

static inline struct folder *list_root(void)
{
	struct folder *f = folder_new(1);
	char name[32];

	for (unsigned d = 0; d < DIRS; d++) {
		snprintf(name, sizeof(name), "d%02u", d);
		must(folder_add(f, name, DIR_INO(d), DT_DIR));
	}
	must(folder_sort(f));
	f->node = 1;
	return f;
}

static inline void bury(struct model *m)
{
	plan_bury(m->plan);
}

static inline void take(struct model *m, const struct guesses *out)
{
	must(out->n <= PLAN_GUESSES);
	for (unsigned i = 0; i < out->n; i++)
		m->queue[m->tail++ % 8192] = out->guess[i];
	must(m->tail - m->head <= 8192);
	bury(m);
}

static inline void act(struct model *m, const struct guess *g)
{
	struct guesses out = { .n = 0 };

	if (g->kind == GUESS_LIST) {
		uint64_t ino = g->folder ? g->folder->entries[g->index].ino : g->node;

		m->listed[ino == 1 ? DIRS : ino - 10] = true;
		plan_listed(m->plan, g->slot, g->gen,
			    ino == 1 ? list_root() : list((unsigned)ino - 10), false, m->now, &out);
	} else if (g->kind == GUESS_META) {
		for (uint32_t i = 0; i < g->count; i++) {
			uint32_t at = folder_at(g->folder, ORDER_INODE, g->index + i);

			if (g->folder->entries[at].ino >= 1000)
				m->inode[g->folder->entries[at].ino - 1000] = true;
		}
		plan_inodes(m->plan, g->count, 0);
	} else if (g->kind == GUESS_RECALL) {
		if (g->file.ino >= 1000 && g->file.ino < 1000 + ALL)
			m->there[g->file.ino - 1000] = true;
		m->fetched++;
		plan_fetched(m->plan, g, PAGES, false);
	} else {
		const struct entry *e = &g->folder->entries[g->index];

		must(e->type == DT_REG);
		if (plan_wants(m->plan, g)) {
			must(!(e->state & ENTRY_DONE));
			m->there[e->ino - 1000] = true;
			m->fetched++;
			plan_fetched(m->plan, g, PAGES, false);
		} else {
			plan_fetched(m->plan, g, 0, false);
		}
	}
	take(m, &out);
	let_go(g->folder);
}

/* The disk does some of its work; 0: all of it. */
static inline void work(struct model *m, unsigned n)
{
	for (unsigned i = 0; m->tail != m->head && (!n || i < n); i++) {
		struct guess g = m->queue[m->head++ % 8192];

		act(m, &g);
	}
}

static inline struct model *model_new(uint64_t bytes)
{
	struct model *m = calloc(1, sizeof(*m));

	m->plan = plan_new(bytes, false);
	m->who = (struct who){ .pid = 7, .uid = 0 };
	return m;
}

static inline void opendir_as(struct model *m, uint32_t pid, uint64_t ino)
{
	struct guesses out = { .n = 0 };
	struct who who = { .pid = pid };

	m->now += 1000;
	plan_opendir(m->plan, &who, ino, ino, m->now, &out);
	take(m, &out);
	work(m, DEPTH);
}

static inline void open_as(struct model *m, uint32_t pid, unsigned d, unsigned f)
{
	struct guesses out = { .n = 0 };
	struct who who = { .pid = pid };

	m->now += 1000;
	if (!m->there[d * FILES + f])
		m->waits++;
	plan_open(m->plan, &who, FILE_INO(d, f), BYTES, m->now, &out);
	take(m, &out);
	work(m, DEPTH);
}

/* Everything comes to an end, and each guess stands in the ledger once. */
static inline struct plan_counters model_free(struct model *m)
{
	struct plan_counters c;

	work(m, 0);
	plan_forget(m->plan, UINT64_MAX);
	bury(m);
	plan_read_counters(m->plan, &c);
	ck_assert_uint_eq(c.files, c.used + c.late + c.wasted);
	ck_assert_uint_eq(c.pages, (uint64_t)m->fetched * PAGES);
	plan_free(m->plan);
	free(m);
	return c;
}

/* A walk like tar's: a directory is listed, then its files are opened in `order`. */
static inline void walk_dir(struct model *m, uint32_t pid, unsigned d, enum order order,
			    unsigned step)
{
	struct folder *f = list(d);

	opendir_as(m, pid, DIR_INO(d));
	for (unsigned i = 0; i < FILES; i += step)
		open_as(m, pid, d,
			(unsigned)f->entries[folder_at(f, order, i)].ino - 1000 - d * FILES);
	let_go(f);
}

/* Files of which no listing is known. */
static inline void recall_some(struct model *m, uint64_t ino, unsigned n)
{
	struct who who = { .pid = 7 };

	for (; n; n--, ino++) {
		struct recall_file file = { .ino = ino, .when = m->now };
		struct guesses out = { .n = 0 };

		plan_recall(m->plan, &who, &file, m->now, &out);
		take(m, &out);
	}
}
