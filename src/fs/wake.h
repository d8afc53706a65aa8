/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the leader waits for the next request. Most of a request's price is waking an idle CPU, so
 * while requests come one after the other it looks for the next one for a few microseconds before
 * it sleeps. It does not where that has not paid lately, nor while CPUs are busy with other work:
 * then its own thread has to wait for one, which the kernel counts (schedstat).
 *
 * Pure: times come in, decisions go out. Belongs to the leader. Figures: PLATFORM.md 11.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

#define WAKE_SPIN_AUTO	    20000ull /* ns; longer gains little and hurts where CPUs are busy */
#define WAKE_SPIN_LONG	    50000ull /* ns, wake=spin */
#define WAKE_SLEEP_COST	    40000ull /* ns that a sleep may add to the time to the next request */
#define WAKE_LOOK_EVERY	    10000000ull /* ns between looks at how busy the CPUs are */
#define WAKE_BACK_OFF	    50000000ull /* ns without spinning when they are */
#define WAKE_DELAY_PERCENT  8		/* of the time without a CPU: busy */
#define WAKE_BURST_GAP	    500000ull	/* ns between requests of a burst */
#define WAKE_BURST_REQUESTS 4u

struct wake {
	uint64_t spin; /* ns to look for a request at most; 0: never */
	uint64_t paused_until;
	unsigned score;	 /* how well it has paid, or would have, lately */
	unsigned missed; /* spins in a row that ended in sleep */
	unsigned close;	 /* requests in a row that belong to a burst */
};

/* The last look at a thread's times: each has its own, as the lead may change with each request. */
struct wake_look {
	uint64_t at;	  /* when; 0: never */
	uint64_t delayed; /* its time without a CPU until then */
};

/* cpus: that we may run on. With one, spinning only keeps the program from running. */
void wake_init(struct wake *wake, enum option_wake mode, unsigned cpus);

/* Whether wake_times() is to be told before the next wake_budget(). */
bool wake_wants_times(const struct wake *wake, const struct wake_look *look, uint64_t now);
/* The thread's time without a CPU since it began, in ns; `known` false: this kernel can't say. */
void wake_times(struct wake *wake, struct wake_look *look, uint64_t now, bool known,
		uint64_t delayed);

/* For how many ns to look for the next request before going to sleep. */
uint64_t wake_budget(const struct wake *wake, uint64_t now);

enum wake_came {
	WAKE_SLEPT,  /* it came during a sleep without a spin before */
	WAKE_CAUGHT, /* while spinning */
	WAKE_MISSED, /* in the sleep after a spin */
};
/* The next request has come, `gap` ns after the one before was done. True: within a burst. */
bool wake_arrived(struct wake *wake, enum wake_came came, uint64_t now, uint64_t gap);
