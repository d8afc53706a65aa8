/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/warming.h"

#include <fcntl.h>

#include "fs/disk.h"
#include "prefetch/warm.h"
#include "util/cleanup.h"
#include "util/log.h"

/* With 16 a 1 ms disk gave its best, 809-1,097 MB/s (PLATFORM.md 12). */
#define FETCHES_AT_ONCE 16

static void prepare(void *argument)
{
	struct fs *fs = argument;
	struct creds creds;

	if (creds_init(&creds, fs->tree.source.proc) != 0)
		log_line(LOG_WARNING, "a thread that fetches ahead runs as root");
}

void warming_start(struct fs *fs)
{
	const struct policy_verdict *verdict = &disk_facts(fs)->large_file;
	struct warm_config config = {
		.max_window = verdict->window,
		.threads = FETCHES_AT_ONCE,
		.prepare = prepare,
		.argument = fs,
	};

	if (verdict->warm_beneath)
		fs->warm = warm_new(&config);
	fs->warm_window = verdict->window;
}

void warming_stop(struct fs *fs)
{
	fs->warm = warm_free(fs->warm);
}

void warming_opened(struct fs *fs, struct node *node)
{
	struct fd_lease lease;
	struct stat st;
	int fd = -1;

	/* Streams that run when the disk turns out not to need it are read to their end. */
	if (!fs->warm || !disk_facts(fs)->large_file.warm_beneath ||
	    tree_reach(&fs->tree, node, false, &lease) != 0)
		return;
	if (fstat(lease.fd, &st) == 0 && st.st_size >= (off_t)WARM_MIN_SIZE &&
	    !warm_watches(fs->warm, node->id)) {
		worker_might_block(worker_self());
		fd = fs_reopen(lease.fd, O_RDONLY | O_NOATIME);
	}
	tree_return(&fs->tree, &lease);
	if (fd >= 0)
		warm_open(fs->warm, node->id, fd, (uint64_t)st.st_size);
}

void warming_count(const struct fs *fs, struct stats_snapshot *snapshot)
{
	struct warm_counters c;

	if (!fs->warm)
		return;
	warm_read_counters(fs->warm, &c);
	snapshot->bytes[STATS_FETCHED] = c.bytes;
	snapshot->events[STATS_WATCHED] = c.watched;
	snapshot->events[STATS_GIVEN_UP] = c.given_up;
	snapshot->events[STATS_STREAM_USED] = c.used;
	snapshot->events[STATS_STREAM_LATE] = c.late;
	snapshot->events[STATS_STREAM_WASTED] = c.wasted;
}

void warming_explain(FILE *out, const struct fs *fs, struct node *node)
{
	const struct policy_verdict *verdict = &disk_facts(fs)->large_file;

	if (fs->warm && warm_watches(fs->warm, node->id))
		fprintf(out,
			"ahead    watched: who reads it in order gets up to %llu MiB fetched "
			"ahead\n",
			(unsigned long long)(fs->warm_window >> 20));
	else if (!fs->warm || !verdict->warm_beneath)
		fprintf(out, "ahead    nothing is fetched: %s\n",
			verdict->warm_beneath ? "no memory" : verdict->reason);
	else
		fprintf(out,
			"ahead    not watched: small, hot, read through or without a pattern\n");
}

void warming_closed(struct fs *fs, struct node *node)
{
	if (fs->warm)
		warm_release(fs->warm, node->id);
}
