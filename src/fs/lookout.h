/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lazy hand-over. Most requests that might wait for the disk don't; handing the lead over before
 * each would cost a wake-up and a change of threads per request. So the leader only notes that it
 * might wait (it opens a section), and a thread of its own, the lookout, takes the lead away when a
 * section lasts for LOOKOUT_PATIENCE. Where others' requests were seen to come while one of a kind
 * waited, also for less, those of that kind hand over at once for a while (the kind is eager): a
 * stalled disk holds everybody up for a millisecond, once, and a quick one is used by all at once.
 * A single program gains nothing by that, and its requests stay with one thread.
 *
 * Only the leader opens and closes sections, so there is one word: the time at which the section
 * was opened, with the kind in its low bits. Whoever changes it from open to closed by
 * compare-and-swap has the lead from then on: the leader itself, or the lookout.
 *
 * Nothing here knows libfuse.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOKOUT_KINDS	   64u	       /* opcodes; those beyond share the last */
#define LOOKOUT_PATIENCE   900000ull   /* ns */
#define LOOKOUT_WAIT	   150000ull   /* ns; what takes less is no wait that matters */
#define LOOKOUT_COST	   16000ull    /* ns that a hand-over costs */
#define LOOKOUT_EAGER	   50000000ull /* ns for which a kind hands over at once after such a wait */
#define LOOKOUT_CREDIT	   64u	       /* hand-overs that one wait pays for, at most */
#define LOOKOUT_CREDIT_MAX 256u
#define LOOKOUT_LINGER	   20000000ull /* ns without a section until the lookout sleeps */
#define LOOKOUT_CLOSED	   (1ull << 63)

struct lookout {
	_Atomic uint64_t section; /* as above; LOOKOUT_CLOSED: none is open */
	_Atomic uint32_t asleep;  /* futex: 1 while the lookout wants to be woken */
	_Atomic bool stop;
	_Atomic uint64_t eager_until[LOOKOUT_KINDS]; /* CLOCK_MONOTONIC, ns */
	_Atomic uint32_t credit[LOOKOUT_KINDS];	     /* hand-overs that it has left */
	_Atomic uint64_t slow_until; /* something took long lately: worth a closer look */
	/* The lookout has the lead: gives it to somebody. Called in its thread. */
	void (*hand_over)(void *argument);
	void *argument;
	pthread_t thread;
	bool running;
};

/* What the lookout does next (pure). */
enum lookout_step {
	LOOKOUT_TAKE,  /* the section has lasted too long */
	LOOKOUT_WATCH, /* looks again after *wait_ns */
	LOOKOUT_SLEEP, /* until a section is opened */
};
enum lookout_step lookout_step(uint64_t section, uint64_t now, uint64_t *wait_ns);

/* To be called before any section is opened. 0 or -errno; without the thread every kind is eager
 * for ever. */
int lookout_start(struct lookout *lookout, void (*hand_over)(void *argument), void *argument);
/* Afterwards nothing is called any more. */
void lookout_stop(struct lookout *lookout);

/* The leader's. A request that began at `start` might wait from here on: a section, or 0 if its
 * kind is eager, so that the lead is to be handed over now. */
uint64_t lookout_open(struct lookout *lookout, unsigned kind, uint64_t start);
/* False: the lookout has taken the lead. */
bool lookout_close(struct lookout *lookout, uint64_t section);
/* Whether something that might wait has taken long lately, so that lookout_ended() is to be told
 * whether the next one that does so really waits. */
bool lookout_wants_to_know(const struct lookout *lookout, uint64_t now);
/* A request that might wait has ended. Any worker's. */
enum lookout_wait {
	LOOKOUT_UNKNOWN, /* it was quick, or took long for reasons that are not known */
	LOOKOUT_ALONE,	 /* it waited, and nobody came meanwhile */
	LOOKOUT_OTHERS,	 /* it waited, and others came meanwhile or were at work */
};
void lookout_ended(struct lookout *lookout, unsigned kind, uint64_t now, uint64_t elapsed,
		   enum lookout_wait wait, bool handed_over);
