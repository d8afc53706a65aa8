/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether trees are walked ahead, with how much memory, and what stops it for a while. */
#include "policy_tree.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/leases.h"
#include "probe/pressure.h"
#include "suite.h"

#define ROWS(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define M	(1024 * 1024ull)
#define G	(1024 * M)

/* Not formatted: a table. */
/* clang-format off */
static const struct {
	struct device device;
	struct host_memory host;
	uint64_t memory;
	struct policy_tree expected;
} rows[] = {
	/* a cloud's disk, not measured; a large machine and a small one */
	{ { .class = DEVICE_BLOCK, .steps = {{.kind = DEVICE_VIRTIO}}, .step_count = 1 },
	  { .total = 64 * G }, 0, { true, false, G } },
	{ { .class = DEVICE_BLOCK }, { .total = 512 * M }, 0, { true, false, 32 * M } },
	/* the same in a container, and with memory= */
	{ { .class = DEVICE_BLOCK }, { .total = 64 * G, .limit = 64 * M }, 0, { true, false, 4 * M } },
	{ { .class = DEVICE_BLOCK }, { .total = 64 * G }, 8 * M, { true, false, 4 * M } },
	{ { .class = DEVICE_BLOCK }, { .total = 64 * G, .limit = 64 * M }, G, { true, false, 4 * M } },
	/* nothing is known of the machine */
	{ { .class = DEVICE_NETWORK }, { 0 }, 0, { true, false, 64 * M } },
	/* with heads, by what it says or by what was measured */
	{ { .class = DEVICE_BLOCK, .rotational = DEVICE_YES }, { .total = 8 * G }, 0,
	  { true, true, 512 * M } },
	{ { .class = DEVICE_BLOCK, .rotational = DEVICE_YES, .measured = { .latency_ns = 200000 } },
	  { .total = 8 * G }, 0, { true, false, 512 * M } },
	/* nothing to gain: memory, or as fast as we are ourselves */
	{ { .class = DEVICE_MEMORY }, { .total = 8 * G }, 0, { false, false, 512 * M } },
	{ { .class = DEVICE_BLOCK, .steps = {{.kind = DEVICE_ZRAM}}, .step_count = 1 },
	  { .total = 8 * G }, 0, { false, false, 512 * M } },
	{ { .class = DEVICE_BLOCK, .measured = { .latency_ns = 9000 } }, { .total = 8 * G }, 0,
	  { false, false, 512 * M } },
	{ { .class = DEVICE_BLOCK, .measured = { .latency_ns = 60000 } }, { .total = 8 * G }, 0,
	  { true, false, 512 * M } },
};
/* clang-format on */

START_TEST(test_row)
{
	struct policy_tree p;

	policy_tree(&p, &rows[_i].device, &rows[_i].host, rows[_i].memory);
	ck_assert_int_eq(p.gain, rows[_i].expected.gain);
	ck_assert_int_eq(p.by_inode, rows[_i].expected.by_inode);
	ck_assert_uint_eq(p.bytes, rows[_i].expected.bytes);
}
END_TEST

START_TEST(test_free_memory)
{
	struct policy_tree p = { .bytes = 512 * M };

	ck_assert_uint_eq(policy_tree_bytes(&p, 0), 512 * M);
	ck_assert_uint_eq(policy_tree_bytes(&p, 64 * G), 512 * M);
	ck_assert_uint_eq(policy_tree_bytes(&p, 800 * M), 100 * M);
	ck_assert_uint_eq(policy_tree_bytes(&p, 1), M);
}
END_TEST

static void put(int at, const char *path, const char *text)
{
	int fd = openat(at, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static const struct {
	const char *memory, *io, *meminfo;
	struct pressure expected;
} weather[] = {
	{ NULL, NULL, NULL, { 0 } },
	{ "some avg10=9.99 avg60=99.00",
	  "some avg10=59.00 avg60=99.00",
	  "MemTotal: 1000 kB\nMemAvailable: 500 kB\n",
	  { false, false, 500 << 10 } },
	{ "some avg10=10.00 avg60=0.00",
	  "some avg10=60.00 avg60=0.00",
	  "MemTotal: 1000 kB\nMemAvailable: 500 kB\n",
	  { true, true, 500 << 10 } },
	{ "some avg10=0.00",
	  "full avg10=99.00",
	  "MemTotal: 1000 kB\nMemAvailable: 50 kB\n",
	  { true, false, 50 << 10 } },
	{ "nonsense", "", "MemTotal: what", { 0 } },
};

START_TEST(test_weather)
{
	char dir[] = "/tmp/test_policy_tree.XXXXXX";
	struct pressure p;
	int at;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	mkdirat(at, "pressure", 0700);
	if (weather[_i].memory)
		put(at, "pressure/memory", weather[_i].memory);
	if (weather[_i].io)
		put(at, "pressure/io", weather[_i].io);
	if (weather[_i].meminfo)
		put(at, "meminfo", weather[_i].meminfo);
	pressure_read(at, &p);
	unlinkat(at, "pressure/memory", 0);
	unlinkat(at, "pressure/io", 0);
	unlinkat(at, "pressure", AT_REMOVEDIR);
	unlinkat(at, "meminfo", 0);
	close(at);
	rmdir(dir);
	ck_assert_int_eq(p.memory, weather[_i].expected.memory);
	ck_assert_int_eq(p.disk, weather[_i].expected.disk);
	ck_assert_uint_eq(p.available, weather[_i].expected.available);
}
END_TEST

/* What /proc/locks shows on 6.18, and what it might. */
static const char locks[] = "1: LEASE  ACTIVE    WRITE 10 fe:00:101 0 EOF\n"
			    "2: LEASE  ACTIVE    READ  11 fe:00:102 0 EOF\n"
			    "3: POSIX  ADVISORY  WRITE 12 fe:00:103 0 9\n"
			    "3: -> POSIX  ADVISORY  WRITE 13 fe:00:104 0 9\n"
			    "4: DELEG  ACTIVE    WRITE 14 fe:00:105 0 EOF\n"
			    "5: LEASE  BREAKING  UNLCK 15 fe:00:106 0 EOF\n"
			    "LEASE what\n";

START_TEST(test_leases)
{
	char dir[] = "/tmp/test_policy_tree.XXXXXX";
	static char many[LEASES_MAX * 64 + 64];
	struct leases l;
	size_t n = 0;
	int at;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	leases_read(at, &l);
	ck_assert(!leases_has(&l, 101));
	put(at, "locks", locks);
	leases_read(at, &l);
	for (uint64_t ino = 101; ino <= 107; ino++)
		ck_assert_int_eq(leases_has(&l, ino), ino == 101 || ino == 105 || ino == 106);
	for (unsigned i = 0; i <= LEASES_MAX; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n,
				      "%u: LEASE  ACTIVE    WRITE 10 fe:00:%u 0 EOF\n", i, 900 + i);
	put(at, "locks", many);
	leases_read(at, &l);
	ck_assert(leases_has(&l, 1));
	unlinkat(at, "locks", 0);
	close(at);
	rmdir(dir);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("policy_tree");

	tcase_add_loop_test(tc, test_row, 0, ROWS(rows));
	tcase_add_test(tc, test_free_memory);
	tcase_add_test(tc, test_leases);
	tcase_add_loop_test(tc, test_weather, 0, ROWS(weather));
	return run_case("policy_tree", tc);
}
