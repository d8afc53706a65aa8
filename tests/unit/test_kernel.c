/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/kernel.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define ROWS(a) ((int)(sizeof(a) / sizeof((a)[0])))

#define BIT(feature) (1u << (feature))
#define SINCE_5_2    BIT(KERNEL_OPEN_TREE)
#define SINCE_5_12   (BIT(KERNEL_RESOLVE_CACHED) | BIT(KERNEL_MOUNT_SETATTR))
#define SINCE_6_2    BIT(KERNEL_FUSE_TMPFILE)
#define SINCE_6_6    (BIT(KERNEL_FUSE_STATX) | BIT(KERNEL_DIRECT_MMAP) | BIT(KERNEL_FCHMODAT2))
#define SINCE_6_9    BIT(KERNEL_PASSTHROUGH)
#define SINCE_6_12   BIT(KERNEL_PASSTHROUGH_PATH)
#define SINCE_6_13   BIT(KERNEL_XATTRAT)
#define ALL	     (BIT(KERNEL_FEATURES) - 1)

static const struct {
	const char *text;
	unsigned hidden;
} versions[] = {
	{ NULL, 0 },
	{ "", 0 },
	{ "garbage", 0 },
	{ "6", 0 },
	{ "6.", 0 },
	{ ".15", 0 },
	{ "x5.15", 0 },
	{ "7.0", 0 },
	{ "6.18", 0 },
	{ "6.13", 0 },
	{ "6.12", SINCE_6_13 },
	{ "6.9", SINCE_6_13 | SINCE_6_12 },
	{ "6.8", SINCE_6_13 | SINCE_6_12 | SINCE_6_9 },
	{ "6.6.30", SINCE_6_13 | SINCE_6_12 | SINCE_6_9 },
	{ "6.1", SINCE_6_13 | SINCE_6_12 | SINCE_6_9 | SINCE_6_6 | SINCE_6_2 },
	{ "5.15", SINCE_6_13 | SINCE_6_12 | SINCE_6_9 | SINCE_6_6 | SINCE_6_2 },
	{ "5.99", SINCE_6_13 | SINCE_6_12 | SINCE_6_9 | SINCE_6_6 | SINCE_6_2 },
	{ "5.11", ALL & ~SINCE_5_2 },
	{ "5.1", ALL },
	{ "4.19", ALL },
};

static void set_version(const char *text)
{
	if (text)
		setenv("OVERDRIVE_TEST_KERNEL", text, 1);
	else
		unsetenv("OVERDRIVE_TEST_KERNEL");
}

START_TEST(test_hidden)
{
	struct kernel whole, masked;

	set_version(NULL);
	kernel_probe(&whole);
	set_version(versions[_i].text);
	kernel_probe(&masked);
	for (unsigned f = 0; f < KERNEL_FEATURES; f++) {
		bool hidden = versions[_i].hidden & BIT(f);

		ck_assert_msg(kernel_hidden(f) == hidden, "feature %u", f);
		/* A test can only take away. */
		ck_assert_msg(masked.has[f] == (whole.has[f] && !hidden), "feature %u", f);
	}
}
END_TEST

/* Probing leaves no descriptor behind, and twice says the same. */
START_TEST(test_probe_again)
{
	struct kernel a, b;

	set_version(NULL);
	memset(&a, 0, sizeof(a));
	memset(&b, 0xff, sizeof(b));
	kernel_probe(&a);
	for (int i = 0; i < 2000; i++)
		kernel_probe(&b);
	ck_assert_mem_eq(&a, &b, sizeof(a));
}
END_TEST

START_TEST(test_lacks)
{
	struct kernel k;
	char text[256], all[256];

	memset(&k, true, sizeof(k));
	kernel_lacks(&k, text, sizeof(text));
	ck_assert_str_eq(text, "");
	k.has[KERNEL_PASSTHROUGH] = false;
	kernel_lacks(&k, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "no FUSE passthrough ("));
	ck_assert_ptr_nonnull(strstr(text, "Linux 6.9)"));
	ck_assert_ptr_null(strchr(text, ','));
	/* Features that nobody would miss are not spoken of. */
	k.has[KERNEL_PASSTHROUGH] = true;
	k.has[KERNEL_RESOLVE_CACHED] = k.has[KERNEL_XATTRAT] = false;
	kernel_lacks(&k, text, sizeof(text));
	ck_assert_str_eq(text, "");

	memset(&k, false, sizeof(k));
	kernel_lacks(&k, all, sizeof(all));
	ck_assert_ptr_nonnull(strstr(all, "birth times"));
	ck_assert_ptr_nonnull(strstr(all, "), no "));
	ck_assert_ptr_null(strstr(all, "(null)"));
	/* A short buffer cuts it off, whatever its length. */
	for (size_t size = 1; size < sizeof(all); size++) {
		memset(text, 'x', sizeof(text));
		kernel_lacks(&k, text, size);
		ck_assert_uint_eq(strlen(text), strlen(all) < size ? strlen(all) : size - 1);
		ck_assert_int_eq(strncmp(text, all, strlen(text)), 0);
		ck_assert_int_eq(text[size], 'x');
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("kernel");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_hidden, 0, ROWS(versions));
	tcase_add_test(tc, test_probe_again);
	tcase_add_test(tc, test_lacks);
	return run_case("kernel", tc);
}
