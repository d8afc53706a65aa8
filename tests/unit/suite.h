/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of each unit test's main(): its cases, run as a suite of their own. */
#pragma once

#include <check.h>

/* The exit status of main(). CK_ENV: $CK_VERBOSITY says how much is told. */
static inline int run_case(const char *name, TCase *cases)
{
	Suite *suite = suite_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, cases);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
