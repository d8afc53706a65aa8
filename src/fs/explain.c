/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/explain.h"

#include <fcntl.h>

#include "fs/direct.h"
#include "fs/walking.h"
#include "fs/warming.h"
#include "io/engine.h"
#include "prefetch/ahead.h"
#include "util/cleanup.h"

static const char *way_name(enum way way)
{
	switch (way) {
	case WAY_KERNEL:
		return "kernel (passthrough: the kernel moves the data itself)";
	case WAY_CACHED:
		return "cached (through the daemon and FUSE's page cache)";
	case WAY_DIRECT:
		return "direct (through the daemon, past FUSE's page cache)";
	default:
		return "none";
	}
}

/* The way of a file that is open, as asking for it opens it. */
static void say_way(FILE *out, struct fs *fs, struct node *node, const struct openfile *of)
{
	unsigned opens = 0, writers = 0;

	node_lock(fs->tree.nodes, node);
	if (node->open) {
		opens = node->open->opens;
		writers = node->open->writers;
	}
	node_unlock(fs->tree.nodes, node);
	fprintf(out, "way      %s\n", way_name(of->way));
	/* One of the opens is the question's own. */
	fprintf(out, "open     %u times, %u of them for writing\n", opens - (opens > 0), writers);
}

static void say_backend(FILE *out, struct fs *fs, const struct openfile *of)
{
	uint32_t align = atomic_load_explicit(&of->align, memory_order_relaxed);

	if (of->way != WAY_DIRECT)
		return;
	if (align > 1)
		fprintf(out, "backend  %s, by blocks of %u bytes\n", engine_ops(fs->engine)->name,
			align);
	else
		fprintf(out, "backend  buffered%s\n",
			engine_ops(fs->engine) == &io_buffered_ops
				? ""
				: ", as this file refuses Direct IO");
}

/* Of the question's own open there is nothing yet; what it would get. */
static void say_ahead(FILE *out, struct fs *fs, struct node *node, const struct openfile *of)
{
	if (of->way != WAY_DIRECT)
		warming_explain(out, fs, node);
	else if (!fs->streams || atomic_load_explicit(&of->align, memory_order_relaxed) <= 1)
		fprintf(out, "ahead    nothing is read ahead%s\n",
			fs->streams ? ": only by Direct IO" : ": prefetch= or backend= say so");
	else
		fprintf(out,
			"ahead    who reads it in order, backwards or in steps, unless somebody "
			"may write it: now %u streams, up to %u buffers each\n",
			ahead_active(fs->streams), ahead_share(fs->streams));
}

static void explain_file(FILE *out, struct fs *fs, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct openfile *of = openfile_get(fs->tree.openfiles, fi->fh);
	struct node *node = fs_node(fs, ino);

	if (!of || !node)
		return;
	say_way(out, fs, node, of);
	say_backend(out, fs, of);
	say_ahead(out, fs, node, of);
}

/* What others do there is for those who may see the statistics. */
static void explain_directory(fuse_req_t req, FILE *out, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	uid_t uid = fuse_req_ctx(req)->uid;
	struct openfile *of = openfile_get(fs->tree.openfiles, fi->fh);

	fprintf(out, "a directory\n");
	if (of && (uid == 0 || uid == fs->owner))
		walking_explain(out, fs, of->fd);
}

void explain(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, bool directory)
{
	struct fs *fs = fs_of(req);
	autofree struct stats_explain *answer = calloc(1, sizeof(*answer));
	FILE *out = answer ? fmemopen(answer->text, sizeof(answer->text) - 1, "w") : NULL;

	if (!out) {
		reply_err(req, -ENOMEM);
		return;
	}
	answer->version = EXPLAIN_VERSION;
	if (directory)
		explain_directory(req, out, fi);
	else
		explain_file(out, fs, ino, fi);
	fclose(out);
	fuse_reply_ioctl(req, 0, answer, sizeof(*answer));
}
