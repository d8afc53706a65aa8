/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How programs go through trees, without a disk. */
#include "plan_model.h"
#include "suite.h"

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

static void look_up_as(struct model *m, uint32_t pid, uint64_t parent, uint64_t ino, bool dir)
{
	struct guesses out = { .n = 0 };
	struct who who = { .pid = pid };

	m->now += 1000;
	plan_lookup(m->plan, &who, &(struct looked_up){ parent, parent, ino, dir }, m->now, &out);
	take(m, &out);
	work(m, DEPTH);
}

/* One program that takes turns in up to four parts of the tree, and lists none of them. */
START_TEST(test_takes_turns)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters c;
	unsigned waits, turns = (unsigned)_i;

	look_up_as(m, 7, 1, DIR_INO(29), true);
	for (unsigned d = 0; d < turns; d++) {
		look_up_as(m, 7, 1, DIR_INO(d * 7), true);
		look_up_as(m, 7, DIR_INO(d * 7), FILE_INO(d * 7, 0), false);
	}
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < FILES; i++)
			for (unsigned d = 0; d < turns; d++)
				open_as(m, 7, d * 7 + k, i * 11 % FILES);
	waits = m->waits;
	c = model_free(m);
	ck_assert_uint_lt(waits, 2 * turns * FILES / 5);
	ck_assert_uint_le(c.wasted, turns * PLAN_AHEAD); /* it stops without warning */
}
END_TEST

/* The caches are dropped under a daemon that has seen it all before. */
START_TEST(test_dropped)
{
	struct model *m = model_new(1 << 30);
	unsigned waits;

	for (unsigned round = 0; round < 3; round++) {
		m->waits = 0;
		memset(m->there, 0, sizeof(m->there));
		memset(m->inode, 0, sizeof(m->inode));
		opendir_as(m, 7, 1);
		for (unsigned d = 0; d < 6; d++)
			for (unsigned i = 0; i < FILES; i++) {
				unsigned f = i * 11 % FILES;

				if (!m->inode[d * FILES + f])
					look_up_as(m, 7, DIR_INO(d), FILE_INO(d, f), false);
				open_as(m, 7, d, f);
			}
		waits = m->waits;
		ck_assert_uint_lt(waits, 6 * FILES / 4);
		m->now += 1500000000ull; /* not so long that it would be forgotten */
	}
	work(m, 0);
	plan_forget(m->plan, UINT64_MAX);
	bury(m);
	plan_free(m->plan);
	free(m);
}
END_TEST

/* An import: sources lie beside the folder of what is opened, and are never opened. */
START_TEST(test_kinds_never_opened)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters c;

	opendir_as(m, 7, 1);
	for (unsigned d = 0; d < DIRS; d++) {
		opendir_as(m, 7, DIR_INO(d));
		for (unsigned i = 0; i < FILES; i++)
			if (i * 11 % FILES % 12 == 0) /* all .c, a few of them */
				open_as(m, 7, d, i * 11 % FILES);
	}
	c = model_free(m);
	ck_assert_uint_le(c.wasted, c.used + c.late + 32);
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

/* What is expected from an earlier run is not fetched again for the walk that it is, nor the reverse. */
START_TEST(test_recalled_and_listed)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters c;

	recall_some(m, FILE_INO(0, 0), FILES);
	m->now += 10000000000;
	for (unsigned f = 0; f < FILES; f++) {
		if (f == 10)
			opendir_as(m, 7, DIR_INO(0));
		open_as(m, 7, 0, f);
		recall_some(m, FILE_INO(0, f), 1);
		work(m, DEPTH);
	}
	ck_assert_uint_le(m->waits, 5);
	c = model_free(m);
	ck_assert_uint_le(c.files, FILES);
	ck_assert_uint_le(c.wasted, 2);
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
		struct guesses more = { .n = 0 };

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
		struct guesses out = { .n = 0 };

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
		struct guesses out = { .n = 0 };

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

int main(void)
{
	TCase *tc = tcase_create("plan");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_in_order, 0, ORDERS);
	tcase_add_test(tc, test_listed_by_another);
	tcase_add_test(tc, test_several);
	tcase_add_loop_test(tc, test_takes_turns, 1, 5);
	tcase_add_test(tc, test_dropped);
	tcase_add_test(tc, test_kinds_never_opened);
	tcase_add_test(tc, test_suffix);
	tcase_add_loop_test(tc, test_sparse, 0, ORDERS);
	tcase_add_loop_test(tc, test_stops_early, 1, 30);
	tcase_add_loop_test(tc, test_random_order, 0, 5);
	tcase_add_test(tc, test_recalled);
	tcase_add_test(tc, test_recalled_and_listed);
	tcase_add_test(tc, test_files_behind_directories);
	return run_case("plan", tc);
}
