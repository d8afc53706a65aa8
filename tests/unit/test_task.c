/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc tells about a thread. */
#include <check.h>
#include <fcntl.h>
#include <unistd.h>

#include "suite.h"
#include "util/task.h"

START_TEST(times)
{
	struct task_times t;

	ck_assert(task_parse_times("123 456 7\n", &t));
	ck_assert_uint_eq(t.running, 123);
	ck_assert_uint_eq(t.delayed, 456);
	ck_assert(!task_parse_times("123\n", &t));
	ck_assert(!task_parse_times("", &t));
}
END_TEST

START_TEST(own)
{
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct task_times t;

	ck_assert_int_ge(proc, 0);
	if (faccessat(proc, "self/schedstat", F_OK, 0) == 0)
		ck_assert(task_times(proc, gettid(), &t));
	ck_assert(!task_times(proc, -1, &t));
	close(proc);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("task");

	tcase_add_test(tcase, times);
	tcase_add_test(tcase, own);
	return run_case("task", tcase);
}
