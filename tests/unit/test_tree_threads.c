/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects are reached while others, here or behind our back, rename what they are in. */
#include "node/tree.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base_dir.h"
#include "suite.h"

#define DIRS   6
#define FILES  4
#define MOVERS 2
#define ROUNDS 4000

#ifdef __SANITIZE_ADDRESS__
#define ASAN 1
#else
#define ASAN 0
#endif

static struct tree tree;
static struct node *root;
static struct node *file[FILES];
static ino_t inode[FILES];
static pthread_mutex_t name_lock[FILES] = { [0 ... FILES - 1] = PTHREAD_MUTEX_INITIALIZER };
static unsigned file_dir[FILES]; /* guarded by name_lock */
static _Atomic bool done;
static _Atomic int wrong_file, wrong_error, reached, stale;

static void make_base(void)
{
	new_base(0700);
}

/* As the kernel walks dir/inner, it holds both meanwhile. The caller owes a forget of the result. */
static struct node *walk_to_dir(unsigned number)
{
	char name[16];
	struct child outer, inner;

	snprintf(name, sizeof(name), "d%u", number);
	if (tree_lookup(&tree, root, tree.source.root, name, true, &outer) != 0)
		return NULL;
	if (tree_lookup(&tree, outer.node, outer.fd, "inner", true, &inner) == 0)
		close(inner.fd);
	else
		inner.node = NULL;
	close(outer.fd);
	node_forget(tree.nodes, outer.node, 1);
	return inner.node;
}

/* A rename as op_rename() does it, with everything forgotten that the kernel may forget. */
static void move_file(unsigned number, unsigned to)
{
	char from_path[64], to_path[64], name[16];
	struct node *dir = walk_to_dir(to);

	pthread_mutex_lock(&name_lock[number]);
	snprintf(name, sizeof(name), "f%u", number);
	snprintf(from_path, sizeof(from_path), "d%u/inner/%s", file_dir[number], name);
	snprintf(to_path, sizeof(to_path), "d%u/inner/%s", to, name);
	if (dir && rename(from_path, to_path) == 0) {
		file_dir[number] = to;
		node_moved(tree.nodes, file[number], dir, name);
	}
	pthread_mutex_unlock(&name_lock[number]);
	if (dir)
		node_forget(tree.nodes, dir, 1);
}

static void *mover(void *argument)
{
	unsigned state = *(unsigned *)argument;

	for (int i = 0; i < ROUNDS; i++) {
		state = state * 1664525 + 1013904223;
		move_file((state >> 8) % FILES, (state >> 16) % DIRS);
		if ((state >> 24) % 4 == 0)
			fdcache_sweep(tree.fdcache);
	}
	return NULL;
}

static void *reacher(void *argument)
{
	unsigned state = *(unsigned *)argument;

	while (!atomic_load(&done)) {
		unsigned i = (state = state * 1664525 + 1013904223) >> 16 & (FILES - 1);
		struct fd_lease lease;
		struct stat st;
		int err = tree_reach(&tree, file[i], true, &lease);

		if (err) {
			atomic_fetch_add(err == -ESTALE ? &stale : &wrong_error, 1);
			continue;
		}
		atomic_fetch_add(&reached, 1);
		if (fstat(lease.fd, &st) < 0 || st.st_ino != inode[i])
			atomic_fetch_add(&wrong_file, 1);
		tree_return(&tree, &lease);
		fdcache_drop(tree.fdcache, file[i]->id);
	}
	return NULL;
}

static void begin(const char *test, bool by_handle)
{
	char err[256] = "", path[64];

	ck_assert_int_eq(chdir(base), 0);
	snprintf(path, sizeof(path), "%s%d", test, by_handle);
	ck_assert(mkdir(path, 0755) == 0 && chdir(path) == 0);
	kernel_probe(&tree.kernel);
	ck_assert_msg(source_open(&tree.source, &tree.kernel, ".", err, sizeof(err)) == 0, "%s",
		      err);
	tree.source.by_handle &= by_handle;
	ck_assert_int_eq(tree_init(&tree, 1024), 0);
	root = node_get(tree.nodes, NODE_ROOT_ID);
}

static void populate(void)
{
	char path[64];

	for (unsigned i = 0; i < DIRS; i++) {
		snprintf(path, sizeof(path), "d%u", i);
		ck_assert_int_eq(mkdir(path, 0755), 0);
		snprintf(path, sizeof(path), "d%u/inner", i);
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	for (unsigned i = 0; i < FILES; i++) {
		struct node *dir = walk_to_dir(0);
		struct child child;
		int fd;

		snprintf(path, sizeof(path), "d0/inner/f%u", i);
		close(open(path, O_CREAT | O_WRONLY, 0600));
		fd = open("d0/inner", O_PATH);
		ck_assert_int_eq(tree_lookup(&tree, dir, fd, path + 9, true, &child), 0);
		file[i] = child.node;
		inode[i] = (ino_t)child.stx.stx_ino;
		close(child.fd);
		close(fd);
		node_forget(tree.nodes, dir, 1);
	}
}

START_TEST(test_reach_while_moving)
{
	pthread_t moving[MOVERS], reaching[2];
	unsigned seed[] = { 1, 7919, 104729, 1299709 };

	begin("moving", _i);
	populate();
	for (int i = 0; i < MOVERS; i++)
		ck_assert_int_eq(pthread_create(&moving[i], NULL, mover, &seed[i]), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&reaching[i], NULL, reacher, &seed[2 + i]), 0);
	for (int i = 0; i < MOVERS; i++)
		pthread_join(moving[i], NULL);
	atomic_store(&done, true);
	for (int i = 0; i < 2; i++)
		pthread_join(reaching[i], NULL);
	printf("%s: reached %d times, stale %d, other errors %d, wrong file %d\n",
	       _i ? "by handle" : "by number", reached, stale, wrong_error, wrong_file);
	ck_assert_int_eq(wrong_file, 0);
	ck_assert_int_eq(wrong_error, 0);
	for (int i = 0; i < FILES; i++)
		node_forget(tree.nodes, file[i], 1);
	ck_assert_uint_eq(node_count(tree.nodes), 1);
	tree_deinit(&tree);
	source_deinit(&tree.source);
}
END_TEST

/* a/b has become b/a behind our back, and was looked up from below. */
START_TEST(test_turned_around)
{
	struct rlimit limit = { 256ul << 20, 256ul << 20 };
	struct child a, b, again;
	struct fd_lease lease;
	int err;

	begin("turned", _i);
	if (!ASAN) /* whose own memory is beyond any limit */
		ck_assert_int_eq(setrlimit(RLIMIT_DATA, &limit), 0);
	ck_assert_int_eq(mkdir("a", 0755), 0);
	ck_assert_int_eq(mkdir("a/b", 0755), 0);
	ck_assert_int_eq(tree_lookup(&tree, root, tree.source.root, "a", true, &a), 0);
	ck_assert_int_eq(tree_lookup(&tree, a.node, a.fd, "b", true, &b), 0);
	ck_assert_int_eq(rename("a/b", "b"), 0);
	ck_assert_int_eq(rename("a", "b/a"), 0);
	ck_assert_int_eq(tree_lookup(&tree, b.node, b.fd, "a", true, &again), 0);
	ck_assert_ptr_eq(again.node, a.node);
	/* Nothing is cached: the way has to be found. It must not go on for ever. */
	err = tree_reach(&tree, b.node, true, &lease);
	ck_assert_msg(err == 0 || err == -ESTALE || err == -ELOOP, "%d", err);
	ck_assert_int_eq(err == 0, tree.source.by_handle);
	if (!err)
		tree_return(&tree, &lease);
	close(a.fd);
	close(b.fd);
	close(again.fd);
	tree_deinit(&tree);
	source_deinit(&tree.source);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tree_threads");

	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, make_base, remove_base);
	tcase_add_loop_test(tc, test_reach_while_moving, 0, 2);
	tcase_add_loop_test(tc, test_turned_around, 0, 2);
	return run_case("tree_threads", tc);
}
