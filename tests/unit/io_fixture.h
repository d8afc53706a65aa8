/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the tests of io/: a backend, a pool, and a file in $TMPDIR that is open twice: as the backend
 * wants it, and plainly, to compare with.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/backend.h"

enum { RING, DIRECT, BUFFERED, BACKENDS };

static const struct io_backend_ops *const all_ops[BACKENDS] = {
	[RING] = &io_ring_ops,
	[DIRECT] = &io_direct_ops,
	[BUFFERED] = &io_buffered_ops,
};

struct fixture {
	const struct io_backend_ops *ops;
	struct io_backend *backend;
	struct pool *pool;
	int fd, plain;
	uint32_t alignment; /* of what the backend takes */
	char path[4096];
};

/* A generator of our own: the cases are the same everywhere. */
static inline uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* False: this backend is forbidden here, and the test has nothing to look at. */
static inline bool open_backend(struct fixture *f, int which, unsigned depth)
{
	struct io_limits limits = { .depth = depth };
	int err = 0;

	f->pool = pool_new(64u << 20, &err);
	ck_assert_ptr_nonnull(f->pool);
	f->ops = all_ops[which];
	limits.pool = f->pool;
	err = f->ops->open(&f->backend, &limits);
	if (which == RING && (err == -ENOSYS || err == -EPERM)) {
		fprintf(stderr, "skip: io_uring is not to be had here: %s\n", strerror(-err));
		pool_free(f->pool);
		return false;
	}
	ck_assert_int_eq(err, 0);
	return true;
}

/* What the file asks of O_DIRECT: 4096 where it doesn't say. */
static inline uint32_t file_alignment(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    (stx.stx_mask & STATX_DIOALIGN) && stx.stx_dio_offset_align)
		return stx.stx_dio_offset_align;
	return 4096;
}

/* An empty file; opened without O_DIRECT where the filesystem has none. */
static inline void open_files(struct fixture *f, int which)
{
	const char *dir = getenv("TMPDIR");

	snprintf(f->path, sizeof(f->path), "%s/test_io.XXXXXX", dir ? dir : "/tmp");
	f->plain = mkostemp(f->path, O_CLOEXEC);
	if (f->plain < 0) { /* somebody else's directory: some tests drop their privileges */
		strcpy(f->path, "/tmp/test_io.XXXXXX");
		f->plain = mkostemp(f->path, O_CLOEXEC);
	}
	ck_assert_int_ge(f->plain, 0);
	f->fd = -1;
	if (which != BUFFERED)
		f->fd = open(f->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (f->fd < 0)
		f->fd = open(f->path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(f->fd, 0);
	f->alignment = which == BUFFERED ? 1 : file_alignment(f->fd);
	unlink(f->path);
}

static inline bool set_up(struct fixture *f, int which, unsigned depth)
{
	memset(f, 0, sizeof(*f));
	if (!open_backend(f, which, depth))
		return false;
	open_files(f, which);
	return true;
}

static inline void tear_down(struct fixture *f)
{
	ck_assert_uint_eq(f->ops->in_flight(f->backend), 0);
	f->ops->close(f->backend);
	pool_free(f->pool);
	close(f->fd);
	close(f->plain);
}

static inline struct pool_buffer lease(struct fixture *f, size_t size)
{
	struct pool_buffer buffer;

	ck_assert_int_eq(pool_lease(f->pool, size, 1, &buffer, UINT64_MAX, NULL), 0);
	return buffer;
}

static inline ssize_t transfer(struct fixture *f, enum io_kind kind, int fd, uint64_t offset,
			       uint32_t length, struct pool_buffer buffer)
{
	struct io_request request = {
		.kind = kind,
		.fd = fd,
		.offset = offset,
		.length = length,
		.buffer = buffer,
	};

	return io_transfer(f->ops, f->backend, &request);
}

/* What a program gets from read or write until it is all there, the end, or an error. */
static inline ssize_t plainly(enum io_kind kind, int fd, uint64_t offset, size_t length, void *data)
{
	size_t moved = 0;

	do {
		ssize_t n = kind == IO_READ ? pread(fd, (char *)data + moved, length - moved,
						    (off_t)(offset + moved))
					    : pwrite(fd, (char *)data + moved, length - moved,
						     (off_t)(offset + moved));

		if (n < 0 && !moved)
			return -errno;
		if (n <= 0)
			break;
		moved += (size_t)n;
	} while (moved < length);
	return (ssize_t)moved;
}

static inline void fill_random(void *data, size_t size, uint64_t *seed)
{
	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint64_t word = draw(seed);

		memcpy((char *)data + i, &word, 8);
	}
}

/* A test case whose tests run once per backend. No time limit of ours: meson has one. */
static inline TCase *per_backend(const TTest *const *tests, size_t count)
{
	TCase *tc = tcase_create("io");

	tcase_set_timeout(tc, 110);
	for (size_t i = 0; i < count; i++)
		tcase_add_loop_test(tc, tests[i], 0, BACKENDS);
	return tc;
}
