/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The session's state, shared by session.c (receiving and answering) and crew.c (who does it).
 */
#pragma once

#include <pthread.h>

#include "fs/lookout.h"
#include "fs/receive.h"
#include "fs/session.h"

/*
 * Each program that waits for a stalled disk holds one worker; the bound is there to notice a leak,
 * not to limit work.
 */
#define MAX_WORKERS 1024u

struct session {
	struct fs *fs;
	_Atomic uint32_t lead; /* futex: 1 while somebody leads */
	_Atomic uint32_t idle; /* workers that wait for the lead, or are about to */
	_Atomic uint32_t threads;
	_Atomic uint32_t asked; /* requests that somebody waits for; counted by the leader */
	_Atomic bool ended;
	_Atomic int error;
	_Atomic bool dozing; /* the housekeeper wants to hear of the next request */
	struct lookout lookout;
	struct receive receive; /* the leader's */
	int done, ready, wake;	/* eventfds */
	pthread_mutex_t lock;	/* guards `workers` and `spare` */
	struct worker *workers; /* all there ever were; those not running are spare */
	struct worker *spare[MAX_WORKERS];
	unsigned spares;
};

/* crew.c: waits for the lead, which is let go by hand_over(). The worker is counted as idle already.
 * False: it is not needed any more. */
bool crew_wait_for_lead(struct session *session);
/* The same for one that is not counted. */
bool crew_take_lead(struct session *session);
/* The lead, which nobody but the caller has, goes to somebody who is not busy. */
void crew_hand_over(void *session);
/* Whether the worker still leads after a section, if it was in one. */
bool crew_leave_section(struct worker *worker);
/* Starts a thread with a spare worker, or a new one. 0 or -errno. */
int crew_spawn(struct session *session);

/* session.c: receives and answers until the worker is not needed any more. */
void session_serve(struct session *session, struct worker *worker);
/* Nobody is to serve any more; why, or 0. */
void session_end(struct session *session, int error);
/* Counts one for who waits at an eventfd. */
void session_post(int eventfd);
