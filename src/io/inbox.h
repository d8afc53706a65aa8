/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where callers leave their requests for a thread that sleeps in the kernel, and how they wake it:
 * by an eventfd, and only when it sleeps. The thread holds at most so many requests at once.
 *
 * Anybody: inbox_submit(), inbox_cancel(). The thread alone: inbox_take(). Its owner: the rest.
 */
#pragma once

#include <pthread.h>

#include "io/request.h"

enum inbox_sleep { INBOX_AWAKE, INBOX_FULL /* to be woken for cancellations only */, INBOX_ASLEEP };

struct inbox {
	struct io_tally *tally;
	int wake_fd; /* readable when the thread is wanted */

	pthread_mutex_t lock; /* of what follows; never held over a system call */
	struct io_queue waiting;
	enum inbox_sleep sleep;
	bool cancels; /* some request that was taken has its `cancelled` set */
	bool closing;
};

/* What the thread is told beside the requests. */
struct inbox_news {
	bool cancels; /* since the last time */
	bool ended;   /* it holds nothing, and nothing will come any more */
};

/* 0 or -errno; after a failure there is nothing to be undone. tally outlives the inbox. */
int inbox_init(struct inbox *inbox, struct io_tally *tally);
void inbox_deinit(struct inbox *inbox);

void inbox_submit(struct inbox *inbox, struct io_request **requests, unsigned count);
/* Ends one that waits; of one that was taken, the wish is noted and the thread woken. */
void inbox_cancel(struct inbox *inbox, struct io_request *request);
/* Once: no request comes after it. */
void inbox_close(struct inbox *inbox);

/*
 * Moves as many requests to `ready` as the thread, which has *held of depth, may hold, and says
 * whether it is about to sleep.
 */
struct inbox_news inbox_take(struct inbox *inbox, bool sleep, struct io_queue *ready,
			     unsigned *held, unsigned depth);
