/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * O_DIRECT by pread and pwrite: what io_uring does, with a thread for each request in flight.
 */
#include "io/workers.h"

static ssize_t direct_move(void *state, struct io_tally *tally, const struct io_request *request)
{
	(void)state;
	(void)tally;
	return workers_move(request);
}

static const struct workers_kind direct_kind = {
	.thread = "od-direct",
	.move = direct_move,
};

static int direct_open(struct io_backend **backend, const struct io_limits *limits)
{
	return workers_open(backend, limits, &direct_kind);
}

const struct io_backend_ops io_direct_ops = {
	.name = "direct",
	.open = direct_open,
	.close = workers_close,
	.submit = workers_submit,
	.cancel = workers_cancel,
	.in_flight = workers_in_flight,
	.read_counters = workers_read_counters,
};
