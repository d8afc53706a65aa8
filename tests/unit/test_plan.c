/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How programs go through trees, without a disk: a model program waits where nothing was fetched.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static void must(bool holds)
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
static struct folder *list(unsigned d)
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

static struct folder *list_root(void)
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

static void let_go(struct folder *f)
{
	if (f && folder_unref(f))
		folder_free(f);
}

static void bury(struct model *m)
{
	struct folder *dead = plan_dead(m->plan);

	while (dead) {
		struct folder *next = dead->next;

		let_go(dead);
		dead = next;
	}
}

static void take(struct model *m, const struct guesses *out)
{
	must(out->n <= PLAN_GUESSES);
	for (unsigned i = 0; i < out->n; i++)
		m->queue[m->tail++ % 8192] = out->guess[i];
	must(m->tail - m->head <= 8192);
	bury(m);
}

static void act(struct model *m, const struct guess *g)
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
static void work(struct model *m, unsigned n)
{
	for (unsigned i = 0; m->tail != m->head && (!n || i < n); i++) {
		struct guess g = m->queue[m->head++ % 8192];

		act(m, &g);
	}
}

static struct model *model_new(uint64_t bytes)
{
	struct model *m = calloc(1, sizeof(*m));

	m->plan = plan_new(bytes, false);
	m->who = (struct who){ .pid = 7, .uid = 0 };
	return m;
}

static void opendir_as(struct model *m, uint32_t pid, uint64_t ino)
{
	struct guesses out = { .n = 0 };
	struct who who = { .pid = pid };

	m->now += 1000;
	plan_opendir(m->plan, &who, ino, ino, m->now, &out);
	take(m, &out);
	work(m, DEPTH);
}

static void open_as(struct model *m, uint32_t pid, unsigned d, unsigned f)
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
static struct plan_counters model_free(struct model *m)
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
static void walk_dir(struct model *m, uint32_t pid, unsigned d, enum order order, unsigned step)
{
	struct folder *f = list(d);

	opendir_as(m, pid, DIR_INO(d));
	for (unsigned i = 0; i < FILES; i += step)
		open_as(m, pid, d,
			(unsigned)f->entries[folder_at(f, order, i)].ino - 1000 - d * FILES);
	let_go(f);
}

START_TEST(test_in_order)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters c;
	unsigned waits;

	opendir_as(m, 7, 1);
	for (unsigned d = 0; d < DIRS; d++)
		walk_dir(m, 7, d, (enum order)_i, 1);
	waits = m->waits;
	c = model_free(m);
	ck_assert_uint_lt(waits, ALL / 10);
	ck_assert_uint_gt(c.used, ALL * 8 / 10);
	ck_assert_uint_eq(c.wasted, 0);
}
END_TEST

/* find first, the contents later, by another program. */
START_TEST(test_listed_by_another)
{
	struct model *m = model_new(1 << 30);
	unsigned waits;

	opendir_as(m, 7, 1);
	for (unsigned d = 0; d < DIRS; d++)
		opendir_as(m, 7, DIR_INO(d));
	for (unsigned d = 0; d < DIRS; d++) {
		struct folder *f = list(d);

		for (unsigned i = 0; i < FILES; i++)
			open_as(m, 8, d, (unsigned)f->entries[i].ino - 1000 - d * FILES);
		let_go(f);
	}
	waits = m->waits;
	model_free(m);
	ck_assert_uint_lt(waits, ALL / 10);
}
END_TEST

/* Four programs at once on four parts of the tree. */
START_TEST(test_several)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters c;
	unsigned waits;

	for (unsigned d = 0; d < 4; d++)
		opendir_as(m, 7 + d, DIR_INO(d));
	for (unsigned i = 0; i < FILES; i++)
		for (unsigned d = 0; d < 4; d++)
			open_as(m, 7 + d, d, i * 11 % FILES);
	waits = m->waits;
	c = model_free(m);
	ck_assert_uint_lt(waits, 4 * FILES / 4);
	ck_assert_uint_eq(c.wasted, 0);
}
END_TEST

/* Only files with one suffix. */
START_TEST(test_suffix)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters c;
	unsigned waits;

	opendir_as(m, 7, 1);
	for (unsigned d = 0; d < DIRS; d++)
		walk_dir(m, 7, d, ORDER_LISTING, 2);
	waits = m->waits;
	c = model_free(m);
	ck_assert_uint_lt(waits, ALL / 2 / 4);
	ck_assert_uint_lt(c.wasted, ALL / 20);
}
END_TEST

/* Few of many: nothing may be fetched in vain. */
START_TEST(test_sparse)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters c;

	opendir_as(m, 7, 1);
	for (unsigned d = 0; d < DIRS; d++)
		walk_dir(m, 7, d, (enum order)_i, 20);
	c = model_free(m);
	ck_assert_uint_eq(c.files, 0);
}
END_TEST

/* Who stops early has cost no more than what he had used. */
START_TEST(test_stops_early)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters c;

	opendir_as(m, 7, 1);
	for (unsigned i = 0; i < (unsigned)_i; i++)
		open_as(m, 7, 0, i * 11 % FILES);
	opendir_as(m, 7, DIR_INO(0));
	for (unsigned i = 0; i < (unsigned)_i; i++)
		open_as(m, 7, 0, i * 11 % FILES);
	c = model_free(m);
	ck_assert_uint_le(c.wasted, 8 + 2 * (unsigned)_i);
}
END_TEST

START_TEST(test_random_order)
{
	struct model *m = model_new(1 << 30);
	unsigned order[FILES], waits = 0;

	srand((unsigned)_i);
	for (unsigned i = 0; i < FILES; i++)
		order[i] = i;
	for (unsigned i = FILES - 1; i; i--) {
		unsigned j = (unsigned)rand() % (i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	opendir_as(m, 7, DIR_INO(3));
	work(m, 0);
	for (unsigned i = 0; i < FILES; i++) {
		open_as(m, 7, 3, order[i]);
		work(m, 0);
	}
	waits = m->waits;
	model_free(m);
	ck_assert_uint_lt(waits, FILES / 2);
}
END_TEST

/* Memory bounds what is fetched and not used. */
START_TEST(test_bound)
{
	struct model *m = model_new(64 * 4096);
	struct plan_counters c;

	for (unsigned d = 0; d < DIRS; d++) {
		opendir_as(m, 7, DIR_INO(d));
		work(m, 0);
		for (unsigned i = 0; i < 20; i++) {
			open_as(m, 7, d, i * 11 % FILES);
			work(m, 0);
			plan_read_counters(m->plan, &c);
			/* What was asked for before the bound was reached comes on top. */
			ck_assert_uint_le((c.files - c.used - c.late - c.wasted) * PAGES,
					  64 + PLAN_GUESSES * PAGES);
		}
	}
	model_free(m);
}
END_TEST

/* Everything in memory: it falls asleep, and wakes by a look-up that had to wait. */
START_TEST(test_sleep)
{
	struct plan *p = plan_new(1 << 30, false);
	struct who who = { .pid = 7 };
	struct guesses out = { .n = 0 };
	struct folder *dead;

	for (unsigned d = 0; d < DIRS && !plan_asleep(p); d++) {
		out.n = 0;
		plan_opendir(p, &who, DIR_INO(d), DIR_INO(d), d, &out);
		for (unsigned i = 0; i < out.n; i++) {
			struct guesses more = { .n = 0 };

			plan_listed(p, out.guess[i].slot, out.guess[i].gen, list(d), true, d,
				    &more);
		}
	}
	ck_assert(plan_asleep(p));
	out.n = 0;
	plan_opendir(p, &who, DIR_INO(29), DIR_INO(29), 99, &out);
	ck_assert_uint_eq(out.n, 0);
	plan_lookup(p, &who, DIR_INO(29), DIR_INO(29), true, 100, &out);
	ck_assert(!plan_asleep(p));
	ck_assert_uint_eq(out.n, 1);
	plan_forget(p, UINT64_MAX);
	while ((dead = plan_dead(p)))
		while (dead) {
			struct folder *next = dead->next;

			let_go(dead);
			dead = next;
		}
	plan_free(p);
}
END_TEST

/* Files of which no listing is known. */
static void recall_some(struct model *m, uint64_t ino, unsigned n)
{
	struct who who = {.pid = 7};

	for (; n; n--, ino++) {
		struct recall_file file = {.ino = ino, .when = m->now};
		struct guesses out = {.n = 0};

		plan_recall(m->plan, &who, &file, m->now, &out);
		take(m, &out);
	}
}

START_TEST(test_recalled)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters c;

	recall_some(m, 100000, 200);
	m->now += 3000000000ull;
	recall_some(m, 200000, 30);
	for (unsigned i = 0; i < 200; i++) {
		recall_some(m, 100000 + i, 1);
		work(m, DEPTH);
	}
	c = model_free(m);
	ck_assert_uint_ge(c.used, 180);
	ck_assert_uint_le(c.wasted, 4);
}
END_TEST

#define DEEP 20u

/* Ten files, a subdirectory (but for the last), nine files more. */
static struct folder *list_deep(unsigned d)
{
	struct folder *f = folder_new(100 + d);
	char name[16];

	for (unsigned e = 0; e < 20; e++) {
		snprintf(name, sizeof(name), "%u", e);
		must(folder_add(f, name, e == 10 ? 101 + d : 1000 + d * 20 + e,
				e == 10 ? DT_DIR : DT_REG));
	}
	must(folder_sort(f));
	return f;
}

static void act_deep(struct model *m, const struct guesses *out)
{
	for (unsigned i = 0; i < out->n; i++) {
		const struct guess *g = &out->guess[i];
		struct guesses more = {.n = 0};

		if (g->kind == GUESS_LIST) {
			uint64_t ino = g->folder ? g->folder->entries[g->index].ino : g->node;

			plan_listed(m->plan, g->slot, g->gen,
				    ino < 100 + DEEP ? list_deep((unsigned)ino - 100) : NULL, false,
				    m->now, &more);
		} else if (g->kind == GUESS_CONTENT) {
			plan_fetched(m->plan, g, PAGES, false);
		}
		act_deep(m, &more);
		let_go(g->folder);
	}
	bury(m);
}

static void open_deep(struct model *m, unsigned d, unsigned from, unsigned to)
{
	for (unsigned e = from; e < to; e++) {
		struct guesses out = {.n = 0};

		m->now += 1000;
		plan_open(m->plan, &m->who, 1000 + d * 20 + e, 100, m->now, &out);
		act_deep(m, &out);
	}
}

/* As tar goes: files, a subdirectory when it is met, then the other files. */
START_TEST(test_files_behind_directories)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters c;

	for (unsigned d = 0; d < DEEP; d++) {
		struct guesses out = {.n = 0};

		plan_opendir(m->plan, &m->who, 100 + d, 100 + d, m->now += 1000, &out);
		act_deep(m, &out);
		open_deep(m, d, 0, 10);
	}
	for (unsigned d = DEEP; d--;)
		open_deep(m, d, 11, 20);
	plan_read_counters(m->plan, &c);
	ck_assert_uint_ge(c.used, DEEP * 17);
	ck_assert_uint_eq(c.late, 0);
	plan_forget(m->plan, UINT64_MAX);
	bury(m);
	plan_free(m->plan);
	free(m);
}
END_TEST

/* Far more directories than are kept: it goes on, within its bounds. */
START_TEST(test_many_directories)
{
	struct plan *p = plan_new(1 << 30, false);
	struct who who = {.pid = 7};
	struct plan_counters c;
	struct model m = {.plan = p};

	for (unsigned i = 0; i < PLAN_DIRS + 700; i++) {
		struct guesses out = {.n = 0};

		plan_opendir(p, &who, 100000 + i, 1, i * 1000, &out);
		for (unsigned k = 0; k < out.n; k++) {
			struct guess *g = &out.guess[k];
			struct folder *f = folder_new(100000 + i);
			struct guesses more = {.n = 0};

			for (unsigned e = 0; e < 300; e++)
				must(folder_add(f, "name", 1 + i * 300 + e, DT_REG));
			must(folder_sort(f));
			plan_listed(p, g->slot, g->gen, i % 7 ? f : NULL, false, i * 1000, &more);
			if (i % 7 == 0)
				let_go(f);
			must(more.n == 0);
		}
		bury(&m);
	}
	plan_read_counters(p, &c);
	ck_assert_uint_eq(c.listed, PLAN_DIRS + 700);
	plan_forget(p, UINT64_MAX);
	bury(&m);
	plan_free(p);
}
END_TEST

/* Anything at all: the bounds hold and every guess is accounted (model_free). */
START_TEST(test_any_history)
{
	struct model *m = model_new((uint64_t)(1 + _i % 5) << 20);

	srand((unsigned)_i);
	for (unsigned i = 0; i < 4000; i++) {
		struct guesses out = { .n = 0 };
		struct who who = { .pid = 7 + (unsigned)rand() % 20 };
		unsigned d = (unsigned)rand() % DIRS, f = (unsigned)rand() % FILES;

		switch (rand() % 8) {
		case 0:
			opendir_as(m, who.pid, rand() % 4 ? DIR_INO(d) : 1);
			break;
		case 1:
			plan_lookup(m->plan, &who, DIR_INO(d), DIR_INO(d), rand() % 2, m->now,
				    &out);
			take(m, &out);
			break;
		case 2:
			work(m, (unsigned)rand() % 100);
			break;
		case 3:
			plan_sampled(m->plan, who.pid, (unsigned)rand() % 9, 10);
			recall_some(m, 100000 + f, 8);
			break;
		case 4:
			m->now += (unsigned)rand() % 8 ? 1000 : 2000000000;
			break;
		case 5:
			if (rand() % 20 == 0)
				plan_forget(m->plan, m->now);
			bury(m);
			break;
		default:
			for (unsigned k = 0; k < 1 + (unsigned)rand() % 9; k++)
				open_as(m, who.pid, d, (f + k) * 11 % FILES);
		}
	}
	model_free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plan");
	TCase *tc = tcase_create("plan");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_in_order, 0, ORDERS);
	tcase_add_test(tc, test_listed_by_another);
	tcase_add_test(tc, test_several);
	tcase_add_test(tc, test_suffix);
	tcase_add_loop_test(tc, test_sparse, 0, ORDERS);
	tcase_add_loop_test(tc, test_stops_early, 1, 30);
	tcase_add_loop_test(tc, test_random_order, 0, 5);
	tcase_add_test(tc, test_bound);
	tcase_add_test(tc, test_sleep);
	tcase_add_test(tc, test_recalled);
	tcase_add_test(tc, test_many_directories);
	tcase_add_test(tc, test_files_behind_directories);
	tcase_add_loop_test(tc, test_any_history, 0, 20);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
