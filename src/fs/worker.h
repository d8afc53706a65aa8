/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker thread. One worker at a time leads: it receives requests and answers them itself for as
 * long as it need not wait. Before a worker waits for long it hands the lead to another
 * (worker_may_block). Where it seldom waits it only says so (worker_might_block), and loses the lead
 * if it does wait (lookout.h). So a slow request never holds up others.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "creds/creds.h"
#include "fs/wake.h"
#include "stats/stats.h"

struct session;

/* The kernel's struct fuse_in_header (uapi fuse.h). */
struct request_header {
	uint32_t len, opcode;
	uint64_t unique, nodeid;
	uint32_t uid, gid, pid;
	uint16_t total_extlen, padding;
};

/* Bytes of data in one request or reply: the kernel's default limit of 256 pages. */
#define WORKER_MAX_DATA (1u << 20)
#define WORKER_IN_ROOM	(WORKER_MAX_DATA + 4096)

struct worker {
	struct session *session;
	struct worker *next;
	struct creds creds;
	struct stats_block *stats;
	bool listed; /* the session's */
	char *in;    /* requests are received here: WORKER_IN_ROOM bytes */
	char *out;   /* WORKER_MAX_DATA bytes for a reply, page-aligned */
	bool leading;
	uint64_t
		section; /* 0, or what might wait since then (lookout.h); `leading` is unsure then */
	uint32_t asked;	 /* the session's count, when the request was received */
	long sleeps;	 /* this thread's, before it might wait; -1: not looked at */
	uint8_t wait;	 /* enum lookout_wait */
	int tid;
	struct wake_look look;
	int err; /* positive errno of the last reply */
	/* What it is doing, for SIGUSR1; started_ns 0: nothing. */
	_Atomic uint64_t started_ns, unique, nodeid;
	_Atomic uint32_t opcode, pid;
};

/* NULL without memory. Counts in a block of its own in stats. */
struct worker *worker_new(struct session *session, struct stats *stats);
void worker_free(struct worker *worker);

/* The calling thread's is this one from now on. */
void worker_is(struct worker *worker);
/* Notes what it is about to do. */
void worker_begins(struct worker *worker, const struct request_header *request, uint64_t now);
/* Logs what it is doing, if anything; how many requests that is. Any thread may ask. */
unsigned worker_log_in_flight(struct worker *worker, uint64_t now);

/* The calling thread's worker; every handler runs in one. */
struct worker *worker_self(void);

/* Another worker receives from here on: for what waits long. Costs a wake-up. */
void worker_may_block(struct worker *worker);
/* The rest of this request might wait for the disk, but mostly does not: then it costs nothing. */
void worker_might_block(struct worker *worker);
/* To be called right before the reply to a request that might have waited: the last moment at which
 * one can tell whether others are at work besides the program that waits for it. */
void worker_replies(struct worker *worker);
