/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory and its limits in fake trees; the rest on this machine. */
#include "probe/host.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "test_probe_tree.h"

#define ROWS(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define M	(1024ull * 1024)

#define MEMINFO "MemTotal:        8192000 kB\nMemFree:  1 kB\nMemAvailable:    4096000 kB\n"
#define V2	"30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1                                                                    \
	"35 20 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n" \
	"36 20 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
#define V1_INSIDE "36 20 0:32 /docker/c0ffee /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"

static const struct {
	const char *what, *mounts, *groups;
	struct {
		const char *path, *text;
	} files[4];
	uint64_t limit, used;
} machines[] = {
	{ "no cgroups", "", "", { { 0 } }, 0, 0 },
	{ "v2, at the top",
	  V2,
	  "0::/\n",
	  { { "memory.max", "104857600" }, { "memory.current", "1048576" } },
	  100 * M,
	  M },
	{ "v2, our own",
	  V2,
	  "0::/a/b\n",
	  { { "a/b/memory.max", "104857600" },
	    { "a/b/memory.current", "2097152" },
	    { "a/memory.max", "max" } },
	  100 * M,
	  2 * M },
	{ "v2, a group above is stricter",
	  V2,
	  "0::/a/b\n",
	  { { "a/b/memory.max", "104857600" },
	    { "a/memory.max", "10485760" },
	    { "a/memory.current", "99999999999" } },
	  10 * M,
	  10 * M },
	{ "v2, no limit", V2, "0::/a/b\n", { { "a/b/memory.max", "max" } }, 0, 0 },
	{ "v1",
	  V1,
	  "4:memory:/x\n3:cpu,cpuacct:/y\n0::/\n",
	  { { "memory/x/memory.limit_in_bytes", "52428800" },
	    { "memory/x/memory.usage_in_bytes", "5242880" },
	    { "cpu/y/memory.limit_in_bytes", "1" } },
	  50 * M,
	  5 * M },
	{ "v1, no limit",
	  V1,
	  "4:memory:/x\n",
	  { { "memory/x/memory.limit_in_bytes", "9223372036854771712" } },
	  0,
	  0 },
	{ "v1, in a container that sees its group as the root",
	  V1_INSIDE,
	  "4:memory:/docker/c0ffee\n",
	  { { "memory/memory.limit_in_bytes", "52428800" } },
	  50 * M,
	  0 },
	{ "garbage",
	  V2 V1,
	  "x\n::\n0::\n4:memory\n4:memory:\n0::/../../..\n:::::\n",
	  { { "memory.max", "1e9" }, { "memory/memory.limit_in_bytes", "-1" } },
	  0,
	  0 },
	{ "a name with spaces, deeper than anybody's",
	  V2,
	  "0::/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/b c\n",
	  { { "memory.max", "1048576" } },
	  0,
	  0 },
};

START_TEST(test_limits)
{
	struct tree t;
	struct host_memory m;
	char path[256];

	tree_init(&t, "nothing");
	tree_write(&t, "proc/meminfo", MEMINFO, strlen(MEMINFO));
	tree_write(&t, PROBE_MOUNTINFO, machines[_i].mounts, strlen(machines[_i].mounts));
	tree_write(&t, "proc/self/cgroup", machines[_i].groups, strlen(machines[_i].groups));
	for (int i = 0; i < ROWS(machines[_i].files) && machines[_i].files[i].path; i++) {
		snprintf(path, sizeof(path), "sys/fs/cgroup/%s", machines[_i].files[i].path);
		tree_write(&t, path, machines[_i].files[i].text,
			   strlen(machines[_i].files[i].text));
	}
	host_memory_probe(&m, &t.root);
	tree_deinit(&t);
	ck_assert_uint_eq(m.total, 8000 * M);
	ck_assert_uint_eq(m.available, 4000 * M);
	ck_assert_msg(m.limit == machines[_i].limit, "%s: %llu", machines[_i].what,
		      (unsigned long long)m.limit);
	ck_assert_uint_eq(m.limit_used, machines[_i].used);
}
END_TEST

START_TEST(test_no_proc)
{
	struct tree t;
	struct host_memory m;

	tree_init(&t, "nothing");
	host_memory_probe(&m, &t.root);
	tree_deinit(&t);
	ck_assert_uint_eq(m.total, 0);
	ck_assert_uint_eq(host_memory_free(&m), 0);
}
END_TEST

START_TEST(test_container)
{
	struct tree t;
	struct host_memory m;

	tree_init(&t, "overlay");
	host_memory_probe(&m, &t.root);
	tree_deinit(&t);
	ck_assert_uint_eq(m.total, 64000 * M);
	ck_assert_uint_eq(host_memory_size(&m), 512 * M);
	ck_assert_uint_eq(host_memory_free(&m), 384 * M);
}
END_TEST

START_TEST(test_release)
{
	static const struct {
		const char *release;
		unsigned major, minor;
		bool since;
	} releases[] = {
		{ "6.9.0", 6, 9, true },
		{ "6.8.12", 6, 9, false },
		{ "6.10-rc1", 6, 9, true },
		{ "7.0", 6, 9, true },
		{ "5.15.0-91-generic", 6, 9, false },
		{ "", 6, 9, false },
		{ "six", 6, 9, false },
	};

	for (int i = 0; i < ROWS(releases); i++)
		ck_assert(host_release_since(releases[i].release, releases[i].major,
					     releases[i].minor) == releases[i].since);
}
END_TEST

START_TEST(test_here)
{
	struct probe_root root = { .fd = open("/", O_PATH | O_DIRECTORY),
				   .mountinfo = PROBE_MOUNTINFO };
	struct host host;

	host_probe(&host, &root);
	ck_assert_uint_ge(host.cpus, 1);
	ck_assert_uint_ge(host.page_size, 4096);
	ck_assert_uint_gt(host.memory.total, 0);
	ck_assert(host_memory_free(&host.memory) <= host_memory_size(&host.memory));
	ck_assert(host.uring.works == (host.uring.error == 0));
	ck_assert(host.uring.works || !host.uring.fixed_buffers);
	ck_assert(host.passthrough == (host.no_passthrough[0] == '\0'));
	setenv("OVERDRIVE_TEST_KERNEL", "6.1", 1);
	host_probe(&host, &root);
	ck_assert(!host.passthrough && !host.direct_mmap);
	ck_assert_str_eq(host.no_passthrough, "needs Linux 6.9");
	close(root.fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("host");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_limits, 0, ROWS(machines));
	tcase_add_test(tc, test_no_proc);
	tcase_add_test(tc, test_container);
	tcase_add_test(tc, test_release);
	tcase_add_test(tc, test_here);
	return run_case("probe_host", tc);
}
