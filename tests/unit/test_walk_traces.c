/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the plan makes of real programs: traces/NAME.trace was recorded by traces/record, and is
 * gone through against a model of the disk. The bounds are what was measured, with slack; what
 * falls below one has got worse at that program. TRACES_SHOW=1 prints the figures.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_bury.h"
#include "prefetch/plan.h"
#include "suite.h"

#define ENTRIES 2000u
#define QUEUE	8192u
#define DEPTH	8u	  /* guesses that the disk gets done while a program does one thing */
#define STEP_NS 100000ull /* what one thing takes */
#define INO(n)	((n) ? all[n].ino : 1)

struct thing {
	unsigned parent, size;
	uint64_t ino;
	char type, name[64];
	bool inode, content, opened, listed;
};

struct replay {
	struct plan *plan;
	struct thing all[ENTRIES];
	unsigned count;
	struct guess queue[QUEUE];
	unsigned head, tail;
	uint64_t now;
	struct who who;
	unsigned opens, ready;	 /* files opened for the first time; their content was there */
	unsigned lookups, known; /* and files looked up; their inode was there */
};

static struct folder *list(struct replay *r, unsigned dir)
{
	struct thing *all = r->all;
	struct folder *f = folder_new(INO(dir));

	for (unsigned i = 1; i <= r->count; i++)
		if (all[i].parent == dir)
			ck_assert(folder_add(f, all[i].name, all[i].ino,
					     all[i].type == 'd'	  ? DT_DIR
					     : all[i].type == 'f' ? DT_REG
								  : DT_LNK));
	ck_assert(folder_sort(f));
	f->node = dir + 1;
	return f;
}

static unsigned by_ino(const struct replay *r, uint64_t ino)
{
	for (unsigned i = 1; i <= r->count; i++)
		if (r->all[i].ino == ino)
			return i;
	return 0;
}

static void take(struct replay *r, const struct guesses *out)
{
	for (unsigned i = 0; i < out->n; i++)
		r->queue[r->tail++ % QUEUE] = out->guess[i];
	ck_assert_uint_le(r->tail - r->head, QUEUE);
	plan_bury(r->plan);
}

static void fetch(struct replay *r, const struct guess *g)
{
	struct thing *file = &r->all[by_ino(r, g->folder->entries[g->index].ino)];
	uint64_t bytes = file->size < g->bytes ? file->size : g->bytes;
	bool wanted = plan_wants(r->plan, g);

	ck_assert_int_eq(file->type, 'f');
	file->inode = file->content = true;
	plan_fetched(r->plan, g, wanted ? (uint32_t)((bytes + 4095) / 4096) : 0, false);
}

static void act(struct replay *r, const struct guess *g)
{
	struct guesses out = { .n = 0 };
	const struct folder *f = g->folder;

	if (g->kind == GUESS_LIST) {
		unsigned dir = f ? by_ino(r, f->entries[g->index].ino) : (unsigned)g->node;

		r->all[dir].listed = true;
		plan_listed(r->plan, g->slot, g->gen, list(r, dir), false, r->now, &out);
	} else if (g->kind == GUESS_META) {
		for (uint32_t i = g->index; i < g->index + g->count; i++)
			r->all[by_ino(r, f->entries[folder_at(f, ORDER_INODE, i)].ino)].inode =
				true;
		plan_inodes(r->plan, g->count, 0);
	} else {
		fetch(r, g);
	}
	take(r, &out);
	let_go(g->folder);
}

static void work(struct replay *r, unsigned most)
{
	for (unsigned i = 0; r->tail != r->head && i < most; i++) {
		struct guess g = r->queue[r->head++ % QUEUE];

		act(r, &g);
	}
}

/* The first look-up of a name waits for the disk unless its inode has come before; what lies above
 * it is looked up first. */
static void look_up(struct replay *r, unsigned n)
{
	struct guesses out = { .n = 0 };
	struct thing *all = r->all;

	if (!n || all[n].opened)
		return;
	all[n].opened = true;
	look_up(r, all[n].parent);
	r->lookups += all[n].type != 'd';
	r->known += all[n].type != 'd' && all[n].inode;
	if (!all[n].inode && !all[n].listed)
		plan_lookup(r->plan, &r->who,
			    &(struct looked_up){
				    .parent_ino = INO(all[n].parent),
				    .parent_node = all[n].parent,
				    .ino = all[n].ino,
				    .directory = all[n].type == 'd',
			    },
			    r->now, &out);
	all[n].inode = true;
	take(r, &out);
	work(r, DEPTH);
}

static void event(struct replay *r, char what, unsigned n)
{
	struct guesses out = { .n = 0 };
	struct thing *all = r->all;

	r->now += STEP_NS;
	if (what == 'p') {
		r->who.pid = n;
		return;
	}
	ck_assert_uint_le(n, r->count);
	if (what == 'l')
		plan_opendir(r->plan, &r->who, INO(n), n, r->now, &out);
	else
		look_up(r, n);
	if (what == 'o' || what == 'h') {
		bool sample;

		r->opens++;
		r->ready += all[n].content;
		sample = plan_open(r->plan, &r->who, all[n].ino, all[n].size, r->now, &out);
		if (sample)
			plan_sampled(r->plan, r->who.pid, what == 'h' ? 4096 : all[n].size,
				     all[n].size);
		all[n].content = true;
	}
	take(r, &out);
	work(r, DEPTH);
}

static struct replay *load_and_run(const char *name)
{
	struct replay *r = calloc(1, sizeof(*r));
	char path[512], line[256], what, type;
	unsigned n, parent, ino, size;
	bool events = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.trace", TRACES, name);
	f = fopen(path, "r");
	ck_assert_msg(f, "%s is not there", path);
	r->plan = plan_new(64 << 20, false);
	r->who = (struct who){ .pid = 1 };
	while (fgets(line, sizeof(line), f)) {
		struct thing *t = &r->all[r->count + 1];

		if (line[0] == '#')
			continue;
		if (line[0] == '=') {
			events = true;
		} else if (events) {
			ck_assert_int_eq(sscanf(line, "%c %u", &what, &n), 2);
			event(r, what, n);
		} else {
			ck_assert_int_eq(sscanf(line, "%u %c %u %u %63[^\n]", &parent, &type, &ino,
						&size, t->name),
					 5);
			t->parent = parent;
			t->type = type;
			t->ino = ino;
			t->size = size;
			ck_assert_uint_lt(++r->count, ENTRIES - 1);
		}
	}
	fclose(f);
	return r;
}

static unsigned percent(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned)(part * 100 / whole) : 0;
}

/* What must be there in time, of what is opened and of what is looked up, in percent; and how many
 * files may be fetched for nothing. */
static const struct {
	const char *name;
	unsigned ready, known, wasted;
} bounds[] = {
	{ "tar", 85, 85, 20 },	   { "grep", 85, 85, 20 },	  { "cp", 85, 85, 20 },
	{ "rsync", 85, 80, 20 },   { "rsync0", 0, 80, 5 },	  { "findname", 0, 0, 0 },
	{ "du", 0, 80, 5 },	   { "lslR", 0, 80, 5 },	  { "gitstatus", 40, 70, 20 },
	{ "gitgrep", 65, 70, 40 }, { "gitcheckout", 40, 70, 20 }, { "build", 75, 70, 20 },
	{ "python", 70, 75, 130 }, { "random", 70, 75, 30 },	  { "every", 0, 0, 30 },
	{ "first", 85, 85, 20 },   { "two", 80, 80, 25 },	  { "breadth", 85, 85, 20 },
};

START_TEST(test_trace)
{
	struct replay *r = load_and_run(bounds[_i].name);
	struct plan_counters c;
	unsigned ready, known;

	work(r, QUEUE);
	plan_forget(r->plan, UINT64_MAX);
	plan_bury(r->plan);
	plan_read_counters(r->plan, &c);
	ck_assert_uint_eq(c.files, c.used + c.late + c.wasted);
	ready = percent(r->ready, r->opens);
	known = percent(r->known, r->lookups);
	if (getenv("TRACES_SHOW"))
		printf("%-12s opens %4u ready %3u %%  look-ups %4u known %3u %%  fetched %4u "
		       "wasted "
		       "%4u  listed %3u inodes %4u\n",
		       bounds[_i].name, r->opens, ready, r->lookups, known, (unsigned)c.files,
		       (unsigned)c.wasted, (unsigned)c.listed, (unsigned)c.inodes);
	ck_assert_uint_ge(ready, bounds[_i].ready);
	ck_assert_uint_ge(known, bounds[_i].known);
	ck_assert_uint_le(c.wasted, bounds[_i].wasted);
	plan_free(r->plan);
	free(r);
}
END_TEST

int main(void)
{
	TCase *traces = tcase_create("traces");

	tcase_add_loop_test(traces, test_trace, 0, sizeof(bounds) / sizeof(bounds[0]));
	return run_case("walk_traces", traces);
}
