/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/table.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/openfile.h"
#include "suite.h"
#include "table_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* memory is not what it would be */
#else
#define SANITIZED 0
#endif

static struct node *ref(uint64_t n)
{
	struct identity id = handle(n, 8);

	return node_ref(table, &id, S_IFREG | 0644, root, "name");
}

START_TEST(test_root)
{
	ck_assert_ptr_nonnull(root);
	ck_assert_uint_eq(root->id, NODE_ROOT_ID);
	ck_assert_uint_eq(root->type, S_IFDIR);
	ck_assert_uint_eq(node_count(table), 1);
	/* However often it is forgotten, detached or asked for. */
	node_forget(table, root, 1000000);
	node_detach(table, root);
	ck_assert_ptr_eq(node_get(table, NODE_ROOT_ID), root);
	ck_assert_ptr_null(node_get(table, 0));
	ck_assert_ptr_null(node_get(table, 2));
	ck_assert_ptr_null(node_get(table, UINT64_MAX));
	ck_assert_ptr_null(node_table_free(NULL));
}
END_TEST

START_TEST(test_ref_forget)
{
	struct node *n = ref(7), *again;
	uint64_t id = n->id;

	ck_assert_uint_gt(id, NODE_ROOT_ID);
	ck_assert_uint_eq(n->type, S_IFREG);
	ck_assert_ptr_null(n->place);
	ck_assert_ptr_eq(node_get(table, id), n);
	again = ref(7); /* as by a hard link */
	ck_assert_ptr_eq(again, n);
	ck_assert_uint_eq(node_count(table), 2);
	ck_assert_ptr_ne(ref(8), n);
	node_forget(table, n, 1);
	ck_assert_ptr_eq(node_get(table, id), n);
	node_forget(table, n, 1);
	ck_assert_ptr_null(node_get(table, id));
	ck_assert_uint_eq(node_count(table), 2);
	ck_assert_uint_ne(ref(7)->id, id);
	node_forget(table, NULL, 1);
}
END_TEST

/* Many counts at once, and more than there are. */
START_TEST(test_forget_many)
{
	struct node *n = ref(7);
	uint64_t id = n->id;

	for (int i = 0; i < 99; i++)
		ref(7);
	node_forget(table, n, 0);
	node_forget(table, n, 99);
	ck_assert_ptr_eq(node_get(table, id), n);
	node_forget(table, n, UINT64_MAX);
	ck_assert_ptr_null(node_get(table, id));
	ck_assert_uint_eq(node_count(table), 1);
}
END_TEST

/* Identities of each length, inline or not, differing in the last byte, the length or the type. */
START_TEST(test_identities)
{
	for (unsigned length = 8; length <= MAX_HANDLE_SZ; length += 4) {
		struct identity a = handle(1, length), b = handle(2, length), c = handle(1, length),
				back;
		struct node *n = node_ref(table, &a, S_IFREG, root, "x");

		ck_assert_ptr_eq(node_ref(table, &a, S_IFREG, root, "y"), n);
		ck_assert_ptr_ne(node_ref(table, &b, S_IFREG, root, "x"), n);
		c.type = 2;
		ck_assert_ptr_ne(node_ref(table, &c, S_IFREG, root, "x"), n);
		node_identity(table, n, &back);
		ck_assert_uint_eq(back.length, length);
		ck_assert_int_eq(back.type, 1);
		ck_assert_mem_eq(back.bytes, a.bytes, length);
		ck_assert_uint_eq(node_count(table), 1 + 3 * (length - 8) / 4 + 3);
		/* A garbled rest of the buffer is no part of it. */
		memset(a.bytes + length, 0xee, MAX_HANDLE_SZ - length);
		ck_assert_ptr_eq(known(&a), n);
	}
}
END_TEST

START_TEST(test_known)
{
	struct identity id = handle(7, 8);
	struct node *n;

	ck_assert_ptr_null(known(&id));
	n = ref(7);
	ck_assert_ptr_eq(known(&id), n);
	node_forget(table, n, 1);
	ck_assert_ptr_eq(known(&id), n); /* it counted */
	node_forget(table, n, 2);
	ck_assert_ptr_null(known(&id));
}
END_TEST

/* After the last name is gone the same identity is somebody else. */
START_TEST(test_detach)
{
	struct identity id = handle(7, 40);
	struct node *old = node_ref(table, &id, S_IFREG, root, "x"), *fresh;
	uint64_t old_id = old->id;

	node_detach(table, old);
	node_detach(table, old);
	ck_assert_ptr_null(known(&id));
	ck_assert_ptr_eq(node_get(table, old_id), old);
	fresh = node_ref(table, &id, S_IFREG, root, "x");
	ck_assert_ptr_ne(fresh, old);
	ck_assert_uint_eq(node_count(table), 3);
	node_forget(table, old, 1);
	ck_assert_ptr_null(node_get(table, old_id));
	ck_assert_ptr_eq(known(&id), fresh);
	node_forget(table, fresh, 2);
	ck_assert_uint_eq(node_count(table), 1);
}
END_TEST

/* A node takes its descriptors along. */
START_TEST(test_descriptors_go)
{
	struct node *n = ref(7);
	struct fd_lease lease;
	int cached = open("/dev/null", O_PATH), pin = open("/dev/null", O_PATH), fd = pin;

	fdcache_put(fdcache, n->id, cached, &lease);
	fdcache_return(fdcache, &lease);
	node_pin(table, n, &fd);
	ck_assert_int_eq(fd, -1);
	fd = open("/dev/null", O_PATH); /* one is enough */
	node_pin(table, n, &fd);
	ck_assert(fd >= 0 && n->open->pin == pin);
	close(fd);
	node_forget(table, n, 1);
	ck_assert_int_lt(fcntl(cached, F_GETFD), 0);
	ck_assert_int_lt(fcntl(pin, F_GETFD), 0);
}
END_TEST

/* Pins come out of what open files may keep. */
START_TEST(test_pins_are_bounded)
{
	struct openfile_table *openfiles = openfile_table_new();
	struct node *one = ref(7), *other = ref(8);
	int fd = open("/dev/null", O_PATH);

	openfile_set_limit(openfiles, 1);
	node_table_count_pins(table, openfiles);
	node_pin(table, one, &fd);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(openfile_room(openfiles, false), -EMFILE);
	fd = open("/dev/null", O_PATH);
	node_pin(table, other, &fd);
	ck_assert_int_ge(fd, 0);
	node_forget(table, one, 1);
	ck_assert_int_eq(openfile_room(openfiles, false), 0);
	node_pin(table, other, &fd);
	ck_assert_int_eq(fd, -1);
	node_forget(table, other, 1);
	ck_assert_int_eq(openfile_room(openfiles, false), 0);
	openfile_table_free(openfiles);
}
END_TEST

START_TEST(test_places)
{
	struct node *a = ref_at(1, root, "a"), *b = ref_at(2, a, "b"), *c = ref_at(3, b, "c");
	uint64_t id = a->id;

	ck_assert_str_eq(c->place->name, "c");
	ck_assert_uint_eq(c->place->parent, b->id);
	ck_assert_uint_eq(a->place->parent, NODE_ROOT_ID);
	/* The kernel forgets a directory before what is in it; the place still needs it. */
	node_forget(table, a, 1);
	node_forget(table, b, 1);
	ck_assert_uint_eq(node_count(table), 4);
	ck_assert_ptr_eq(node_get(table, id), a);
	node_forget(table, c, 1);
	ck_assert_uint_eq(node_count(table), 1);
	ck_assert_ptr_null(node_get(table, id));
}
END_TEST

START_TEST(test_moved)
{
	struct node *a = ref_at(1, root, "a"), *b = ref_at(2, root, "b"), *f = ref_at(3, a, "f");
	uint64_t a_id = a->id;

	node_moved(table, f, a, "f"); /* nothing new */
	node_moved(table, f, a, "g");
	ck_assert_str_eq(f->place->name, "g");
	node_forget(table, a, 1);
	ck_assert_ptr_eq(node_get(table, a_id), a);
	node_moved(table, f, b, "f");
	ck_assert_ptr_null(node_get(table, a_id));
	node_moved(table, f, root, "f");
	node_moved(table, f, b, "f");
	/* Another look-up, by another name, is a move too. */
	ck_assert_ptr_eq(ref_at(3, root, "hard"), f);
	ck_assert_uint_eq(f->place->parent, NODE_ROOT_ID);
	node_forget(table, f, 2);
	node_forget(table, b, 1);
	ck_assert_uint_eq(node_count(table), 1);
	/* Handles have no places. */
	a = ref(9);
	node_moved(table, a, root, "z");
	ck_assert_ptr_null(a->place);
}
END_TEST

/* O_TMPFILE: an object without a name has no place (tree_adopt: "without a name"). */
START_TEST(test_no_place)
{
	struct identity id = number(5);
	struct node *n = node_ref(table, &id, S_IFREG | 0600, NULL, "");

	ck_assert_ptr_nonnull(n);
	node_forget(table, n, 1);
	ck_assert_uint_eq(node_count(table), 1);
}
END_TEST

/* A lower layer's hard link is copied up: found by its number from then on, by its place no more. */
START_TEST(test_rename)
{
	struct identity place[2], id = number(7), back;
	struct node *n, *other;

	identity_by_place(root->id, "l1", &place[0]);
	identity_by_place(root->id, "l2", &place[1]);
	ck_assert(identity_is_placed(&place[0]) && !identity_is_placed(&id));
	n = node_ref(table, &place[0], S_IFREG | 0644, root, "l1");
	other = node_ref(table, &place[1], S_IFREG | 0644, root, "l2");
	ck_assert_ptr_ne(n, other);
	ck_assert(node_rename(table, n, &id));
	ck_assert_ptr_null(known(&place[0]));
	ck_assert_ptr_eq(known(&id), n);
	node_identity(table, n, &back);
	ck_assert_mem_eq(back.bytes, id.bytes, id.length);
	ck_assert(!node_rename(table, other, &id)); /* it is n's */
	ck_assert_ptr_eq(known(&place[1]), other);
	node_detach(table, other);
	id = number(8);
	ck_assert(!node_rename(table, other, &id));
	ck_assert_ptr_null(known(&id));
	node_forget(table, other, 2);
	node_forget(table, n, 2);
	ck_assert_uint_eq(node_count(table), 1);
}
END_TEST

/*
 * Renames behind our back can turn parent and child around: a/b becomes b/a. Places that hold each
 * other would never be let go.
 */
START_TEST(test_places_in_a_circle)
{
	struct node *a = ref_at(1, root, "a"), *b = ref_at(2, a, "b");

	ck_assert_ptr_eq(ref_at(1, b, "a"), a);
	node_forget(table, a, 2);
	node_forget(table, b, 1);
	ck_assert_uint_eq(node_count(table), 1);
}
END_TEST

static ssize_t rss_bytes(void)
{
	unsigned long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	ck_assert_int_eq(fscanf(f, "%lu %lu", &size, &resident), 2);
	fclose(f);
	return (ssize_t)resident * sysconf(_SC_PAGESIZE);
}

static const struct {
	const char *kind;
	unsigned length; /* of the identity; 0: by number, with a place */
	unsigned count;
} growths[] = {
	{ "handles of 8 bytes", 8, 300000 },
	{ "handles of 40 bytes", 40, 100000 },
	{ "by number", 0, 100000 },
};

static struct identity nth(int growth, uint64_t n)
{
	return growths[growth].length ? handle(n, growths[growth].length) : number(n);
}

/* Many nodes, and back. */
START_TEST(test_growth)
{
	unsigned count = growths[_i].count;
	struct node **node = calloc(count, sizeof(*node));
	ssize_t before, full, untrimmed, after;
	struct identity id;

	for (unsigned i = 0; i < count; i++)
		node[i] = root; /* touch it now */
	before = rss_bytes();
	for (unsigned i = 0; i < count; i++) {
		id = nth(_i, i);
		node[i] = node_ref(table, &id, S_IFREG, root, "a name of usual length");
		ck_assert_ptr_nonnull(node[i]);
	}
	full = rss_bytes();
	ck_assert_uint_eq(node_count(table), count + 1);
	for (unsigned i = 0; i < count; i += 7) {
		id = nth(_i, i);
		ck_assert_ptr_eq(known(&id), node[i]);
	}
	for (uint64_t i = 0; i < count; i++)
		node_forget(table, node[i * 7919 % count], 2);
	ck_assert_uint_eq(node_count(table), 1);
	untrimmed = rss_bytes();
	malloc_trim(0); /* the C library keeps small pieces; whether they are free is our affair */
	after = rss_bytes();
	printf("%s: %zd bytes a node; left after: %zd kB, %zd kB when trimmed\n", growths[_i].kind,
	       (full - before) / count, (untrimmed - before) / 1024, (after - before) / 1024);
	if (!SANITIZED) {
		ck_assert_int_le((full - before) / count, 200);
		/* What stays is the same for few and many: a chunk for each shard. */
		ck_assert_int_le(after - before, 4 << 20);
	}
	free(node);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("table");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_root);
	tcase_add_test(tc, test_ref_forget);
	tcase_add_test(tc, test_forget_many);
	tcase_add_test(tc, test_identities);
	tcase_add_test(tc, test_known);
	tcase_add_test(tc, test_detach);
	tcase_add_test(tc, test_descriptors_go);
	tcase_add_test(tc, test_pins_are_bounded);
	tcase_add_test(tc, test_places);
	tcase_add_test(tc, test_moved);
	tcase_add_test(tc, test_no_place);
	tcase_add_test(tc, test_rename);
	tcase_add_test(tc, test_places_in_a_circle);
	tcase_add_loop_test(tc, test_growth, 0, 3);
	return run_case("table", tc);
}
