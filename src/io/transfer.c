/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/backend.h"

#include <pthread.h>

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
	ssize_t result;
};

static void transfer_done(struct io_request *request, ssize_t result)
{
	struct waiter *waiter = request->argument;

	pthread_mutex_lock(&waiter->lock);
	waiter->result = result;
	waiter->done = true;
	/* Within the lock: the waiter's stack is gone once it may look. */
	pthread_cond_signal(&waiter->changed);
	pthread_mutex_unlock(&waiter->lock);
}

ssize_t io_transfer(const struct io_backend_ops *ops, struct io_backend *backend,
		    struct io_request *request)
{
	struct waiter waiter = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};

	request->done = transfer_done;
	request->argument = &waiter;
	ops->submit(backend, &request, 1);
	pthread_mutex_lock(&waiter.lock);
	while (!waiter.done)
		pthread_cond_wait(&waiter.changed, &waiter.lock);
	pthread_mutex_unlock(&waiter.lock);
	pthread_cond_destroy(&waiter.changed);
	pthread_mutex_destroy(&waiter.lock);
	return waiter.result;
}
