// The measuring half of tests/bench/peers for operations on names and small writes: one kind, in
// one directory, for a while.  Prints one number: operations a second.
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char page[4096];
static unsigned serial; // names are new in each run

static void must(int result, const char *what)
{
	if (result < 0)
		err(1, "%s", what);
}

static const char *name(char *buf, size_t size, unsigned i)
{
	snprintf(buf, size, "n%x-%u", serial, i);
	return buf;
}

static void absent(unsigned i)
{
	char buf[32];
	struct stat st;

	if (stat(name(buf, sizeof(buf), i), &st) == 0 || errno != ENOENT)
		err(1, "%s", buf);
}

static void create(unsigned i)
{
	char buf[32];
	int fd = open(name(buf, sizeof(buf), i), O_WRONLY | O_CREAT | O_EXCL, 0644);

	must(fd, buf);
	must((int)write(fd, page, 100), "write");
	must(close(fd), "close");
}

static void delete (unsigned i)
{
	char buf[32];

	must(unlink(name(buf, sizeof(buf), i)), buf);
}

static void make_dir(unsigned i)
{
	char buf[32];

	must(mkdir(name(buf, sizeof(buf), i), 0755), buf);
	must(rmdir(buf), buf);
}

static void move(unsigned i)
{
	must(i % 2 ? rename("moved.b", "moved.a") : rename("moved.a", "moved.b"), "rename");
}

static int held = -1;

static void write_page(unsigned i)
{
	must((int)pwrite(held, page, sizeof(page), (off_t)(i % 64) * 4096), "write");
}

static void sync_page(unsigned i)
{
	write_page(i);
	must(fsync(held), "fsync");
}

// Operations a second. At most `most`, of which there is something to be had.
static double timed(void (*op)(unsigned), double seconds, unsigned most, unsigned *done)
{
	double begin = now(), end = begin;
	unsigned i = 0;

	while (end - begin < seconds && i < most) {
		for (unsigned stop = i + 16; i < stop && i < most; i++)
			op(i);
		end = now();
	}
	*done = i;
	return i / (end - begin);
}

int main(int argc, char **argv)
{
	double rate, seconds;
	unsigned n, made;

	if (argc != 4)
		errx(2, "usage: nameio KIND DIR SECONDS");
	serial = (unsigned)getpid() ^ (unsigned)(now() * 1000) << 12;
	seconds = strtod(argv[3], NULL);
	must(chdir(argv[2]), argv[2]);
	if (!strcmp(argv[1], "absent")) {
		rate = timed(absent, seconds, -1u, &n);
	} else if (!strcmp(argv[1], "create")) {
		rate = timed(create, seconds, -1u, &n);
		timed(delete, 1e9, n, &made);
	} else if (!strcmp(argv[1], "unlink")) {
		timed(create, seconds, -1u, &made);
		rate = timed(delete, 1e9, made, &n);
	} else if (!strcmp(argv[1], "mkdir")) {
		rate = timed(make_dir, seconds, -1u, &n);
	} else if (!strcmp(argv[1], "rename")) {
		must(close(open("moved.a", O_WRONLY | O_CREAT, 0644)), "moved.a");
		rate = timed(move, seconds, -1u, &n);
		unlink("moved.a");
		unlink("moved.b");
	} else {
		held = open("held", O_RDWR | O_CREAT, 0644);
		must(held, "held");
		rate = timed(!strcmp(argv[1], "fsync") ? sync_page : write_page, seconds, -1u, &n);
		close(held);
		unlink("held");
	}
	printf("%.1f\n", rate);
	return 0;
}
