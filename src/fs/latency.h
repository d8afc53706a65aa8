/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps CPUs from going idle during bursts of requests, by /dev/cpu_dma_latency, where that is
 * asked for (wake=qos) or known to pay (wake=auto: probe/wakeup.h). A thread of its own measures,
 * writes and lets go; who receives requests only says that a burst goes on. Knows no libfuse.
 */
#pragma once

#include <stdint.h>

#include "options.h"

#define LATENCY_QUIET 2000000ull /* ns without a burst: CPUs may idle again */

struct latency;

/*
 * Opens the device: before mounting, because nothing is opened by path afterwards. NULL if this way
 * of waiting does not use it, or it can't be had (which is logged). wake=auto measures, in some 30 ms,
 * while whoever mounts waits and CPUs are idle.
 */
struct latency *latency_new(enum option_wake mode);
/* Starts the thread, which serves, or measures again now and then until there is a gain. */
void latency_start(struct latency *latency);	       /* accepts NULL */
struct latency *latency_free(struct latency *latency); /* lets go; accepts NULL, returns NULL */

/* A burst goes on. Costs two loads and a store, but for its first request. */
void latency_burst(struct latency *latency, uint64_t now);
