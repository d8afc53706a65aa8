/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trees walked ahead by several threads for several programs, on a real directory that changes
 * meanwhile. To be run under TSan as well: CC=clang meson setup -Db_sanitize=thread.
 */
#include "prefetch/walker.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base_dir.h"
#include "suite.h"

#define DIRS	 8
#define FILES	 30
#define PROGRAMS 4
#define ROUNDS	 6

static struct tree tree;
static struct walker *walker;

static void make_base(void)
{
	new_base(0700);
}

static void make_file(unsigned d, unsigned f)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/d%u/f%02u.c", base, d, f);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd >= 0) {
		if (write(fd, path, sizeof(path)) < 0)
			perror(path);
		close(fd);
	}
}

static void populate(void)
{
	char path[128];

	for (unsigned d = 0; d < DIRS; d++) {
		snprintf(path, sizeof(path), "%s/d%u", base, d);
		mkdir(path, 0755);
		for (unsigned f = 0; f < FILES; f++)
			make_file(d, f);
		snprintf(path, sizeof(path), "%s/d%u/fifo.c", base, d);
		mkfifo(path, 0644);
	}
}

static void nothing(void *argument)
{
	(void)argument;
}

static void start(unsigned threads)
{
	struct walker_config config = {
		.tree = &tree,
		.bytes = 1 << 20,
		.threads = threads,
		.always = true,
		.prepare = nothing,
	};
	char err[256];

	kernel_probe(&tree.kernel);
	ck_assert_msg(source_open(&tree.source, &tree.kernel, base, err, sizeof(err)) == 0, "%s",
		      err);
	ck_assert_int_eq(source_start(&tree.source), 0);
	tree.source.by_handle &= threads % 2; /* both ways of reaching things */
	ck_assert_int_eq(tree_init(&tree, 1024), 0);
	walker = walker_new(&config);
	ck_assert_ptr_nonnull(walker);
}

static void stop(void)
{
	walker = walker_free(walker);
	ck_assert_uint_eq(node_count(tree.nodes), 1);
	tree_deinit(&tree);
	source_deinit(&tree.source);
}

/* As fs/ does it: looked up, told, forgotten. */
static void visit_file(const struct who *who, const struct child *dir, struct stat *dir_st,
		       const char *name)
{
	struct child file;

	if (tree_lookup(&tree, dir->node, dir->fd, name, true, &file) != 0)
		return;
	if (who->pid % 2)
		walker_lookup(walker, who, dir->node,
			      &(struct looked_up){ dir_st->st_ino, dir->node->id, file.stx.stx_ino,
						   false });
	if (walker_open(walker, who, file.node, file.stx.stx_ino, file.stx.stx_size))
		walker_sampled(walker, who->pid, file.stx.stx_size, file.stx.stx_size);
	node_forget(tree.nodes, file.node, 1);
	close(file.fd);
}

static void *program(void *argument)
{
	struct who who = { .pid = *(unsigned *)argument };
	struct node *root = node_get(tree.nodes, NODE_ROOT_ID);
	struct stat st;

	for (unsigned round = 0; round < ROUNDS; round++) {
		fstat(tree.source.root, &st);
		walker_opendir(walker, &who, st.st_ino, root);
		for (unsigned d = 0; d < DIRS; d++) {
			struct child dir;
			char name[16];

			snprintf(name, sizeof(name), "d%u", (d + who.pid * round) % DIRS);
			if (tree_lookup(&tree, root, tree.source.root, name, true, &dir) != 0)
				continue;
			fstat(dir.fd, &st);
			walker_opendir(walker, &who, st.st_ino, dir.node);
			for (unsigned f = 0; f < FILES; f++) {
				snprintf(name, sizeof(name), "f%02u.c", f);
				visit_file(&who, &dir, &st, name);
			}
			node_forget(tree.nodes, dir.node, 1);
			close(dir.fd);
		}
		walker_tick(walker);
	}
	return NULL;
}

static void *changer(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < 300; i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/d%u/f%02u.c", base, i % DIRS, i % FILES);
		unlink(path);
		if (i % 3)
			make_file(i % DIRS, i % FILES);
	}
	return NULL;
}

START_TEST(test_programs)
{
	unsigned pid[] = { 1, 2, 3, 4 };
	pthread_t thread[PROGRAMS + 1];
	struct plan_counters c;

	populate();
	start(4 + (unsigned)_i);
	for (unsigned i = 0; i < PROGRAMS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, program, &pid[i]), 0);
	ck_assert_int_eq(pthread_create(&thread[PROGRAMS], NULL, changer, NULL), 0);
	for (unsigned i = 0; i < PROGRAMS + 1; i++)
		pthread_join(thread[i], NULL);
	/* The walker's threads may not have had a turn: again, then, until the test's time is over. */
	while (walker_read_counters(walker, &c), !c.listed || !c.files)
		program(&pid[0]);
	stop();
}
END_TEST

/* With everything still queued. */
START_TEST(test_stopped_at_once)
{
	struct who who = { .pid = 1 };
	struct stat st;

	populate();
	start(1 + (unsigned)_i);
	fstat(tree.source.root, &st);
	for (unsigned i = 0; i < 20; i++)
		walker_lookup(walker, &who, node_get(tree.nodes, NODE_ROOT_ID),
			      &(struct looked_up){ st.st_ino, NODE_ROOT_ID, i, i % 3 == 0 });
	stop();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("walker");

	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, make_base, remove_base);
	tcase_add_loop_test(tc, test_programs, 0, 2);
	tcase_add_loop_test(tc, test_stopped_at_once, 0, 2);
	return run_case("walker", tc);
}
