/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/tree.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base_dir.h"
#include "suite.h"

/* Each test is run with handles and without; both on the real thing, below /tmp. */
enum { BY_HANDLE, BY_NUMBER, WAYS };

static struct tree tree;
static struct node *root;

static void make_base(void)
{
	new_base(0700);
}

/* A tree over a new directory, which becomes the current one. False: no handles to be had. */
static bool begin(int way, const char *test)
{
	char name[64], err[256] = "";

	snprintf(name, sizeof(name), "%s%d", test, way);
	ck_assert_int_eq(chdir(base), 0);
	ck_assert_int_eq(mkdir(name, 0755), 0);
	ck_assert_int_eq(chdir(name), 0);
	kernel_probe(&tree.kernel);
	ck_assert_msg(source_open(&tree.source, &tree.kernel, ".", err, sizeof(err)) == 0, "%s",
		      err);
	ck_assert_int_eq(source_start(&tree.source), 0);
	ck_assert_int_eq(tree_init(&tree, 1024), 0);
	root = node_get(tree.nodes, NODE_ROOT_ID);
	if (way == BY_HANDLE && !tree.source.by_handle) {
		printf("handles can't be opened here: not tested\n");
		return false;
	}
	tree.source.by_handle = way == BY_HANDLE;
	return true;
}

static void end(void)
{
	tree_deinit(&tree);
	source_deinit(&tree.source);
}

static void create(const char *name)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

/* Looks up, waiting where it must; the descriptor is closed unless it is to be kept. */
static int find(struct node *parent, const char *name, struct child *child)
{
	struct fd_lease lease;
	int err = tree_reach(&tree, parent, true, &lease);

	if (err)
		return err;
	err = tree_lookup(&tree, parent, lease.fd, name, true, child);
	tree_return(&tree, &lease);
	if (!err)
		close(child->fd);
	return err;
}

static struct node *found(struct node *parent, const char *name)
{
	struct child child;

	ck_assert_int_eq(find(parent, name, &child), 0);
	return child.node;
}

/* The node leads to what is at path now. */
static void assert_leads_to(struct node *node, const char *path)
{
	struct fd_lease lease;
	struct stat a, b;

	ck_assert_int_eq(tree_reach(&tree, node, true, &lease), 0);
	ck_assert_int_eq(fstat(lease.fd, &a), 0);
	ck_assert_int_eq(lstat(path, &b), 0);
	ck_assert_uint_eq(a.st_ino, b.st_ino);
	ck_assert_uint_eq(a.st_mode, b.st_mode);
	tree_return(&tree, &lease);
	ck_assert_int_eq(lease.fd, -1);
}

static int reach_result(struct node *node, bool wait)
{
	struct fd_lease lease;
	int err = tree_reach(&tree, node, wait, &lease);

	if (!err)
		tree_return(&tree, &lease);
	else
		ck_assert_int_eq(lease.fd, -1);
	return err;
}

static void forget_cached(void)
{
	fdcache_sweep(tree.fdcache);
	ck_assert_uint_eq(fdcache_sweep(tree.fdcache), 0);
}

static struct node *known(const char *path)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct node *node = tree_known(&tree, NULL, "", fd);

	close(fd);
	return node;
}

START_TEST(test_kinds)
{
	static const char *const names[] = { "file", "dir", "link", "fifo" };

	if (!begin(_i, "kinds"))
		return;
	create("file");
	ck_assert_int_eq(mkdir("dir", 0700), 0);
	ck_assert_int_eq(symlink("file", "link"), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	assert_leads_to(root, ".");
	for (int i = 0; i < 4; i++) {
		struct child child;
		struct stat st;

		ck_assert_int_eq(find(root, names[i], &child), 0);
		ck_assert_int_eq(lstat(names[i], &st), 0);
		ck_assert_uint_eq(child.stx.stx_ino, st.st_ino);
		ck_assert_uint_eq(child.node->type, st.st_mode & S_IFMT);
		ck_assert_int_eq(child.node->handle_type == IDENTITY_BY_NUMBER, _i == BY_NUMBER);
		forget_cached();
		ck_assert_int_eq(reach_result(child.node, false), -EAGAIN);
		assert_leads_to(child.node, names[i]);
		ck_assert_int_eq(reach_result(child.node, false), 0); /* cached by now */
		node_forget(tree.nodes, child.node, 1);
	}
	ck_assert_uint_eq(node_count(tree.nodes), 1);
	ck_assert_uint_eq(fdcache_count(tree.fdcache), 0);
	end();
}
END_TEST

START_TEST(test_lookup_errors)
{
	struct child child;
	char name[300];
	struct node *file;

	if (!begin(_i, "errors"))
		return;
	create("file");
	ck_assert_int_eq(find(root, "missing", &child), -ENOENT);
	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	ck_assert_int_eq(find(root, name, &child), -ENAMETOOLONG);
	file = found(root, "file");
	ck_assert_int_eq(find(file, "x", &child), -ENOTDIR);
	ck_assert_int_eq(unlink("file"), 0);
	ck_assert_int_eq(find(root, "file", &child), -ENOENT);
	node_forget(tree.nodes, file, 1);
	ck_assert_uint_eq(node_count(tree.nodes), 1);
	/* The longest name of all is reached again, too. */
	name[255] = '\0';
	create(name);
	file = found(root, name);
	forget_cached();
	assert_leads_to(file, name);
	end();
}
END_TEST

/* A new look-up that may not wait: from memory, -EAGAIN, or an error that needs no disk. */
START_TEST(test_no_waiting)
{
	struct child child;
	int err;

	if (!begin(_i, "no_waiting"))
		return;
	create("file");
	tree.kernel.has[KERNEL_RESOLVE_CACHED] = false;
	ck_assert_int_eq(tree_lookup(&tree, root, tree.source.root, "file", false, &child),
			 -EAGAIN);
	ck_assert_int_eq(tree_lookup(&tree, root, tree.source.root, "none", false, &child),
			 -EAGAIN);
	ck_assert_int_eq(find(root, "file", &child), 0);
	kernel_probe(&tree.kernel);
	err = tree_lookup(&tree, root, tree.source.root, "file", false, &child);
	ck_assert(err == 0 || err == -EAGAIN);
	if (!err) {
		close(child.fd);
		ck_assert_uint_eq(child.node->lookups, 2);
	}
	end();
}
END_TEST

START_TEST(test_hard_links)
{
	struct node *a, *b;

	if (!begin(_i, "hard_links"))
		return;
	create("a");
	ck_assert_int_eq(mkdir("dir", 0755), 0);
	ck_assert_int_eq(link("a", "dir/b"), 0);
	a = found(root, "a");
	b = found(root, "dir");
	ck_assert_ptr_eq(found(b, "b"), a);
	ck_assert_uint_eq(node_count(tree.nodes), 3);
	ck_assert_ptr_eq(known("a"), a);
	ck_assert_ptr_eq(known("dir/b"), a);
	create("unknown");
	ck_assert_ptr_null(known("unknown"));
	forget_cached();
	assert_leads_to(a, "a");
	/* The name it was last seen by goes; another look-up shows the way. */
	ck_assert_int_eq(unlink("dir/b"), 0);
	forget_cached();
	ck_assert_int_eq(reach_result(a, true), _i == BY_HANDLE ? 0 : -ESTALE);
	ck_assert_ptr_eq(found(root, "a"), a);
	forget_cached();
	assert_leads_to(a, "a");
	end();
}
END_TEST

/* Renamed behind our back: a handle still leads there, a name doesn't. */
START_TEST(test_renamed_behind)
{
	struct node *file, *dir, *inner;

	if (!begin(_i, "renamed"))
		return;
	create("file");
	ck_assert_int_eq(mkdir("dir", 0755), 0);
	create("dir/inner");
	file = found(root, "file");
	dir = found(root, "dir");
	inner = found(dir, "inner");
	ck_assert_int_eq(rename("file", "other"), 0);
	ck_assert_int_eq(rename("dir", "moved"), 0);
	/* Others in their places are not mistaken for them. */
	create("file");
	ck_assert_int_eq(mkdir("dir", 0755), 0);
	create("dir/inner");
	forget_cached();
	if (_i == BY_HANDLE) {
		assert_leads_to(file, "other");
		assert_leads_to(inner, "moved/inner");
	} else {
		ck_assert_int_eq(reach_result(file, true), -ESTALE);
		ck_assert_int_eq(reach_result(inner, true), -ESTALE);
		ck_assert_int_eq(reach_result(dir, true), -ESTALE);
	}
	ck_assert_ptr_ne(found(root, "file"), file);
	/* Found under the new name, all of it is known again. */
	ck_assert_ptr_eq(found(root, "moved"), dir);
	ck_assert_ptr_eq(found(root, "other"), file);
	forget_cached();
	assert_leads_to(inner, "moved/inner");
	assert_leads_to(file, "other");
	end();
}
END_TEST

START_TEST(test_deleted)
{
	struct node *file, *dir;
	struct child child;

	if (!begin(_i, "deleted"))
		return;
	create("file");
	ck_assert_int_eq(mkdir("dir", 0755), 0);
	file = found(root, "file");
	dir = found(root, "dir");
	ck_assert_int_eq(unlink("file"), 0);
	ck_assert_int_eq(rmdir("dir"), 0);
	forget_cached();
	ck_assert_int_eq(reach_result(file, true), -ESTALE);
	ck_assert_int_eq(reach_result(dir, true), -ESTALE);
	ck_assert_int_eq(find(dir, "x", &child), -ESTALE);
	/* The same name, and probably the same inode, but another object. */
	create("file");
	ck_assert_ptr_ne(found(root, "file"), file);
	ck_assert_int_eq(reach_result(file, true), -ESTALE);
	end();
}
END_TEST

/* O_TMPFILE: made just now, and nowhere. */
/* What is open is reached whatever becomes of its name, until its last close. */
START_TEST(test_held_open)
{
	struct node *file;

	if (!begin(_i, "held"))
		return;
	create("file");
	file = found(root, "file");
	ck_assert_int_eq(tree_hold(&tree, file, -1), _i == BY_HANDLE);
	ck_assert(tree_hold(&tree, file, open("file", O_RDONLY | O_CLOEXEC)));
	ck_assert_int_eq(rename("file", "away"), 0);
	forget_cached();
	assert_leads_to(file, "away");
	tree_unhold(&tree, file);
	forget_cached();
	ck_assert_int_eq(reach_result(file, true), _i == BY_HANDLE ? 0 : -ESTALE);
	ck_assert_int_eq(reach_result(tree_lost(&tree, S_IFDIR), true), -ESTALE);
	end();
}
END_TEST

START_TEST(test_adopt_without_name)
{
	struct child child;
	int fd;

	if (!begin(_i, "tmpfile"))
		return;
	fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(tree_adopt(&tree, NULL, "", fd, &child), 0);
	ck_assert_int_eq(child.fd, fd);
	if (_i == BY_NUMBER)
		ck_assert_int_eq(reach_result(child.node, true), -ESTALE);
	node_forget(tree.nodes, child.node, 1);
	ck_assert_uint_eq(node_count(tree.nodes), 1);
	close(fd);
	end();
}
END_TEST

/* A thousand levels, of which the kernel still knows only the last. */
START_TEST(test_deep)
{
	enum { LEVELS = 1000 };
	struct node *node, *parent;
	struct stat st;

	if (!begin(_i, "deep"))
		return;
	node = root;
	for (int i = 0; i < LEVELS; i++) {
		ck_assert_int_eq(mkdir("d", 0755), 0);
		ck_assert_int_eq(chdir("d"), 0);
		parent = node;
		node = found(parent, "d");
		node_forget(tree.nodes, parent, 1);
	}
	ck_assert_int_eq(stat(".", &st), 0);
	ck_assert_uint_eq(node_count(tree.nodes), _i == BY_HANDLE ? 2 : LEVELS + 1);
	forget_cached();
	assert_leads_to(node, ".");
	ck_assert_uint_le(fdcache_count(tree.fdcache), 256);
	node_forget(tree.nodes, node, 1);
	ck_assert_uint_eq(node_count(tree.nodes), 1);
	end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tree");

	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, make_base, remove_base);
	tcase_add_loop_test(tc, test_kinds, 0, WAYS);
	tcase_add_loop_test(tc, test_lookup_errors, 0, WAYS);
	tcase_add_loop_test(tc, test_no_waiting, 0, WAYS);
	tcase_add_loop_test(tc, test_hard_links, 0, WAYS);
	tcase_add_loop_test(tc, test_renamed_behind, 0, WAYS);
	tcase_add_loop_test(tc, test_deleted, 0, WAYS);
	tcase_add_loop_test(tc, test_held_open, 0, WAYS);
	tcase_add_loop_test(tc, test_adopt_without_name, 0, WAYS);
	tcase_add_loop_test(tc, test_deep, 0, WAYS);
	return run_case("tree", tc);
}
