/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "options_line.h"
#include "suite.h"
#include "util/nearest.h"

/* How SOURCE, MOUNTPOINT and the flags may be arranged. */
static const struct arrangement {
	struct line line;
	const char *source, *mountpoint;
	bool foreground, debug, ro;
} arrangements[] = {
	{ { { "/s" } }, "/s", NULL, false, false, false },
	{ { { "/s", "/m" } }, "/s", "/m", false, false, false },
	{ { { "-f", "/s", "/m" } }, "/s", "/m", true, false, false },
	{ { { "/s", "-f", "/m" } }, "/s", "/m", true, false, false },
	{ { { "/s", "/m", "--foreground" } }, "/s", "/m", true, false, false },
	{ { { "-d", "/s" } }, "/s", NULL, true, true, false },
	{ { { "--debug", "/s" } }, "/s", NULL, true, true, false },
	{ { { "-fd", "/s" } }, "/s", NULL, true, true, false },
	{ { { "-o", "ro", "/s" } }, "/s", NULL, false, false, true },
	{ { { "-oro", "/s" } }, "/s", NULL, false, false, true },
	{ { { "-foro", "/s" } }, "/s", NULL, true, false, true },
	{ { { "-fo", "ro", "/s" } }, "/s", NULL, true, false, true },
	{ { { "/s", "/m", "-o", "ro,dev" } }, "/s", "/m", false, false, true },
	{ { { "/s", "/m", "-n", "-v", "-s", "-o", "ro" } }, "/s", "/m", false, false, true },
	{ { { "/s", "/m", "-sv", "-t", "fuse.overdrive" } }, "/s", "/m", false, false, false },
	{ { { "-tfuse.overdrive", "/s" } }, "/s", NULL, false, false, false },
	{ { { "-oro", "--", "-f", "-o" } }, "-f", "-o", false, false, true },
	{ { { "/s", "--", "--" } }, "/s", "--", false, false, false },
	{ { { "/s", "--" } }, "/s", NULL, false, false, false },
	{ { { "-" } }, "-", NULL, false, false, false },
	{ { { "a,b=c\\", "m\n" } }, "a,b=c\\", "m\n", false, false, false },
	{ { { "-o", "ro,,exec,", "/s" } }, "/s", NULL, false, false, true },
	{ { { "-o", ",ro", "/s" } }, "/s", NULL, false, false, true },
	{ { { "-odev", "-o", "ro", "/s", "-osync" } }, "/s", NULL, false, false, true },
};

START_TEST(test_arrangement)
{
	const struct arrangement *a = &arrangements[_i];
	struct options o;

	parse_ok(&o, &a->line);
	ck_assert_str_eq(o.source, a->source);
	ck_assert_pstr_eq(o.mountpoint, a->mountpoint);
	ck_assert_int_eq(o.foreground, a->foreground);
	ck_assert_int_eq(o.debug, a->debug);
	ck_assert_int_eq(o.ro == OPTION_ON, a->ro);
	ck_assert(!o.show_help && !o.show_version);
	options_deinit(&o);
	ck_assert_ptr_null(o.source);
}
END_TEST

START_TEST(test_nothing_said)
{
	struct options o;

	PARSE_OK(&o, "/s");
	ck_assert_int_eq(o.ro, OPTION_AUTO);
	ck_assert_int_eq(o.nosuid, OPTION_AUTO);
	ck_assert_int_eq(o.nodev, OPTION_AUTO);
	ck_assert_int_eq(o.noexec, OPTION_AUTO);
	ck_assert_int_eq(o.atime, OPTION_ATIME_AUTO);
	ck_assert_int_eq(o.nodiratime, OPTION_AUTO);
	ck_assert_int_eq(o.sync, OPTION_AUTO);
	ck_assert_int_eq(o.dirsync, OPTION_AUTO);
	ck_assert_int_eq(o.allow_other, OPTION_AUTO);
	ck_assert_int_eq(o.allow_root, OPTION_AUTO);
	ck_assert_int_eq(o.default_permissions, OPTION_AUTO);
	ck_assert_double_eq(o.attr_timeout, OPTIONS_TIMEOUT_AUTO);
	ck_assert_double_eq(o.entry_timeout, OPTIONS_TIMEOUT_AUTO);
	ck_assert_double_eq(o.negative_timeout, OPTIONS_TIMEOUT_AUTO);
	ck_assert_int_eq(o.exclusive, OPTION_OFF);
	ck_assert_int_eq(o.passthrough, OPTION_PASSTHROUGH_AUTO);
	ck_assert_int_eq(o.backend, OPTION_BACKEND_AUTO);
	ck_assert_uint_eq(o.memory, OPTIONS_MEMORY_AUTO);
	ck_assert_ptr_null(o.fsname);
	ck_assert_ptr_null(o.subtype);
	options_deinit(&o);
}
END_TEST

/* Options whose effect is one number. */
static const struct effect {
	const char *list;
	size_t target;
	int value;
} effects[] = {
/* Not formatted: it would break the braces. */
/* clang-format off */
#define EFFECT(l, field, v) { (l), offsetof(struct options, field), (v) }
	/* clang-format on */
	EFFECT("ro", ro, OPTION_ON),
	EFFECT("rw", ro, OPTION_OFF),
	EFFECT("nosuid", nosuid, OPTION_ON),
	EFFECT("suid", nosuid, OPTION_OFF),
	EFFECT("nodev", nodev, OPTION_ON),
	EFFECT("dev", nodev, OPTION_OFF),
	EFFECT("noexec", noexec, OPTION_ON),
	EFFECT("exec", noexec, OPTION_OFF),
	EFFECT("noatime", atime, OPTION_ATIME_NOATIME),
	EFFECT("atime", atime, OPTION_ATIME_RELATIME),
	EFFECT("relatime", atime, OPTION_ATIME_RELATIME),
	EFFECT("strictatime", atime, OPTION_ATIME_STRICTATIME),
	EFFECT("norelatime", atime, OPTION_ATIME_AUTO),
	EFFECT("nodiratime", nodiratime, OPTION_ON),
	EFFECT("diratime", nodiratime, OPTION_OFF),
	EFFECT("sync", sync, OPTION_ON),
	EFFECT("async", sync, OPTION_OFF),
	EFFECT("dirsync", dirsync, OPTION_ON),
	EFFECT("allow_other", allow_other, OPTION_ON),
	EFFECT("allow_root", allow_root, OPTION_ON),
	EFFECT("default_permissions", default_permissions, OPTION_ON),
	EFFECT("exclusive", exclusive, OPTION_ON),
	EFFECT("passthrough=off", passthrough, OPTION_PASSTHROUGH_OFF),
	EFFECT("passthrough=auto", passthrough, OPTION_PASSTHROUGH_AUTO),
	EFFECT("backend=auto", backend, OPTION_BACKEND_AUTO),
	EFFECT("backend=kernel", backend, OPTION_BACKEND_KERNEL),
	EFFECT("backend=buffered", backend, OPTION_BACKEND_BUFFERED),
	EFFECT("backend=direct", backend, OPTION_BACKEND_DIRECT),
	EFFECT("backend=ring", backend, OPTION_BACKEND_RING),
	EFFECT("prefetch=auto", prefetch, OPTION_PREFETCH_AUTO),
	EFFECT("prefetch=off", prefetch, OPTION_PREFETCH_OFF),
	EFFECT("prefetch=stream", prefetch, OPTION_PREFETCH_STREAM),
	EFFECT("prefetch=tree", prefetch, OPTION_PREFETCH_TREE),
	/* The last one wins. */
	EFFECT("ro,rw", ro, OPTION_OFF),
	EFFECT("rw,ro", ro, OPTION_ON),
	EFFECT("ro,ro", ro, OPTION_ON),
	EFFECT("noatime,strictatime", atime, OPTION_ATIME_STRICTATIME),
	EFFECT("strictatime,relatime,noatime", atime, OPTION_ATIME_NOATIME),
	EFFECT("passthrough=off,passthrough=auto", passthrough, OPTION_PASSTHROUGH_AUTO),
	/* What mount(8) and fstab put beside ours. */
	EFFECT("defaults,auto,nofail,_netdev,ro", ro, OPTION_ON),
	EFFECT("noauto,user,users,owner,group,ro", ro, OPTION_ON),
	EFFECT("nouser,nousers,noowner,nogroup,ro", ro, OPTION_ON),
	EFFECT("user=jane,comment=a=b,comment=,ro", ro, OPTION_ON),
	EFFECT("x-systemd.automount,x-gvfs-name=a\\,b,X-mount.mkdir=0755,ro", ro, OPTION_ON),
	EFFECT("lazytime,nolazytime,ro", ro, OPTION_ON),
	EFFECT("rw,dev,suid", nodev, OPTION_OFF),
#undef EFFECT
};

START_TEST(test_effect)
{
	const struct effect *e = &effects[_i];
	struct options o;

	PARSE_OK(&o, "/s", "/m", "-o", e->list);
	ck_assert_int_eq(*(int *)((char *)&o + e->target), e->value);
	options_deinit(&o);
}
END_TEST

static const struct {
	const char *list, *fsname;
} names[] = {
	{ "fsname=disk", "disk" },
	{ "fsname=a=b", "a=b" },
	{ "fsname=a\\,b,nodev", "a,b" },
	{ "fsname=a\\\\,nodev", "a\\" },
	{ "fsname=a\\\\\\,b", "a\\,b" },
	{ "fsname=DOM\\ain", "DOMain" },
	{ "fsname=a\\", "a\\" },
	{ "fsname=one,fsname=two", "two" },
	{ "fsname=\xc3\xa9 \n", "\xc3\xa9 \n" },
};

START_TEST(test_name)
{
	struct options o;

	PARSE_OK(&o, "-o", names[_i].list, "/s");
	ck_assert_str_eq(o.fsname, names[_i].fsname);
	options_deinit(&o);
}
END_TEST

START_TEST(test_subtype)
{
	struct options o;

	PARSE_OK(&o, "-osubtype=od", "/s");
	ck_assert_str_eq(o.subtype, "od");
	options_deinit(&o);
}
END_TEST

static const struct {
	const char *value;
	double seconds;
} timeouts[] = {
	{ "0", 0 },
	{ "1", 1 },
	{ "0.5", 0.5 },
	{ ".25", 0.25 },
	{ "3.", 3 },
	{ "007", 7 },
	{ "0.1", 0.1 },
	{ "86400", 86400 },
	{ "31536000", 31536000 },
	{ "-0", 0 },
	{ "1.00000000000000000000000000000000001", 1 },
	{ "31536000.000", 31536000 },
};

START_TEST(test_timeout)
{
	static const struct {
		const char *name;
		size_t target;
	} kinds[] = {
		{ "attr_timeout", offsetof(struct options, attr_timeout) },
		{ "entry_timeout", offsetof(struct options, entry_timeout) },
		{ "negative_timeout", offsetof(struct options, negative_timeout) },
	};

	for (int k = 0; k < ROWS(kinds); k++) {
		struct options o;
		char list[128];

		snprintf(list, sizeof(list), "%s=%s", kinds[k].name, timeouts[_i].value);
		PARSE_OK(&o, "-o", list, "/s");
		for (int j = 0; j < ROWS(kinds); j++)
			ck_assert_double_eq(*(double *)((char *)&o + kinds[j].target),
					    j == k ? timeouts[_i].seconds : OPTIONS_TIMEOUT_AUTO);
		options_deinit(&o);
	}
}
END_TEST

static const struct {
	const char *value;
	uint64_t bytes;
} sizes[] = {
	{ "4194304", 4ull << 20 },  { "4M", 4ull << 20 },	{ "4m", 4ull << 20 },
	{ "5000k", 5000ull << 10 }, { "5000K", 5000ull << 10 }, { "0064M", 64ull << 20 },
	{ "1G", 1ull << 30 },	    { "128g", 128ull << 30 },	{ "131072M", 128ull << 30 },
};

START_TEST(test_size)
{
	struct options o;
	char list[64];

	snprintf(list, sizeof(list), "memory=%s", sizes[_i].value);
	PARSE_OK(&o, "-o", list, "/s");
	ck_assert_uint_eq(o.memory, sizes[_i].bytes);
	options_deinit(&o);
}
END_TEST

static const struct {
	struct line line;
	bool help, version;
} shows[] = {
	{ { { "-h" } }, true, false },
	{ { { "--help" } }, true, false },
	{ { { "-V" } }, false, true },
	{ { { "--version" } }, false, true },
	{ { { "-fh", "--nonsense" } }, true, false },
	{ { { "/s", "/m", "-Vx", "/n" } }, false, true },
	{ { { "-o", "ro", "-h", "-V" } }, true, false },
};

START_TEST(test_show)
{
	struct options o;

	parse_ok(&o, &shows[_i].line);
	ck_assert_int_eq(o.show_help, shows[_i].help);
	ck_assert_int_eq(o.show_version, shows[_i].version);
	options_deinit(&o);
}
END_TEST
static size_t target_size(enum option_type type)
{
	switch (type) {
	case OPTION_FLAG:
	case OPTION_CHOICE:
		return sizeof(int);
	case OPTION_SECONDS:
		return sizeof(double);
	case OPTION_SIZE:
		return sizeof(uint64_t);
	case OPTION_STRING:
		return sizeof(char *);
	case OPTION_IGNORED:
	case OPTION_REFUSED:
		break;
	}
	return 0;
}

START_TEST(test_table)
{
	size_t n;
	const struct option_def *table = options_table(&n);

	for (size_t i = 0; i < n; i++) {
		const struct option_def *def = &table[i];

		ck_assert(def->name && *def->name && strlen(def->name) <= NEAREST_NAME_MAX);
		ck_assert(def->help && *def->help);
		ck_assert_uint_le(def->target + target_size(def->type), sizeof(struct options));
		ck_assert_int_eq(!!def->choices, def->type == OPTION_CHOICE);
		if (def->type == OPTION_SECONDS || def->type == OPTION_SIZE ||
		    def->type == OPTION_STRING)
			ck_assert_ptr_nonnull(def->arg);
		if (def->type == OPTION_SECONDS || def->type == OPTION_SIZE)
			ck_assert(def->min < def->max && def->example);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(def->name, table[j].name);
	}
}
END_TEST

/* Each name of the table is in the help, and the help fits a terminal. */
START_TEST(test_help)
{
	char *text = NULL, *line, *save;
	size_t size, n, flags_n;
	const struct option_def *table = options_table(&n);
	const struct option_flag *flags = options_flags(&flags_n);
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	options_print_help(out);
	fclose(out);
	for (size_t i = 0; i < n; i++) {
		char name[64];

		snprintf(name, sizeof(name), " %s", table[i].name);
		if (table[i].type != OPTION_REFUSED)
			ck_assert_msg(strstr(text, name), "%s", name);
	}
	for (size_t i = 0; i < flags_n; i++)
		ck_assert(strstr(text, (char[]){ ' ', '-', flags[i].letter, '\0' }));
	ck_assert(strstr(text, "passthrough=auto|off"));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		ck_assert_msg(strlen(line) <= 80, "%s", line);
	free(text);
}
END_TEST

static const struct {
	const char *a, *b;
	unsigned int distance;
} distances[] = {
	{ "", "", 0 },
	{ "a", "", 1 },
	{ "", "abc", 3 },
	{ "same", "same", 0 },
	{ "SaMe", "same", 0 },
	{ "nofial", "nofail", 1 },
	{ "abcd", "badc", 2 },
	{ "kitten", "sitting", 3 },
	{ "ca", "abc", 3 },
	{ "0123456789012345678901234567890", "0123456789012345678901234567890", 0 },
	{ "01234567890123456789012345678901", "a", NEAREST_FAR },
	{ "a", "01234567890123456789012345678901", NEAREST_FAR },
};

START_TEST(test_distance)
{
	const char *a = distances[_i].a, *b = distances[_i].b;

	ck_assert_uint_eq(nearest_distance(a, strlen(a), b), distances[_i].distance);
	ck_assert_uint_eq(nearest_distance(b, strlen(b), a), distances[_i].distance);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("options");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_arrangement, 0, ROWS(arrangements));
	tcase_add_test(tc, test_nothing_said);
	tcase_add_loop_test(tc, test_effect, 0, ROWS(effects));
	tcase_add_loop_test(tc, test_name, 0, ROWS(names));
	tcase_add_test(tc, test_subtype);
	tcase_add_loop_test(tc, test_timeout, 0, ROWS(timeouts));
	tcase_add_loop_test(tc, test_size, 0, ROWS(sizes));
	tcase_add_loop_test(tc, test_show, 0, ROWS(shows));
	tcase_add_test(tc, test_table);
	tcase_add_test(tc, test_help);
	tcase_add_loop_test(tc, test_distance, 0, ROWS(distances));
	return run_case("options", tc);
}
