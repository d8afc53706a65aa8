/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/directio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "util/cleanup.h"
#include "util/dontcache.h"

/* Newer than the headers of some distributions (Linux 6.1). */
#define ASK_DIOALIGN 0x2000u

/* What every block device and page size in use accepts; tried where statx says nothing. */
#define TRY_ALIGN 4096u
/* Files that want more (a realtime device's extents, say) gain nothing. */
#define ALIGN_MAX (64u << 10)

/* struct statx as Linux 6.1 has it, whatever the C library's headers know. */
struct statx_bytes {
	uint32_t mask;
	uint8_t skipped[0x94];
	uint32_t memory_align; /* at 0x98 */
	uint32_t offset_align;
	uint8_t rest[0x60];
};
_Static_assert(sizeof(struct statx_bytes) == 0x100, "struct statx has 256 bytes");

static bool ask_statx(struct device_direct *d, const struct sample_file *f)
{
	struct statx_bytes st = { 0 };

	if (syscall(SYS_statx, f->path_fd, "", AT_EMPTY_PATH, ASK_DIOALIGN, &st) < 0 ||
	    !(st.mask & ASK_DIOALIGN))
		return false;
	d->works = st.memory_align && st.offset_align ? DEVICE_YES : DEVICE_NO;
	d->memory_align = st.memory_align;
	d->offset_align = st.offset_align;
	if (d->works == DEVICE_NO)
		d->error = EINVAL;
	return true;
}

uint32_t directio_align(int fd)
{
	struct device_direct d = { 0 };
	const struct sample_file f = { .path_fd = fd };

	if (!ask_statx(&d, &f))
		return TRY_ALIGN;
	if (d.works != DEVICE_YES || d.offset_align > ALIGN_MAX ||
	    (d.offset_align & (d.offset_align - 1)))
		return 0;
	return d.offset_align > 1 ? d.offset_align : 2;
}

static bool try_read(struct device_direct *d, const struct sample_file *f)
{
	autoclose int fd = f->fd < 0 ? -EACCES : sample_open_direct(f);
	autofree void *buffer = aligned_alloc(TRY_ALIGN, TRY_ALIGN);
	ssize_t n;

	if (!buffer || f->fd < 0)
		return false;
	d->tried = true;
	if (fd < 0) {
		d->error = -fd;
		d->works = DEVICE_NO;
		return true;
	}
	n = pread(fd, buffer, TRY_ALIGN, (off_t)(f->begin / TRY_ALIGN * TRY_ALIGN));
	d->error = n < 0 ? errno : 0;
	d->works = n < 0 ? DEVICE_NO : DEVICE_YES;
	if (n >= 0)
		d->memory_align = d->offset_align = TRY_ALIGN;
	return true;
}

/* At the end of the file nothing is read, but the flag is looked at. */
static void try_dontcache(struct device_direct *d, const struct sample_file *f)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	off_t end = lseek(f->fd, 0, SEEK_END);

	if (f->fd < 0 || end < 0)
		return;
	if (preadv2(f->fd, &iov, 1, end, RWF_DONTCACHE) >= 0)
		d->dontcache = DEVICE_YES;
	else if (errno == EOPNOTSUPP || errno == EINVAL)
		d->dontcache = DEVICE_NO;
}

void directio_probe(struct device_direct *d, const struct sample *sample)
{
	*d = (struct device_direct){ .works = DEVICE_UNSAID, .dontcache = DEVICE_UNSAID };
	for (unsigned i = 0; i < sample->count && d->works == DEVICE_UNSAID; i++)
		if (!ask_statx(d, &sample->files[i]))
			try_read(d, &sample->files[i]);
	for (unsigned i = 0; i < sample->count && d->dontcache == DEVICE_UNSAID; i++)
		try_dontcache(d, &sample->files[i]);
}
