/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What it costs to wake a thread on an idle CPU, and whether keeping CPUs from going idle
 * (/dev/cpu_dma_latency) makes it cheaper. That device concerns every CPU of the machine, so unasked
 * it is used only where it is known to be mild and where measuring shows the gain.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WAKEUP_DEVICE "/dev/cpu_dma_latency"
/* Forbids deep sleep but not C1 (1-2 us), on bare metal. */
#define WAKEUP_MILD_US 4
/* What the device holds when nobody asks for anything (PM_QOS_CPU_LATENCY_DEFAULT_VALUE). */
#define WAKEUP_RELEASE_US 2000000000

enum wakeup_machine {
	WAKEUP_UNKNOWN_MACHINE,
	WAKEUP_BARE_METAL,
	WAKEUP_VIRTUAL,
};

struct wakeup {
	enum wakeup_machine machine;
	unsigned cpus;	   /* online */
	uint32_t plain_ns; /* a round trip between threads on two idle CPUs; 0: not measured */
	uint32_t held_ns;  /* the same with wakeup_value() held; 0: not measured */
	int error;	   /* why not: errno, 0 */
};

/* Machine and CPUs. root: a directory that stands for "/". */
void wakeup_look(struct wakeup *wakeup, int root);
/*
 * The round trips, in at most 30 ms. device: WAKEUP_DEVICE, opened to be written, or -1; it holds
 * nothing afterwards.
 */
void wakeup_measure(struct wakeup *wakeup, int device);

/* What would be held on such a machine, in us (pure). */
int32_t wakeup_value(const struct wakeup *wakeup);

enum wakeup_advice {
	WAKEUP_NOTHING,	  /* there is nothing to gain, or nothing is known */
	WAKEUP_RECOMMEND, /* wake=qos would gain, but it is not for us to decide */
	WAKEUP_HOLD,	  /* during bursts of requests */
};
/* Pure. The reason, for log and probe, goes into why. */
enum wakeup_advice wakeup_advise(const struct wakeup *wakeup, char why[200]);
