// SPDX-License-Identifier: GPL-2.0-only
/* copy_file_range, sendfile, splice, vmsplice, tee. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void copy_ranges(struct ops *o)
{
	off_t from = 0, to = 0;
	int in, out;

	ops_mk_sized(o, "src", 100000);
	in = ops_open(o, "src", O_RDONLY);
	out = ops_open(o, "dst", O_RDWR | O_CREAT);
	TRY(o, copy_file_range(in, &from, out, &to, 100000, 0));
	ops_say(o, "offsets", "%lld %lld", (long long)from, (long long)to);
	SHOW(o, "dst");
	ops_content(o, "dst", out);
	TRY(o, copy_file_range(in, &from, out, &to, 100000, 0));
	from = 90000;
	TRY(o, copy_file_range(in, &from, out, &to, 100000, 0));
	SHOW(o, "dst");
	from = 1;
	to = 200001;
	TRY(o, copy_file_range(in, &from, out, &to, 5000, 0));
	SHOW(o, "dst");
	ops_content(o, "dst", out);
	TRY(o, copy_file_range(in, NULL, out, NULL, 10, 0));
	TRY(o, lseek(in, 0, SEEK_CUR));
	TRY(o, lseek(out, 0, SEEK_CUR));
	TRY(o, copy_file_range(in, NULL, out, NULL, 0, 0));
	TIMES(o, "dst", copy_file_range(in, NULL, out, NULL, 10, 0));
	TRY(o, copy_file_range(out, &from, in, &to, 10, 0));
	TRY(o, copy_file_range(in, NULL, out, NULL, 10, 1));
	ops_content(o, "dst at last", out);
}

static void copy_errors(struct ops *o)
{
	off_t from = 0, to = 0;
	int f, dir, app, p[2];

	ops_mk_sized(o, "f", 50000);
	f = ops_open(o, "f", O_RDWR);
	dir = ops_open(o, ".", O_RDONLY);
	app = ops_open(o, "g", O_RDWR | O_CREAT | O_APPEND);
	if (pipe(p) < 0)
		return;
	TRY(o, copy_file_range(f, NULL, dir, NULL, 10, 0));
	TRY(o, copy_file_range(dir, NULL, f, NULL, 10, 0));
	TRY(o, copy_file_range(f, NULL, app, NULL, 10, 0));
	TRY(o, copy_file_range(f, NULL, p[1], NULL, 10, 0));
	TRY(o, copy_file_range(-1, NULL, f, NULL, 10, 0));
	to = 10;
	TRY(o, copy_file_range(f, &from, f, &to, 100, 0));
	to = 100;
	TRY(o, copy_file_range(f, &from, f, &to, 100, 0));
	ops_bytes(o, "offsets", &to, sizeof(to));
	from = -1;
	TRY(o, copy_file_range(f, &from, f, &to, 100, 0));
	ops_content(o, "f", f);
	f = ops_open(o, "f", O_WRONLY);
	TRY(o, copy_file_range(f, NULL, ops_open(o, "h", O_RDWR | O_CREAT), NULL, 100, 0));
}

/* What was just written through another descriptor or a name is copied, too. */
static void copy_fresh(struct ops *o)
{
	off_t from = 0, to = 0;
	int in = ops_open(o, "src", O_RDWR | O_CREAT);
	int out = ops_open(o, "dst", O_RDWR | O_CREAT);
	char buf[16] = "";

	TRY(o, write(in, "fresh data", 10));
	TRY(o, copy_file_range(in, &from, out, &to, 100, 0));
	SHOWFD(o, out);
	ops_content(o, "dst", out);
	TRY(o, pwrite(in, "FRESH", 5, 0));
	from = to = 0;
	TRY(o, copy_file_range(in, &from, out, &to, 5, 0));
	TRY(o, pread(out, buf, 10, 0));
	ops_bytes(o, "copied over", buf, 10);
	TRY(o, ftruncate(in, 4));
	from = 0;
	TRY(o, copy_file_range(in, &from, out, &to, 100, 0));
	SHOW(o, "dst");
	TRY(o, unlink("src"));
	from = 0;
	TRY(o, copy_file_range(in, &from, out, &to, 100, 0));
	ops_content_path(o, "dst", "dst");
}

static void sendfiles(struct ops *o)
{
	int in, out, sv[2];
	char buf[64] = "";
	off_t at = 10;

	ops_mk_sized(o, "src", 70000);
	in = ops_open(o, "src", O_RDONLY);
	out = ops_open(o, "dst", O_RDWR | O_CREAT);
	TRY(o, sendfile(out, in, NULL, 100000));
	ops_content(o, "dst", out);
	TRY(o, lseek(in, 0, SEEK_CUR));
	TRY(o, sendfile(out, in, &at, 20));
	ops_say(o, "offset", "%lld", (long long)at);
	SHOW(o, "dst");
	at = 70000;
	TRY(o, sendfile(out, in, &at, 20));
	at = -1;
	TRY(o, sendfile(out, in, &at, 20));
	TRY(o, sendfile(in, out, NULL, 20));
	TRY(o, sendfile(ops_open(o, "app", O_WRONLY | O_CREAT | O_APPEND), in, NULL, 20));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return;
	at = 100;
	TRY(o, sendfile(sv[0], in, &at, 50));
	TRY(o, recv(sv[1], buf, sizeof(buf), 0));
	ops_bytes(o, "received", buf, 50);
	TRY(o, sendfile(out, sv[1], NULL, 20));
	TRY(o, sendfile(out, ops_open(o, ".", O_RDONLY), NULL, 20));
}

static void splices(struct ops *o)
{
	int in, out, p[2], q[2];
	char buf[64] = "", vm[] = "out of memory into a pipe";
	struct iovec iov = { vm, sizeof(vm) - 1 };
	off_t at = 5;

	ops_mk_sized(o, "src", 40000);
	in = ops_open(o, "src", O_RDONLY);
	out = ops_open(o, "dst", O_RDWR | O_CREAT);
	if (pipe(p) < 0 || pipe(q) < 0)
		return;
	TRY(o, splice(in, &at, p[1], NULL, 1000, 0));
	TRY(o, splice(p[0], NULL, out, NULL, 1000, 0));
	ops_content(o, "dst", out);
	TRY(o, splice(in, NULL, p[1], NULL, 30, 0));
	TRY(o, tee(p[0], q[1], 30, 0));
	TRY(o, read(q[0], buf, sizeof(buf)));
	ops_bytes(o, "tee", buf, 30);
	at = 5000;
	TRY(o, splice(p[0], NULL, out, &at, 30, SPLICE_F_MOVE));
	SHOW(o, "dst");
	TRY(o, vmsplice(p[1], &iov, 1, 0));
	TRY(o, splice(p[0], NULL, out, NULL, 100, 0));
	ops_content(o, "dst", out);
	at = 100000;
	TRY(o, splice(in, &at, p[1], NULL, 100, 0));
	TRY(o, splice(in, NULL, out, NULL, 100, 0));
	TRY(o, splice(out, NULL, p[1], NULL, 100, 0));
	out = ops_open(o, "dst", O_WRONLY | O_APPEND);
	TRY(o, splice(p[0], NULL, out, NULL, 100, SPLICE_F_NONBLOCK));
	TRY(o, write(p[1], "z", 1));
	TRY(o, splice(p[0], NULL, out, NULL, 100, SPLICE_F_NONBLOCK));
}

/* A pipe that was filled from a file shows the file's pages: later writes may be seen, but
 * a whole copy through pipes has to be right.
 */
static void splice_whole(struct ops *o)
{
	int in, out, p[2];
	ssize_t n, total = 0;

	ops_mk_sized(o, "src", 1234567);
	in = ops_open(o, "src", O_RDONLY);
	out = ops_open(o, "dst", O_WRONLY | O_CREAT);
	if (pipe(p) < 0)
		return;
	while ((n = splice(in, NULL, p[1], NULL, 65536, 0)) > 0) {
		while (n > 0) {
			ssize_t m = splice(p[0], NULL, out, NULL, (size_t)n, 0);

			if (m <= 0)
				break;
			n -= m;
			total += m;
		}
		if (n)
			break;
	}
	ops_say(o, "copied", "%zd", total);
	ops_content_path(o, "src", "src");
	ops_content_path(o, "dst", "dst");
	SHOW(o, "dst");
}

const struct scenario copy_scenarios[] = {
	{ "copy_ranges", copy_ranges, OPS_BOTH },
	{ "copy_errors", copy_errors, OPS_BOTH },
	{ "copy_fresh", copy_fresh, OPS_BOTH },
	{ "sendfiles", sendfiles, OPS_BOTH },
	{ "splices", splices, OPS_BOTH },
	{ "splice_whole", splice_whole, OPS_BOTH },
	{ 0 },
};
