/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What holds whatever programs do: bounds, and an account of every guess. */
#include "plan_model.h"
#include "suite.h"

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

/* Programs wait for the disk: that is what guesses are for, unless they come to nothing. */
START_TEST(test_pressed)
{
	struct model *m = model_new(1 << 30);
	struct plan_counters before, after;
	bool wasteful = _i & 1, pressed = _i & 2;

	plan_weather(m->plan, 1 << 30, pressed);
	opendir_as(m, 7, 1);
	for (unsigned d = 0; d < 3; d++)
		walk_dir(m, 7, d, ORDER_LISTING, 1);
	work(m, 0);
	if (wasteful) /* all that was fetched ahead is for nothing, and much more than was used */
		for (unsigned round = 0; round < 40; round++) {
			opendir_as(m, 100 + round, DIR_INO(5 + round % 20));
			for (unsigned i = 0; i < 5; i++)
				open_as(m, 100 + round, 5 + round % 20, i * 11 % FILES);
			work(m, 0);
			plan_forget(m->plan, UINT64_MAX);
			bury(m);
			if (round == 20) /* what was right before counts no more */
				plan_weather(m->plan, 1 << 30, pressed);
		}
	plan_weather(m->plan, 1 << 30, pressed);
	plan_read_counters(m->plan, &before);
	opendir_as(m, 200, DIR_INO(29));
	work(m, 0);
	for (unsigned i = 0; i < 20; i++)
		open_as(m, 200, 29, i * 11 % FILES);
	plan_read_counters(m->plan, &after);
	ck_assert_int_eq(after.files == before.files, wasteful && pressed);
	model_free(m);
}
END_TEST

/* For a disk with heads. */
START_TEST(test_by_inode)
{
	struct model *m = model_new(1 << 30);
	struct guesses *out = calloc(1, sizeof(*out));
	struct folder *f = list(0);
	uint64_t last = 0;

	for (unsigned i = 0; i < FILES; i++)
		out->guess[out->n++] = (struct guess){ .kind = i % 10 ? GUESS_CONTENT : GUESS_LIST,
						       .folder = f,
						       .index = i };
	guesses_by_inode(out);
	for (unsigned i = 0; i < out->n; i++) {
		const struct guess *g = &out->guess[i];

		ck_assert_int_eq(g->kind == GUESS_LIST, i < FILES / 10);
		if (g->kind == GUESS_CONTENT) {
			ck_assert_uint_gt(f->entries[g->index].ino, last);
			last = f->entries[g->index].ino;
		}
	}
	let_go(f);
	free(out);
	model_free(m);
}
END_TEST

/* Everything in memory: it falls asleep, and wakes by a look-up that had to wait. */
START_TEST(test_sleep)
{
	struct plan *p = plan_new(1 << 30, false);
	struct who who = { .pid = 7 };
	struct guesses out = { .n = 0 };

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
	plan_lookup(p, &who, &(struct looked_up){ DIR_INO(29), DIR_INO(29), 5, false }, 100, &out);
	ck_assert(!plan_asleep(p));
	ck_assert_uint_eq(out.n, 1);
	plan_forget(p, UINT64_MAX);
	plan_bury(p);
	plan_free(p);
}
END_TEST

/* Far more directories than are kept: it goes on, within its bounds. */
START_TEST(test_many_directories)
{
	struct plan *p = plan_new(1 << 30, false);
	struct who who = { .pid = 7 };
	struct plan_counters c;
	struct model m = { .plan = p };

	for (unsigned i = 0; i < PLAN_DIRS + 700; i++) {
		struct guesses out = { .n = 0 };

		plan_opendir(p, &who, 100000 + i, 1, i * 1000, &out);
		for (unsigned k = 0; k < out.n; k++) {
			struct guess *g = &out.guess[k];
			struct folder *f = folder_new(100000 + i);
			struct guesses more = { .n = 0 };

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

static struct folder *list_large(unsigned n)
{
	struct folder *f = folder_new(2);
	char name[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%06u", i);
		must(folder_add(f, name, 1000 + i, DT_REG) == (i < FOLDER_MAX));
	}
	must(folder_sort(f));
	return f;
}

/* A look-up that waits, and at once what it leads to. */
static void look_up_in_large(struct plan *p, uint64_t ino, uint64_t now)
{
	struct looked_up l = { .parent_ino = 2, .parent_node = 2, .ino = ino };
	struct guesses out = { .n = 0 }, more = { .n = 0 };
	struct who who = { .pid = 7 };

	plan_lookup(p, &who, &l, now, &out);
	for (unsigned k = 0; k < out.n; k++) {
		struct guess *g = &out.guess[k];

		if (g->kind == GUESS_LIST)
			plan_listed(p, g->slot, g->gen, list_large(FOLDER_MAX + 5000), false, now,
				    &more);
		must(more.n == 0);
		let_go(g->folder);
	}
	plan_bury(p);
}

/*
 * A program asks for what lies beyond the part of a directory that is kept: it is listed once, and
 * each inode asked for once, of as many as the memory holds.
 */
START_TEST(test_large_directory)
{
	static const unsigned pages[] = { 1 << 18, 256 }, inodes[] = { FOLDER_MAX, 1024 };
	struct plan *p = plan_new(pages[_i] * 4096ull, false);
	struct plan_counters c;

	for (unsigned i = 0; i < 50; i++)
		look_up_in_large(p, 1000 + FOLDER_MAX + i, i * 100000000ull);
	plan_read_counters(p, &c);
	ck_assert_uint_eq(c.listed, 1);
	ck_assert_uint_eq(c.inodes, inodes[_i]);
	plan_forget(p, UINT64_MAX);
	plan_bury(p);
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
			plan_lookup(m->plan, &who,
				    &(struct looked_up){ DIR_INO(d), DIR_INO(d), FILE_INO(d, f),
							 rand() % 2 },
				    m->now, &out);
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
	TCase *tc = tcase_create("plan_bounds");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_bound);
	tcase_add_test(tc, test_sleep);
	tcase_add_loop_test(tc, test_pressed, 0, 4);
	tcase_add_test(tc, test_by_inode);
	tcase_add_test(tc, test_many_directories);
	tcase_add_loop_test(tc, test_large_directory, 0, 2);
	tcase_add_loop_test(tc, test_any_history, 0, 20);
	return run_case("plan_bounds", tc);
}
