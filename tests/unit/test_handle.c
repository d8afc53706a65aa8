/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/handle.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

#define BUCKETS 4096
#define COUNT	100000

/* ext4 (or whatever /tmp is) and tmpfs. */
static const char *const places[] = { "/tmp", "/dev/shm" };

static char base[2][64];
static int root = -1;

/* Unchecked: the directories go even if a test fails. */
static void make_bases(void)
{
	for (int i = 0; i < 2; i++) {
		snprintf(base[i], sizeof(base[i]), "%s/test_handle.XXXXXX", places[i]);
		ck_assert_ptr_nonnull(mkdtemp(base[i]));
	}
}

static void remove_bases(void)
{
	for (int i = 0; i < 2; i++) {
		char command[256];

		snprintf(command, sizeof(command), "rm -rf %s", base[i]);
		if (system(command) != 0)
			perror(command);
	}
}

/* An empty directory below the i-th base, as the current one and as `root`. */
static void enter(int i, const char *name)
{
	ck_assert_int_eq(chdir(base[i]), 0);
	ck_assert_int_eq(mkdir(name, 0700), 0);
	ck_assert_int_eq(chdir(name), 0);
	root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(root, 0);
}

static void create(const char *name)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static struct identity id_of(const char *name)
{
	struct identity id = { .type = 77 };

	ck_assert_int_eq(identity_of(root, name, &id), 0);
	ck_assert_uint_gt(id.length, 0);
	ck_assert_int_ne(id.type, IDENTITY_BY_NUMBER);
	return id;
}

static bool same(const struct identity *a, const struct identity *b)
{
	bool equal = a->length == b->length && a->type == b->type &&
		     memcmp(a->bytes, b->bytes, a->length) == 0;

	ck_assert(!equal || identity_hash(a) == identity_hash(b));
	return equal;
}

/* Opens by handle as only a privileged user may; false where it can't be tested. */
static bool may_open(void)
{
	struct identity id = id_of("");
	int fd = identity_open(root, &id, O_PATH | O_CLOEXEC);

	if (fd < 0) {
		ck_assert_int_eq(fd, -EPERM);
		printf("open_by_handle_at not tested: not permitted\n");
		return false;
	}
	close(fd);
	return true;
}

START_TEST(test_kinds)
{
	struct identity id[6];

	enter(_i, "kinds");
	create("file");
	create("other");
	ck_assert_int_eq(mkdir("dir", 0700), 0);
	ck_assert_int_eq(symlink("file", "link"), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	id[0] = id_of("file");
	id[1] = id_of("other");
	id[2] = id_of("dir");
	id[3] = id_of("link"); /* itself, not what it points to */
	id[4] = id_of("fifo");
	id[5] = id_of("");
	for (int a = 0; a < 6; a++)
		for (int b = 0; b < 6; b++)
			ck_assert_int_eq(same(&id[a], &id[b]), a == b);
}
END_TEST

/* Names are nothing: hard links, renames and descriptors of all kinds lead to one identity. */
START_TEST(test_same_object)
{
	struct identity a, b;
	int fd;

	enter(_i, "same");
	create("file");
	a = id_of("file");
	ck_assert_int_eq(link("file", "hard"), 0);
	b = id_of("hard");
	ck_assert(same(&a, &b));
	ck_assert_int_eq(rename("file", "renamed"), 0);
	b = id_of("renamed");
	ck_assert(same(&a, &b));
	fd = open("hard", O_PATH | O_CLOEXEC);
	ck_assert_int_eq(identity_of(fd, "", &b), 0);
	ck_assert(same(&a, &b));
	close(fd);
	fd = open("hard", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(identity_of(fd, "", &b), 0);
	ck_assert(same(&a, &b));
	close(fd);
}
END_TEST

START_TEST(test_errors)
{
	struct identity id;
	char name[300];

	enter(_i, "errors");
	create("file");
	memset(name, 'x', sizeof(name));
	name[299] = '\0';
	ck_assert_int_eq(identity_of(root, "missing", &id), -ENOENT);
	ck_assert_int_eq(identity_of(root, "file/below", &id), -ENOTDIR);
	ck_assert_int_eq(identity_of(root, name, &id), -ENAMETOOLONG);
	ck_assert_int_eq(identity_of(-1, "", &id), -EBADF);
	ck_assert_int_eq(identity_of(open("/proc", O_PATH), "self", &id), -EOPNOTSUPP);
}
END_TEST

START_TEST(test_round_trip)
{
	static const char *const names[] = { "file", "dir", "link", "fifo" };

	enter(_i, "round_trip");
	create("file");
	ck_assert_int_eq(mkdir("dir", 0700), 0);
	ck_assert_int_eq(symlink("nowhere", "link"), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	if (!may_open())
		return;
	for (int i = 0; i < 4; i++) {
		struct identity id = id_of(names[i]), back;
		int fd = identity_open(root, &id, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		struct stat a, b;

		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fstat(fd, &a), 0);
		ck_assert_int_eq(lstat(names[i], &b), 0);
		ck_assert_uint_eq(a.st_ino, b.st_ino);
		ck_assert_uint_eq(a.st_mode, b.st_mode);
		ck_assert_int_eq(identity_of(fd, "", &back), 0);
		ck_assert(same(&id, &back));
		close(fd);
	}
}
END_TEST

START_TEST(test_deleted_is_stale)
{
	struct identity file, dir;

	enter(_i, "deleted");
	create("file");
	ck_assert_int_eq(mkdir("dir", 0700), 0);
	if (!may_open())
		return;
	file = id_of("file");
	dir = id_of("dir");
	ck_assert_int_eq(unlink("file"), 0);
	ck_assert_int_eq(rmdir("dir"), 0);
	ck_assert_int_eq(identity_open(root, &file, O_PATH), -ESTALE);
	ck_assert_int_eq(identity_open(root, &dir, O_PATH), -ESTALE);
	create("file");
	ck_assert_int_eq(identity_open(root, &file, O_PATH), -ESTALE);
	/* Rubbish names nothing. */
	memset(file.bytes, 0xa5, file.length);
	ck_assert_int_lt(identity_open(root, &file, O_PATH), 0);
}
END_TEST

/* An inode number that comes back is another object. */
START_TEST(test_inode_reuse)
{
	struct identity first, last, id;
	unsigned reused = 0;
	struct stat st;
	ino_t inode = 0;

	enter(_i, "reuse");
	for (int i = 0; i < 500; i++) {
		create("file");
		ck_assert_int_eq(stat("file", &st), 0);
		reused += st.st_ino == inode;
		inode = st.st_ino;
		id = id_of("file");
		if (i) {
			ck_assert(!same(&id, &last));
			ck_assert(!same(&id, &first));
		} else {
			first = id;
		}
		last = id;
		ck_assert_int_eq(unlink("file"), 0);
	}
	printf("%s: %u of 500 inode numbers came back\n", places[_i], reused);
}
END_TEST

static void *make_and_delete(void *arg)
{
	const atomic_bool *end = arg;

	while (!atomic_load(end)) {
		create("again");
		unlink("again");
	}
	return NULL;
}

/* Also while its number is being given to another, which ext4 calls ENOMEM. */
START_TEST(test_stale_while_created)
{
	struct identity id;
	pthread_t thread;
	atomic_bool end = false;

	enter(_i, "created");
	create("again");
	if (!may_open())
		return;
	id = id_of("again");
	ck_assert_int_eq(unlink("again"), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, make_and_delete, &end), 0);
	for (int i = 0; i < 300000; i++)
		ck_assert_int_eq(identity_open(root, &id, O_PATH), -ESTALE);
	atomic_store(&end, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(test_by_number)
{
	struct identity a, b;

	identity_by_number(2049, 12, 1000, &a);
	identity_by_number(2049, 12, 1000, &b);
	ck_assert_int_eq(a.type, IDENTITY_BY_NUMBER);
	ck_assert(same(&a, &b));
	identity_by_number(2049, 12, 1001, &b);
	ck_assert(!same(&a, &b));
	identity_by_number(2049, 13, 1000, &b);
	ck_assert(!same(&a, &b));
	identity_by_number(2050, 12, 1000, &b);
	ck_assert(!same(&a, &b));
	identity_by_number(12, 2049, 1000, &b);
	ck_assert(!same(&a, &b));
}
END_TEST

/* The identity of the n-th of neighbouring inodes, in the forms that filesystems give it. */
static void neighbour(int form, uint32_t n, struct identity *id)
{
	uint32_t ext4[2] = { 131072 + n, 0 }, drawn = n * 2654435761u;

	if (form == 0) {
		identity_by_number(2049, 131072 + n, 0, id);
		return;
	}
	if (form == 2) /* with a generation of its own each */
		ext4[1] = drawn ^ drawn >> 15;
	if (form == 3) /* btrfs, xfs: 64 bits, steps of 32 */
		ext4[0] = n * 32;
	*id = (struct identity){ .length = sizeof(ext4), .type = 1 };
	memcpy(id->bytes, ext4, sizeof(ext4));
}

/* Neighbouring inodes spread, by the low bits (shards) and by those above them (buckets). */
START_TEST(test_hash_spread)
{
	static unsigned low[BUCKETS], above[BUCKETS], high[BUCKETS];
	struct identity id;

	for (uint32_t n = 0; n < COUNT; n++) {
		uint32_t hash;

		neighbour(_i, n, &id);
		hash = identity_hash(&id);
		low[hash % BUCKETS]++;
		above[hash / 16 % BUCKETS]++;
		high[hash >> 20]++;
	}
	for (int i = 0; i < BUCKETS; i++) {
		ck_assert_uint_le(low[i], 4 * COUNT / BUCKETS);
		ck_assert_uint_le(above[i], 4 * COUNT / BUCKETS);
		ck_assert_uint_le(high[i], 4 * COUNT / BUCKETS);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("handle");

	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, make_bases, remove_bases);
	tcase_add_loop_test(tc, test_kinds, 0, 2);
	tcase_add_loop_test(tc, test_same_object, 0, 2);
	tcase_add_loop_test(tc, test_errors, 0, 2);
	tcase_add_loop_test(tc, test_round_trip, 0, 2);
	tcase_add_loop_test(tc, test_deleted_is_stale, 0, 2);
	tcase_add_loop_test(tc, test_inode_reuse, 0, 2);
	tcase_add_loop_test(tc, test_stale_while_created, 0, 2);
	tcase_add_test(tc, test_by_number);
	tcase_add_loop_test(tc, test_hash_spread, 0, 4);
	return run_case("handle", tc);
}
