// SPDX-License-Identifier: GPL-2.0-only
/* Several writers of one file: O_APPEND, records, readers that look on. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORD	64
#define RECORDS 500

struct writer {
	int id;
	const char *path;
	int start; /* read end of a pipe; all begin when it closes */
};

static void append_records(struct ops *o, void *arg)
{
	const struct writer *w = arg;
	char rec[RECORD + 1];
	int fd = open(w->path, O_WRONLY | O_APPEND);
	int i;

	(void)o;
	if (read(w->start, rec, 1) != 0)
		_exit(4);
	for (i = 0; i < RECORDS; i++) {
		snprintf(rec, sizeof(rec), "%d %4d %056d\n", w->id, i, w->id * 7919 + i);
		if (write(fd, rec, RECORD) != RECORD)
			_exit(5);
	}
}

static int check_records(const char *path, int writers)
{
	char rec[RECORD + 1] = "", want[RECORD + 1];
	int next[16] = { 0 }, bad = 0, n = 0;
	FILE *f = fopen(path, "r");

	while (f && fread(rec, 1, RECORD, f) == RECORD) {
		int id = rec[0] - '0';

		n++;
		if (id < 0 || id >= writers) {
			bad++;
			continue;
		}
		snprintf(want, sizeof(want), "%d %4d %056d\n", id, next[id], id * 7919 + next[id]);
		bad += !!memcmp(rec, want, RECORD);
		next[id]++;
	}
	if (f)
		fclose(f);
	return bad + (n != writers * RECORDS);
}

static void append_writers(struct ops *o)
{
	struct writer w[4];
	pid_t pids[4];
	int start[2], i;

	ops_mk(o, "log", "");
	if (pipe(start) < 0)
		return;
	for (i = 0; i < 4; i++) {
		w[i] = (struct writer){ .id = i, .path = "log", .start = start[0] };
		fflush(NULL);
		pids[i] = fork();
		if (!pids[i]) {
			close(start[1]);
			append_records(o, &w[i]);
			_exit(0);
		}
	}
	close(start[0]);
	close(start[1]);
	for (i = 0; i < 4; i++)
		ops_reap(o, "writer", pids[i]);
	SHOW(o, "log");
	ops_say(o, "records wrong", "%d", check_records("log", 4));
}

/* Two descriptors of one process, one appending, one not. */
static void append_two(struct ops *o)
{
	int a, b;

	ops_mk(o, "f", "");
	a = ops_open(o, "f", O_RDWR | O_APPEND);
	b = ops_open(o, "f", O_WRONLY);
	TRY(o, write(a, "aaaa", 4));
	TRY(o, write(b, "bb", 2));
	TRY(o, write(a, "AA", 2));
	TRY(o, lseek(a, 0, SEEK_CUR));
	TRY(o, lseek(b, 0, SEEK_CUR));
	TRY(o, write(b, "BBBBBBBB", 8));
	TRY(o, write(a, "end", 3));
	ops_content(o, "content", a);
	TRY(o, pwrite(a, "appended all the same", 21, 0));
	ops_content(o, "content", a);
	TRY(o, ftruncate(a, 2));
	TRY(o, write(a, "X", 1));
	ops_content(o, "content", a);
	TRY(o, lseek(a, 100, SEEK_SET));
	TRY(o, write(a, "Y", 1));
	TRY(o, lseek(a, 0, SEEK_CUR));
	SHOW(o, "f");
	TRY(o, ftruncate(b, 0));
	TRY(o, write(a, "Z", 1));
	ops_content(o, "content", a);
}

static void grow(struct ops *o, void *arg)
{
	int fd = open(arg, O_WRONLY | O_APPEND);
	int i;

	(void)o;
	for (i = 0; i < 300; i++)
		if (write(fd, "0123456789", 10) != 10)
			_exit(5);
}

/* A reader that follows a growing file sees each byte once, as tail -f does. */
static void append_follow(struct ops *o)
{
	char buf[64], name[] = "grows";
	long total = 0, bad = 0;
	bool ended = false;
	pid_t pid;
	int fd;

	ops_mk(o, name, "");
	fd = ops_open(o, name, O_RDONLY);
	pid = ops_spawn(o, grow, name);
	while (total < 3000) {
		bool last = ended;
		ssize_t i, n;

		ended = ended || waitpid(pid, NULL, WNOHANG) == pid;
		n = read(fd, buf, sizeof(buf));
		if (n < 0 || (!n && last))
			break;
		for (i = 0; i < n; i++)
			bad += buf[i] != '0' + (total + i) % 10;
		total += n;
		bad += ops_fstat(fd).st_size < total;
	}
	if (!ended)
		ops_reap(o, "writer", pid);
	ops_say(o, "read", "%ld bytes, %ld wrong", total, bad);
	TRY(o, read(fd, buf, sizeof(buf)));
	TRY(o, write(ops_open(o, name, O_WRONLY | O_APPEND), "tail", 4));
	TRY(o, read(fd, buf, sizeof(buf)));
}

/* The size that stat tells right after each way of changing it, by another name and fd. */
static void size_at_once(struct ops *o)
{
	int a, b, i, bad = 0;
	char buf[100] = "";

	ops_mk(o, "f", "");
	TRY(o, link("f", "g"));
	a = ops_open(o, "f", O_RDWR);
	b = ops_open(o, "g", O_RDWR);
	for (i = 1; i <= 100; i++) {
		bad += pwrite(a, buf, 10, i * 100) != 10;
		bad += ops_lstat("g").st_size != i * 100 + 10;
		bad += ops_fstat(b).st_size != i * 100 + 10;
		bad += lseek(b, 0, SEEK_END) != i * 100 + 10;
		bad += ftruncate(b, i * 100 + 50) < 0;
		bad += ops_lstat("f").st_size != i * 100 + 50;
		bad += lseek(a, 0, SEEK_END) != i * 100 + 50;
		bad += pread(a, buf, 100, i * 100) != 50;
		bad += truncate("f", i * 100 + 5) < 0;
		bad += ops_fstat(a).st_size != i * 100 + 5;
		bad += ops_fstat(b).st_size != i * 100 + 5;
	}
	ops_say(o, "wrong sizes", "%d", bad);
	ops_content(o, "content", a);
}

const struct scenario append_scenarios[] = {
	{ "append_writers", append_writers, OPS_BOTH },
	{ "append_two", append_two, OPS_BOTH },
	{ "append_follow", append_follow, OPS_BOTH },
	{ "size_at_once", size_at_once, OPS_BOTH },
	{ 0 },
};
