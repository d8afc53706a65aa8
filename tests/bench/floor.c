/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * floor SOURCE MOUNTPOINT auto|sleep|spin|qos: what any FUSE server could reach at best. It knows the
 * tree by heart from its start, so it answers names, attributes and listings at once, has the kernel
 * read and write by itself, keeps what it has opened, and does nothing for a change but the one
 * system call that is natively needed. It waits for requests as overdrive does, by its code.
 *
 * For tests/bench/peers only: no threads, no errors worth the name, everybody is root, and whoever
 * changes SOURCE is not noticed. Timeouts are overdrive's, and so is what is agreed with the kernel.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "floor.h"
#include "fs/latency.h"
#include "util/clock.h"

enum { WRITE_MAX = 1 << 17, ROOM = 1 << 20, NO_REPLY = INT_MIN };

static int op_lookup(const struct call *c)
{
	struct entry *e = *floor_find(c->floor, c->node, c->in);

	if (e)
		return floor_give_entry(e->node, c->out);
	*(struct fuse_entry_out *)c->out = (struct fuse_entry_out){ .entry_valid = 1 };
	return sizeof(struct fuse_entry_out);
}

static void forget(struct floor *f, uint64_t id, uint64_t lookups)
{
	struct node *n = floor_node_of(f, id);

	if (n == f->root)
		return;
	n->lookups -= lookups;
	floor_free_unused(n);
}

static int op_forget(const struct call *c)
{
	forget(c->floor, c->header->nodeid, ((const struct fuse_forget_in *)c->in)->nlookup);
	return NO_REPLY;
}

static int op_batch_forget(const struct call *c)
{
	const struct fuse_batch_forget_in *in = c->in;
	const struct fuse_forget_one *one = (const void *)(in + 1);

	for (unsigned i = 0; i < in->count; i++)
		forget(c->floor, one[i].nodeid, one[i].nlookup);
	return NO_REPLY;
}

int op_getattr(const struct call *c)
{
	*(struct fuse_attr_out *)c->out =
		(struct fuse_attr_out){ .attr_valid = 1, .attr = *floor_attr(c->node) };
	return sizeof(struct fuse_attr_out);
}

static int op_readlink(const struct call *c)
{
	const char *target = c->node->target;

	return target ? (int)strlen(strcpy(c->out, target)) : -EINVAL;
}

static int attach(struct floor *f, struct node *n, unsigned flags, struct fuse_open_out *o)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY;
	struct fuse_backing_map map = { .fd = floor_reach(n) };

	if (!n->backing)
		n->backing = ioctl(f->receive.fd, FUSE_DEV_IOC_BACKING_OPEN, &map);
	if (n->backing <= 0) {
		n->backing = 0;
		return -errno;
	}
	n->opens++;
	n->writers += writes;
	*o = (struct fuse_open_out){ .fh = writes,
				     .open_flags = FOPEN_PASSTHROUGH | FOPEN_NOFLUSH,
				     .backing_id = n->backing };
	return sizeof(*o);
}

static int op_open(const struct call *c)
{
	const struct fuse_open_in *in = c->in;
	struct node *n = c->node;
	int size = attach(c->floor, n, in->flags, c->out);

	n->stale |= n->writers > 0;
	return size;
}

static int op_create(const struct call *c)
{
	const struct fuse_create_in *in = c->in;
	const char *name = (const char *)(in + 1);
	mode_t mode = in->mode & ~in->umask & 07777;
	int size, fd = openat(floor_reach(c->node), name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			      mode);
	struct node *n;

	if (fd < 0)
		return -errno;
	n = floor_made(c, name, S_IFREG | mode);
	n->fd = fd;
	n->real = true;
	size = floor_give_entry(n, c->out);
	size += attach(c->floor, n, in->flags, (void *)((char *)c->out + size));
	n->stale = true;
	return size;
}

static int op_release(const struct call *c)
{
	struct node *n = c->node;

	n->writers -= ((const struct fuse_release_in *)c->in)->fh == 1;
	/* Who only reads will come again. */
	if (--n->opens == 0 && (n->real || !n->links))
		floor_let_go(c->floor, n);
	floor_free_unused(n);
	return 0;
}

/* Only for who announces what he will read. */
static int op_read(const struct call *c)
{
	const struct fuse_read_in *in = c->in;
	ssize_t n = pread(floor_real(c->node), c->out, in->size, (off_t)in->offset);

	return n < 0 ? -errno : (int)n;
}

static int op_fsync(const struct call *c)
{
	return fsync(floor_real(c->node)) < 0 ? -errno : 0;
}

static int op_nothing(const struct call *c)
{
	(void)c;
	return 0;
}

static int op_opendir(const struct call *c)
{
	c->node->opens++;
	*(struct fuse_open_out *)c->out = (struct fuse_open_out){ 0 };
	return sizeof(struct fuse_open_out);
}

static int op_releasedir(const struct call *c)
{
	struct node *dir = c->node;
	unsigned count = 0;

	if (--dir->opens || !dir->holes)
		return 0;
	for (unsigned i = 0; i < dir->count; i++)
		if ((dir->child[count] = dir->child[i]))
			dir->child[count]->at = count, count++;
	dir->count = count;
	dir->holes = 0;
	return 0;
}

static int list(const struct call *c, bool plus)
{
	const struct fuse_read_in *in = c->in;
	char *out = c->out;
	struct node *dir = c->node;
	size_t used = 0, before = plus ? sizeof(struct fuse_entry_out) : 0;

	for (uint64_t at = in->offset; at < dir->count + 2; at++) {
		struct entry *e = at < 2 ? NULL : dir->child[at - 2];
		const char *name = e ? e->name : &".."[1 - at % 2];
		size_t length = strlen(name), need;
		struct fuse_dirent *d = (void *)(out + used + before);
		struct node *n = e ? e->node : dir;

		need = before + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
		if (at >= 2 && !e)
			continue;
		if (used + need > in->size)
			break;
		memset(out + used, 0, before);
		if (plus && e)
			floor_give_entry(n, (void *)(out + used));
		*d = (struct fuse_dirent){ .ino = n->attr.ino,
					   .off = at + 1,
					   .namelen = (uint32_t)length,
					   .type = n->attr.mode >> 12 };
		memcpy(d->name, name, length);
		used += need;
	}
	return (int)used;
}

static int op_readdir(const struct call *c)
{
	return list(c, false);
}

static int op_readdirplus(const struct call *c)
{
	return list(c, true);
}

static int op_statfs(const struct call *c)
{
	*(struct fuse_statfs_out *)c->out = (struct fuse_statfs_out){ .st = { .blocks = 1 << 20,
									      .bfree = 1 << 19,
									      .bavail = 1 << 19,
									      .files = 1 << 20,
									      .ffree = 1 << 19,
									      .bsize = 4096,
									      .namelen = 255,
									      .frsize = 4096 } };
	return sizeof(struct fuse_statfs_out);
}

static int op_getxattr(const struct call *c)
{
	return op_nothing(c) - ENODATA;
}

static int op_listxattr(const struct call *c)
{
	*(struct fuse_getxattr_out *)c->out = (struct fuse_getxattr_out){ 0 };
	return ((const struct fuse_getxattr_in *)c->in)->size
		       ? 0
		       : (int)sizeof(struct fuse_getxattr_out);
}

static int op_init(const struct call *c)
{
	const struct fuse_init_in *in = c->in;
	uint64_t flags = FUSE_ASYNC_READ | FUSE_DO_READDIRPLUS | FUSE_ASYNC_DIO | FUSE_BIG_WRITES |
			 FUSE_PARALLEL_DIROPS | FUSE_CACHE_SYMLINKS | FUSE_DONT_MASK |
			 FUSE_POSIX_ACL | FUSE_HANDLE_KILLPRIV_V2 | FUSE_EXPLICIT_INVAL_DATA |
			 FUSE_INIT_EXT | FUSE_PASSTHROUGH;

	flags &= in->flags | (uint64_t)in->flags2 << 32;
	*(struct fuse_init_out *)c->out = (struct fuse_init_out){
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in->max_readahead,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = WRITE_MAX,
		.time_gran = 1,
		.max_stack_depth = 1,
	};
	return sizeof(struct fuse_init_out);
}

typedef int (*op)(const struct call *);

static const op ops[] = {
	[FUSE_LOOKUP] = op_lookup,
	[FUSE_FORGET] = op_forget,
	[FUSE_BATCH_FORGET] = op_batch_forget,
	[FUSE_GETATTR] = op_getattr,
	[FUSE_SETATTR] = op_setattr,
	[FUSE_READLINK] = op_readlink,
	[FUSE_SYMLINK] = op_symlink,
	[FUSE_MKDIR] = op_mkdir,
	[FUSE_UNLINK] = op_unlink,
	[FUSE_RMDIR] = op_rmdir,
	[FUSE_RENAME] = op_rename,
	[FUSE_RENAME2] = op_rename2,
	[FUSE_LINK] = op_link,
	[FUSE_OPEN] = op_open,
	[FUSE_CREATE] = op_create,
	[FUSE_RELEASE] = op_release,
	[FUSE_READ] = op_read,
	[FUSE_FSYNC] = op_fsync,
	[FUSE_FSYNCDIR] = op_nothing,
	[FUSE_FLUSH] = op_nothing,
	[FUSE_OPENDIR] = op_opendir,
	[FUSE_RELEASEDIR] = op_releasedir,
	[FUSE_READDIR] = op_readdir,
	[FUSE_READDIRPLUS] = op_readdirplus,
	[FUSE_STATFS] = op_statfs,
	[FUSE_GETXATTR] = op_getxattr,
	[FUSE_LISTXATTR] = op_listxattr,
	[FUSE_INIT] = op_init,
	[FUSE_DESTROY] = op_nothing,
};

static int serve(struct floor *f)
{
	char *in = malloc(ROOM), *out = malloc(ROOM);
	const struct fuse_in_header *h = (void *)in;
	struct fuse_out_header *o = (struct fuse_out_header *)out;
	struct wake_look look = { 0 };
	uint64_t arrived;
	ssize_t n = in && out ? 1 : 0;

	while (n > 0 && (n = receive_request(&f->receive, getpid(), &look, in, ROOM, sizeof(*h),
					     &arrived)) > 0) {
		op handler = h->opcode < sizeof(ops) / sizeof(ops[0]) ? ops[h->opcode] : NULL;
		struct call c = { f, floor_node_of(f, h->nodeid), h, h + 1, o + 1 };
		int size = handler ? handler(&c) : -ENOSYS;

		if (size != NO_REPLY && h->opcode != FUSE_INTERRUPT) {
			*o = (struct fuse_out_header){ .len = (uint32_t)sizeof(*o),
						       .unique = h->unique,
						       .error = size < 0 ? size : 0 };
			o->len += size > 0 ? (uint32_t)size : 0;
			if (write(f->receive.fd, out, o->len) < 0 && errno != ENOENT)
				return 1;
		}
		f->receive.done = clock_ns();
	}
	return n < 0;
}

static enum option_wake wake_word(const char *word)
{
	return !strcmp(word, "sleep")  ? OPTION_WAKE_SLEEP
	       : !strcmp(word, "spin") ? OPTION_WAKE_SPIN
	       : !strcmp(word, "qos")  ? OPTION_WAKE_QOS
				       : OPTION_WAKE_AUTO;
}

int main(int argc, char **argv)
{
	struct floor *f = calloc(1, sizeof(*f));
	struct rlimit files;
	struct stat st;
	char data[100];

	if (argc != 4 || !f || stat(argv[1], &st) < 0)
		errx(1, "usage: floor SOURCE MOUNTPOINT WAKE");
	umask(0);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	f->last_ino = 1ull << 40;
	f->root = floor_node_new();
	f->root->fd = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	f->root->links = 1;
	floor_take_attr(f->root, &st);
	floor_mirror(f, f->root);
	f->receive.latency = latency_new(wake_word(argv[3]));
	f->receive.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	f->receive.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	wake_init(&f->receive.wake, wake_word(argv[3]), (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
	snprintf(data, sizeof(data),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,"
		 "default_permissions",
		 f->receive.fd);
	if (mount("floor", argv[2], "fuse.floor", MS_NOSUID | MS_NODEV, data) < 0)
		err(1, "%s", argv[2]);
	if (daemon(0, 0) < 0)
		err(1, "daemon");
	latency_start(f->receive.latency);
	return serve(f);
}
