/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the command line may not be, and what is said of it. */
#include "options.h"

#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "options_line.h"
#include "suite.h"

#define EXPECTED_USAGE	    "expected overdrive [-o OPT[,OPT...]] SOURCE [MOUNTPOINT]"
#define EXPECTED_SECONDS(n) "expected 0 to 31536000, e.g. " n "=1"
#define EXPECTED_SIZE	    "expected 4M to 128G, e.g. memory=64M"
#define SEE_HELP	    "unknown option; see overdrive --help"

static const struct {
	struct line line;
	const char *err;
} refusals[] = {
	{ { { NULL } }, "SOURCE is missing; " EXPECTED_USAGE },
	{ { { "-f", "-o", "ro" } }, "SOURCE is missing; " EXPECTED_USAGE },
	{ { { "a", "b", "c" } }, "c: too many arguments; " EXPECTED_USAGE },
	{ { { "a", "b", "--", "-o" } }, "-o: too many arguments; " EXPECTED_USAGE },
	{ { { "" } }, "SOURCE is empty; expected a directory" },
	{ { { "a", "" } }, "MOUNTPOINT is empty; expected a directory" },
	{ { { "a", "-o" } }, "-o: needs a value; expected -o OPT[,OPT...]" },
	{ { { "a", "-t" } }, "-t: needs a value; expected -t TYPE" },
	{ { { "a", "-o", "" } }, "-o: the list is empty; expected -o OPT[,OPT...], e.g. -o ro" },
	/* The flags. */
	{ { { "-x", "a" } }, "-x: " SEE_HELP },
	{ { { "-fx", "a" } }, "-fx: " SEE_HELP },
	{ { { "-ro", "a" } }, "-ro: unknown option; did you mean -o ro?" },
	{ { { "--exclusive", "a" } }, "--exclusive: unknown option; did you mean -o exclusive?" },
	{ { { "--fsname=x", "a" } }, "--fsname=x: unknown option; did you mean -o fsname=x?" },
	{ { { "--forground", "a" } }, "--forground: unknown option; did you mean --foreground?" },
	{ { { "--vresion" } }, "--vresion: unknown option; did you mean --version?" },
	{ { { "--nonsense", "a" } }, "--nonsense: " SEE_HELP },
	{ { { "--=", "a" } }, "--=: " SEE_HELP },
	{ { { "--help=me" } }, "--help=me: takes no value; expected --help" },
	/* Unknown names, near and far. */
	{ { { "-o", "atr_timeout=1", "a" } },
	  "atr_timeout=1: unknown option; did you mean attr_timeout=?" },
	{ { { "-o", "fsnmae", "a" } }, "fsnmae: unknown option; did you mean fsname=?" },
	{ { { "-o", "ro,alow_othr", "a" } },
	  "alow_othr: unknown option; did you mean allow_other?" },
	{ { { "-o", "RO", "a" } }, "RO: unknown option; did you mean ro?" },
	{ { { "-o", "exclusiv=1", "a" } }, "exclusiv=1: unknown option; did you mean exclusive?" },
	{ { { "-o", "nofial", "a" } }, "nofial: unknown option; did you mean nofail?" },
	{ { { "-o", "coment=x", "a" } }, "coment=x: unknown option; did you mean comment?" },
	{ { { "-o", "uid=0", "a" } }, "uid=0: " SEE_HELP },
	{ { { "-o", "nonsense", "a" } }, "nonsense: " SEE_HELP },
	{ { { "-o", "r", "a" } }, "r: " SEE_HELP },
	{ { { "-o", "=5", "a" } }, "=5: " SEE_HELP },
	{ { { "-o", "x", "a" } }, "x: " SEE_HELP },
	/* Values. */
	{ { { "-o", "ro=1", "a" } }, "ro=1: takes no value; expected ro" },
	{ { { "-o", "ro=", "a" } }, "ro=: takes no value; expected ro" },
	{ { { "-o", "defaults=1", "a" } }, "defaults=1: takes no value; expected defaults" },
	{ { { "-o", "fsname", "a" } }, "fsname: needs a value; expected fsname=NAME" },
	{ { { "-o", "fsname=", "a" } }, "fsname=: the value is empty; expected fsname=NAME" },
	{ { { "-o", "subtype=,ro", "a" } }, "subtype=: the value is empty; expected subtype=NAME" },
	{ { { "-o", "entry_timeout", "a" } },
	  "entry_timeout: needs a value; expected entry_timeout=1" },
	{ { { "-o", "passthrough", "a" } },
	  "passthrough: needs a value; expected passthrough=auto or passthrough=off" },
	{ { { "-o", "passthrough=on", "a" } },
	  "passthrough=on: no such value; expected passthrough=auto or passthrough=off" },
	{ { { "-o", "attr_timeout=abc", "a" } },
	  "attr_timeout=abc: not a number of seconds; " EXPECTED_SECONDS("attr_timeout") },
	{ { { "-o", "attr_timeout=1s", "a" } },
	  "attr_timeout=1s: not a number of seconds; " EXPECTED_SECONDS("attr_timeout") },
	{ { { "-o", "attr_timeout=1.2.3", "a" } },
	  "attr_timeout=1.2.3: not a number of seconds; " EXPECTED_SECONDS("attr_timeout") },
	{ { { "-o", "attr_timeout=nan", "a" } },
	  "attr_timeout=nan: not a number of seconds; " EXPECTED_SECONDS("attr_timeout") },
	{ { { "-o", "attr_timeout=inf", "a" } },
	  "attr_timeout=inf: not a number of seconds; " EXPECTED_SECONDS("attr_timeout") },
	{ { { "-o", "attr_timeout= 1", "a" } },
	  "attr_timeout= 1: not a number of seconds; " EXPECTED_SECONDS("attr_timeout") },
	{ { { "-o", "attr_timeout=.", "a" } },
	  "attr_timeout=.: not a number of seconds; " EXPECTED_SECONDS("attr_timeout") },
	{ { { "-o", "attr_timeout=-", "a" } },
	  "attr_timeout=-: not a number of seconds; " EXPECTED_SECONDS("attr_timeout") },
	{ { { "-o", "negative_timeout=-1", "a" } },
	  "negative_timeout=-1: too small; " EXPECTED_SECONDS("negative_timeout") },
	{ { { "-o", "entry_timeout=31536001", "a" } },
	  "entry_timeout=31536001: too large; " EXPECTED_SECONDS("entry_timeout") },
	{ { { "-o", "entry_timeout=31536000.1", "a" } },
	  "entry_timeout=31536000.1: too large; " EXPECTED_SECONDS("entry_timeout") },
	{ { { "-o", "memory=", "a" } }, "memory=: the value is empty; expected memory=64M" },
	{ { { "-o", "memory", "a" } }, "memory: needs a value; expected memory=64M" },
	{ { { "-o", "memory=M", "a" } }, "memory=M: not a size; " EXPECTED_SIZE },
	{ { { "-o", "memory=64MB", "a" } }, "memory=64MB: not a size; " EXPECTED_SIZE },
	{ { { "-o", "memory=64T", "a" } }, "memory=64T: not a size; " EXPECTED_SIZE },
	{ { { "-o", "memory=-64M", "a" } }, "memory=-64M: not a size; " EXPECTED_SIZE },
	{ { { "-o", "memory=0.5G", "a" } }, "memory=0.5G: not a size; " EXPECTED_SIZE },
	{ { { "-o", "memory=0", "a" } }, "memory=0: too small; " EXPECTED_SIZE },
	{ { { "-o", "memory=4095k", "a" } }, "memory=4095k: too small; " EXPECTED_SIZE },
	{ { { "-o", "memory=129G", "a" } }, "memory=129G: too large; " EXPECTED_SIZE },
	{ { { "-o", "memory=18446744073709551617", "a" } },
	  "memory=18446744073709551617: too large; " EXPECTED_SIZE },
	{ { { "-o", "memory=17179869185G", "a" } },
	  "memory=17179869185G: too large; " EXPECTED_SIZE },
	{ { { "-o", "backend=fast", "a" } },
	  "backend=fast: no such value; expected backend=auto or backend=kernel or "
	  "backend=buffered or backend=direct or backend=ring" },
	/* What can't be. */
	{ { { "-o", "allow_other,allow_root", "a" } },
	  "allow_other,allow_root: only one of them can be" },
	{ { { "-o", "allow_root", "a", "-o", "allow_other" } },
	  "allow_other,allow_root: only one of them can be" },
	{ { { "-o", "remount,ro", "a" } },
	  "remount: ask mount(8): mount -o remount,ro|rw MOUNTPOINT; all else needs umount and mount" },
	/* What the user wrote can neither break the line nor push the rest off it. */
	{ { { "-o", "a\nb\x1b[31m\x7f", "a" } }, "a?b?[31m?: " SEE_HELP },
	{ { { "a", "b",
	      "0123456789012345678901234567890123456789012345678901234567890123456789" } },
	  "012345678901234567890123456789012345678901234567890123456789...: too many arguments; " EXPECTED_USAGE },
	{ { { "a", "b",
	      "01234567890123456789012345678901234567890123456789012345678\xc3\xa9 56789" } },
	  "01234567890123456789012345678901234567890123456789012345678...: too many arguments; " EXPECTED_USAGE },
};

START_TEST(test_refusal)
{
	char err[OPTIONS_ERR_LEN];
	struct options o;

	ck_assert_int_eq(parse(&o, &refusals[_i].line, err), 1);
	ck_assert_str_eq(err, refusals[_i].err);
	options_deinit(&o);
}
END_TEST

/* A huge number is too large, not infinite or undefined. */
START_TEST(test_long_number)
{
	char list[1024] = "attr_timeout=", err[OPTIONS_ERR_LEN];
	size_t len = strlen(list);
	struct options o;

	memset(list + len, '9', sizeof(list) - len - 1);
	memcpy(list + sizeof(list) - 4, ".99", 4);
	ck_assert_int_eq(parse(&o, &(struct line){ { "-o", list, "/s" } }, err), 1);
	ck_assert_ptr_nonnull(strstr(err, "...: too large; " EXPECTED_SECONDS("attr_timeout")));
	options_deinit(&o);

	/* Nor do many decimals become infinity divided by infinity. */
	memcpy(list + len, "0.5", 3);
	list[sizeof(list) - 4] = '9';
	PARSE_OK(&o, "-o", list, "/s");
	ck_assert_double_eq_tol(o.attr_timeout, 0.6, 1e-8);
	options_deinit(&o);
}
END_TEST

START_TEST(test_short_error_buffer)
{
	char *argv[] = { (char *)"overdrive", NULL };
	char err[4] = "xyz";
	struct options o;

	options_init(&o);
	ck_assert_int_eq(options_parse(&o, 1, argv, err, sizeof(err)), 1);
	ck_assert_str_eq(err, "SOU");
	ck_assert_int_eq(options_parse(&o, 1, argv, NULL, 0), 1);
	ck_assert_int_eq(options_parse(&o, 0, argv + 1, err, sizeof(err)), 1);
	options_deinit(&o);
}
END_TEST

/* xorshift64: the same lines on each machine. */
static unsigned int draw(unsigned long long *state, unsigned int below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (unsigned int)(*state >> 32) % below;
}

/* Pieces that reach far into the parser, mixed with arbitrary bytes. */
static void draw_argument(unsigned long long *state, char *buf, size_t size)
{
	static const char *const pieces[] = {
		"-o",	   "-",	  "--",	 "=",  ",",  "\\",	 "\\,",	 "-f",
		"-h",	   "-d",  "-t",	 "/s", ".",  "9",	 "help", "x-",
		"remount", "1e9", "nan", "-1", "\n", "\xc3\xa9", "\xff", "%s%n",
	};
	size_t n, len = 0;
	const struct option_def *table = options_table(&n);

	buf[0] = '\0';
	for (unsigned int count = draw(state, 8); count; count--) {
		char byte[2] = { (char)(1 + draw(state, 255)), '\0' };
		const char *piece = byte;
		unsigned int kind = draw(state, 5);

		if (kind < 2)
			piece = pieces[draw(state, ROWS(pieces))];
		else if (kind < 4)
			piece = table[draw(state, (unsigned int)n)].name;
		len += (size_t)snprintf(buf + len, size - len, "%s", piece);
		if (len >= size)
			return;
		if (draw(state, 40) == 0) /* now and then a very long one */
			count += 30;
	}
}

/* Whatever is said: it is either taken, or refused with one line that was not cut off. */
START_TEST(test_random_lines)
{
	unsigned long long state = 0x9e3779b97f4a7c15ULL;
	int taken = 0, refused = 0;

	for (int round = 0; round < 50000; round++) {
		static char args[ARGS_MAX][400];
		struct line line = { { NULL } };
		char err[OPTIONS_ERR_LEN];
		struct options o;
		unsigned int count = draw(&state, 6);
		int ret;

		for (unsigned int i = 0; i < count; i++) {
			draw_argument(&state, args[i], sizeof(args[i]));
			line.args[i] = args[i];
		}
		ret = parse(&o, &line, err);
		ck_assert_int_eq(ret, err[0] ? 1 : 0);
		ck_assert_uint_lt(strlen(err), OPTIONS_ERR_LEN - 1);
		for (const char *s = err; *s; s++)
			ck_assert((unsigned char)*s >= 0x20 && *s != 0x7f);
		if (!ret && !o.show_help && !o.show_version) {
			ck_assert(o.source && *o.source);
			ck_assert(!o.mountpoint || *o.mountpoint);
			ck_assert(o.attr_timeout == OPTIONS_TIMEOUT_AUTO ||
				  (o.attr_timeout >= 0 && o.attr_timeout <= OPTIONS_TIMEOUT_MAX));
		}
		*(ret ? &refused : &taken) += 1;
		options_deinit(&o);
	}
	/* A generator that only ever reaches one side tests little. */
	ck_assert_int_gt(taken, 1000);
	ck_assert_int_gt(refused, 1000);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("options_refused");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_refusal, 0, ROWS(refusals));
	tcase_add_test(tc, test_long_number);
	tcase_add_test(tc, test_short_error_buffer);
	tcase_add_test(tc, test_random_lines);
	return run_case("options_refused", tc);
}
