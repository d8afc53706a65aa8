/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pool with the fault of the one that it replaces: its returner does not look for waiters after
 * the buffer is back. This program has its own copy of the pool, so the library's is not linked.
 */
#define POOL_TEST_LOST_WAKEUP

#include "pool/depot.c"
#include "pool/pool.c"
#include "pool/trim.c"
#include "pool/wait.c"

#include "pool_lost.h"

START_TEST(test_found)
{
	ck_assert_uint_gt(find_lost(60 * NSEC_PER_SEC), 0);
}
END_TEST

RUN_CASES("pool_fault", test_found)
