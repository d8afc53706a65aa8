/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/housekeeper.h"

#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "fs/direct.h"
#include "fs/kept.h"
#include "fs/listed.h"
#include "fs/revalidate.h"
#include "fs/session.h"
#include "fs/walking.h"
#include "util/cleanup.h"
#include "util/log.h"

#define TICK_MS 1000 /* idle descriptors pin deleted files for at most two ticks */

struct housekeeper {
	struct fs *fs;
	int stop; /* eventfd */
	pthread_t thread;
};

/* True when there is nothing left to look after. */
static bool tick(struct fs *fs)
{
	bool cached = revalidate_tick(fs), walking = walking_tick(fs), moving = !direct_tick(fs);
	bool kept = kept_tick(fs), listed = listed_tick(fs);

	if (fdcache_sweep(fs->tree.fdcache) || cached || walking || moving || kept || listed)
		return false;
	malloc_trim(0); /* the C library would keep what millions of nodes left */
	return true;
}

static void *thread_main(void *argument)
{
	struct housekeeper *h = argument;
	int wake = session_wake_fd(h->fs->session);
	bool asleep = false;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = h->stop, .events = POLLIN },
			{ .fd = wake, .events = POLLIN },
		};
		int n = poll(fds, 2, asleep ? -1 : TICK_MS);
		uint64_t count;

		if (fds[0].revents)
			return NULL;
		if (n > 0 && fds[1].revents && read(wake, &count, sizeof(count)) > 0)
			asleep = false;
		if (n == 0)
			asleep = tick(h->fs) && session_doze(h->fs->session);
	}
}

struct housekeeper *housekeeper_new(struct fs *fs)
{
	struct housekeeper *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->fs = fs;
	h->stop = eventfd(0, EFD_CLOEXEC);
	if (h->stop >= 0 && pthread_create(&h->thread, NULL, thread_main, h) == 0)
		return h;
	log_line(LOG_WARNING, "idle descriptors stay open: %s", strerror(errno));
	if (h->stop >= 0)
		close(h->stop);
	free(h);
	return NULL;
}

struct housekeeper *housekeeper_free(struct housekeeper *h)
{
	uint64_t one = 1;

	if (!h)
		return NULL;
	if (write(h->stop, &one, sizeof(one)) > 0)
		pthread_join(h->thread, NULL);
	close(h->stop);
	free(h);
	return NULL;
}
