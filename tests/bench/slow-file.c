// slow-file IMAGE FILE MICROSECONDS: shows IMAGE as FILE by FUSE, each of whose requests is answered so
// long after it was made, however many there are at once. Used by tests/bench/slow-disk.
//
// What it shows costs little: IMAGE is on tmpfs and mapped, so that a read is copied once, by the kernel.
// A disk that takes the machine's processors for itself, as nbdkit behind nbdfuse does, bounds what is
// measured on it. Both ends of its queue are one thread each, as the delay is the same for all.
//
// IMAGE must stay as long as it is: a page that is not there any more is a SIGBUS.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S    1000000000ull
#define LARGEST	    (1u << 20) // of one request, in bytes
#define ROOM	    (LARGEST + 65536)
#define DEPTH	    2048 // answers that are owed; a power of two
#define MOST_AT_ONE 1024 // requests, which the kernel sends: fewer than DEPTH

struct answer {
	struct fuse_out_header header;
	struct fuse_write_out written;
	const void *data; // after the header
	uint64_t due;	  // ns
};

struct disk {
	int fuse;
	char *image;
	uint64_t size, delay;
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned head, count; // of owed
	struct answer owed[DEPTH];
};

static void die(const char *what)
{
	fprintf(stderr, "slow-file: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void answer(const struct disk *d, const struct fuse_out_header *header, const void *data)
{
	struct iovec parts[] = { { (void *)header, sizeof(*header) },
				 { (void *)data, header->len - sizeof(*header) } };

	// ENOENT: nobody waits for it any more.
	if (writev(d->fuse, parts, parts[1].iov_len ? 2 : 1) < 0 && errno != ENOENT &&
	    errno != ENODEV)
		die("writev");
}

static void answer_now(const struct disk *d, const struct fuse_in_header *in, int error,
		       const void *data, size_t size)
{
	struct fuse_out_header header = { (uint32_t)(sizeof(header) + size), error, in->unique };

	answer(d, &header, data);
}

// In the order of the requests, which is that of what is due.
static void *answering(void *argument)
{
	struct disk *d = argument;

	prctl(PR_SET_TIMERSLACK, 1);
	for (;;) {
		struct answer a;
		struct timespec due;

		pthread_mutex_lock(&d->lock);
		while (!d->count)
			pthread_cond_wait(&d->more, &d->lock);
		a = d->owed[d->head++ % DEPTH];
		d->count--;
		pthread_mutex_unlock(&d->lock);
		due.tv_sec = (time_t)(a.due / NS_PER_S);
		due.tv_nsec = (long)(a.due % NS_PER_S);
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL))
			;
		answer(d, &a.header, a.data ? a.data : &a.written);
	}
	return NULL;
}

static void owe(struct disk *d, const struct fuse_in_header *in, const void *data, uint32_t size)
{
	struct answer a = { .data = data, .due = now() + d->delay };

	a.header.unique = in->unique;
	a.header.len = (uint32_t)(sizeof(a.header) + (data ? size : sizeof(a.written)));
	a.written.size = size;
	pthread_mutex_lock(&d->lock);
	if (d->count == DEPTH) {
		errno = ENOSPC;
		die("more requests than were allowed");
	}
	d->owed[(d->head + d->count++) % DEPTH] = a;
	pthread_cond_signal(&d->more);
	pthread_mutex_unlock(&d->lock);
}

static uint32_t within(const struct disk *d, uint64_t offset, uint32_t size)
{
	if (offset >= d->size)
		return 0;
	return d->size - offset < size ? (uint32_t)(d->size - offset) : size;
}

static void read_it(struct disk *d, const struct fuse_in_header *in, const struct fuse_read_in *r)
{
	owe(d, in, d->image + r->offset, within(d, r->offset, r->size));
}

static void write_it(struct disk *d, const struct fuse_in_header *in, const struct fuse_write_in *w)
{
	uint32_t size = within(d, w->offset, w->size);

	memcpy(d->image + w->offset, w + 1, size);
	owe(d, in, NULL, size);
}

static void tell_attributes(const struct disk *d, const struct fuse_in_header *in)
{
	struct fuse_attr_out out = { .attr_valid = 3600 };

	out.attr.ino = FUSE_ROOT_ID;
	out.attr.mode = S_IFREG | 0600;
	out.attr.nlink = 1;
	out.attr.size = d->size;
	out.attr.blocks = d->size / 512;
	out.attr.blksize = 4096;
	answer_now(d, in, 0, &out, sizeof(out));
}

static void begin(const struct disk *d, const struct fuse_in_header *in,
		  const struct fuse_init_in *init)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = init->max_readahead,
		.flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ASYNC_DIO | FUSE_MAX_PAGES,
		.max_background = MOST_AT_ONE,
		.congestion_threshold = MOST_AT_ONE,
		.max_write = LARGEST,
		.time_gran = 1,
		.max_pages = LARGEST / 4096,
	};

	answer_now(d, in, 0, &out, sizeof(out));
}

static void serve(struct disk *d, const struct fuse_in_header *in)
{
	static const struct fuse_open_out opened; // zeros

	switch (in->opcode) {
	case FUSE_INIT:
		begin(d, in, (const void *)(in + 1));
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		tell_attributes(d, in);
		break;
	case FUSE_OPEN:
		answer_now(d, in, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		read_it(d, in, (const void *)(in + 1));
		break;
	case FUSE_WRITE:
		write_it(d, in, (const void *)(in + 1));
		break;
	case FUSE_FSYNC:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer_now(d, in, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer_now(d, in, -ENOSYS, NULL, 0);
	}
}

static void map(struct disk *d, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	d->size = (uint64_t)st.st_size;
	d->image = mmap(NULL, d->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (d->image == MAP_FAILED)
		die("mmap");
	close(fd);
}

static void show(struct disk *d, const char *file)
{
	char options[128];

	d->fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (d->fuse < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=100600,user_id=0,group_id=0,max_read=%u",
		 d->fuse, LARGEST);
	if (mount("slow-file", file, "fuse.slow-file", MS_NOSUID | MS_NODEV, options) < 0)
		die(file);
}

int main(int argc, char **argv)
{
	struct disk *d = calloc(1, sizeof(*d));
	char *request = aligned_alloc(4096, ROOM);
	pthread_t thread;

	if (argc != 4 || !d || !request) {
		fprintf(stderr, "usage: slow-file IMAGE FILE MICROSECONDS\n");
		return 1;
	}
	d->delay = strtoull(argv[3], NULL, 10) * 1000;
	map(d, argv[1]);
	show(d, argv[2]);
	if (daemon(0, 0) < 0)
		die("daemon");
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->more, NULL);
	errno = pthread_create(&thread, NULL, answering, d);
	if (errno)
		die("pthread_create");
	for (;;) {
		ssize_t n = read(d->fuse, request, ROOM);

		if (n < 0 && errno == ENODEV) // unmounted
			return 0;
		if (n < 0 && errno != EINTR && errno != ENOENT)
			die("read");
		if (n > 0)
			serve(d, (const void *)request);
	}
}
