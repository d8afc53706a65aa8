/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/receive.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "fs/latency.h"
#include "util/clock.h"
#include "util/task.h"

/* Gentle on the other thread of a core, and on the lock that a new request needs. */
static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	for (int i = 0; i < 4; i++)
		__builtin_ia32_pause();
#endif
}

/* Looks for a request, without taking it, until the time has come. */
static enum wake_came spin(int fd, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	do {
		if (poll(&p, 1, 0) != 0)
			return WAKE_CAUGHT;
		relax();
	} while (clock_ns() < until);
	return WAKE_MISSED;
}

static enum wake_came wait_awake(struct receive *r, int tid, struct wake_look *look)
{
	uint64_t now = clock_ns(), budget;

	if (wake_wants_times(&r->wake, look, now)) {
		struct task_times times = { 0 };
		bool known = task_times(r->proc, tid, &times);

		wake_times(&r->wake, look, now, known, times.delayed);
	}
	budget = wake_budget(&r->wake, now);
	return budget ? spin(r->fd, now + budget) : WAKE_SLEPT;
}

bool receive_pending(const struct receive *r)
{
	struct pollfd p = { .fd = r->fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}

static ssize_t take(const struct receive *r, void *in, size_t room, size_t least)
{
	for (;;) {
		ssize_t n = read(r->fd, in, room);

		if (n >= (ssize_t)least)
			return n;
		if (n >= 0)
			return -EIO;
		/* Unmounted, or aborted by fusectl; ECONNABORTED: while a request was being handed over. */
		if (errno == ENODEV || errno == ECONNABORTED)
			return 0;
		/* ENOENT: the request was interrupted before we had it. */
		if (errno != ENOENT && errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

ssize_t receive_request(struct receive *r, int tid, struct wake_look *look, void *in, size_t room,
			size_t least, uint64_t *arrived)
{
	enum wake_came came = r->wake.spin ? wait_awake(r, tid, look) : WAKE_SLEPT;
	ssize_t n = take(r, in, room, least);
	uint64_t now = clock_ns();

	*arrived = now;
	if (wake_arrived(&r->wake, came, now, now > r->done ? now - r->done : 0) && r->latency)
		latency_burst(r->latency, now);
	return n;
}
