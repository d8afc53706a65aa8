/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/inbox.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "util/cleanup.h"

int inbox_init(struct inbox *inbox, struct io_tally *tally)
{
	*inbox = (struct inbox){
		.tally = tally,
		.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	if (inbox->wake_fd < 0)
		return -errno;
	pthread_mutex_init(&inbox->lock, NULL);
	return 0;
}

void inbox_deinit(struct inbox *inbox)
{
	pthread_mutex_destroy(&inbox->lock);
	cleanup_close(&inbox->wake_fd);
}

static void wake(struct inbox *inbox)
{
	eventfd_write(inbox->wake_fd, 1);
}

void inbox_submit(struct inbox *inbox, struct io_request **requests, unsigned count)
{
	struct io_queue refused = { 0 };
	bool asleep;

	pthread_mutex_lock(&inbox->lock);
	io_accept(inbox->tally, &inbox->waiting, &refused, requests, count);
	asleep = inbox->sleep == INBOX_ASLEEP && inbox->waiting.head;
	if (asleep)
		inbox->sleep = INBOX_AWAKE;
	pthread_mutex_unlock(&inbox->lock);
	if (asleep)
		wake(inbox);
	io_finish_all(inbox->tally, &refused);
}

void inbox_cancel(struct inbox *inbox, struct io_request *request)
{
	bool waited, asleep;

	pthread_mutex_lock(&inbox->lock);
	waited = request->private.waiting;
	asleep = !waited && inbox->sleep != INBOX_AWAKE;
	if (waited) {
		io_queue_remove(&inbox->waiting, request);
		request->private.waiting = false;
	} else {
		atomic_store_explicit(&request->private.cancelled, true, memory_order_relaxed);
		inbox->cancels = true;
		inbox->sleep = INBOX_AWAKE;
	}
	pthread_mutex_unlock(&inbox->lock);
	if (asleep)
		wake(inbox);
	if (waited)
		io_finish(inbox->tally, request, -ECANCELED);
}

void inbox_close(struct inbox *inbox)
{
	pthread_mutex_lock(&inbox->lock);
	inbox->closing = true;
	pthread_mutex_unlock(&inbox->lock);
	wake(inbox);
}

struct inbox_news inbox_take(struct inbox *inbox, bool sleep, struct io_queue *ready,
			     unsigned *held, unsigned depth)
{
	struct io_request *request;
	struct inbox_news news;

	pthread_mutex_lock(&inbox->lock);
	while (*held < depth && (request = io_queue_pop(&inbox->waiting))) {
		request->private.waiting = false;
		io_queue_push(ready, request);
		(*held)++;
	}
	news.cancels = inbox->cancels;
	inbox->cancels = false;
	if (!sleep)
		inbox->sleep = INBOX_AWAKE;
	else
		inbox->sleep = *held < depth ? INBOX_ASLEEP : INBOX_FULL;
	news.ended = inbox->closing && !*held;
	pthread_mutex_unlock(&inbox->lock);
	return news;
}
