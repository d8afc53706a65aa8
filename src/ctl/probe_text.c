/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/probe.h"

static void line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(const char *name, const char *format, ...)
{
	va_list ap;

	printf("%-12s ", name);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
}

static const char *said(enum device_said s)
{
	return s == DEVICE_YES ? "yes" : s == DEVICE_NO ? "no" : "unknown";
}

static void print_steps(const struct device *d)
{
	if (!d->step_count)
		line("device", "none (%s)", device_class_name(d->class));
	for (unsigned i = 0; i < d->step_count; i++) {
		const struct device_step *s = &d->steps[i];

		line(i ? "" : "device", "%*s%s (%s%s%s)", (int)(2 * s->level), "", s->name,
		     device_kind_name(s->kind), s->detail[0] ? ", " : "", s->detail);
	}
}

static void print_limits(const struct device *d)
{
	const char *measured = d->measured.latency_ns ? said(device_rotates(d)) : "not measured";

	if (d->logical_block)
		line("blocks", "%s logical, %s physical", policy_bytes(d->logical_block).text,
		     policy_bytes(d->physical_block).text);
	if (d->rotational != DEVICE_UNSAID)
		line("rotating", "%s, it says; %s%s", said(d->rotational), measured,
		     d->measured.latency_ns ? ", by its latency" : "");
	if (d->queue_depth)
		line("queue", "%u requests%s%s", d->queue_depth, d->max_request ? " of up to " : "",
		     d->max_request ? policy_bytes(d->max_request).text : "");
	if (d->readahead)
		line("readahead", "%s, the kernel's", policy_bytes(d->readahead).text);
}

static void print_direct(const struct device_direct *d)
{
	if (d->works == DEVICE_UNSAID)
		line("Direct IO", "unknown");
	else if (d->works == DEVICE_NO)
		line("Direct IO", "no%s%s", d->error ? ": " : "",
		     d->error ? strerror(d->error) : "");
	else
		line("Direct IO", "yes: memory by %s, offsets by %s%s",
		     policy_bytes(d->memory_align).text, policy_bytes(d->offset_align).text,
		     d->tried ? " (tried; statx says nothing)" : "");
	line("uncached I/O", "%s (RWF_DONTCACHE)", said(d->dontcache));
}

static void print_measured(const struct device_measured *m)
{
	if (m->latency_ns)
		line("latency", "%s for 4 KiB, one at a time (9 of 10 within %s)",
		     policy_time(m->latency_ns).text, policy_time(m->latency_p90_ns).text);
	if (m->throughput)
		line("throughput", "%s with %u requests of %s", policy_rate(m->throughput).text,
		     m->depth, policy_bytes(m->piece).text);
	if (m->remembered)
		line("measured", "earlier, since the machine was started");
	else if (m->read_bytes)
		line("measured", "%s read in %u ms%s%s", policy_bytes(m->read_bytes).text,
		     m->elapsed_ms, m->why_not[0] ? "; " : "", m->why_not);
	else
		line("measured", "nothing: %s", m->why_not);
}

static void print_uring(const struct host_uring *u)
{
	if (u->works)
		line("io_uring", "works, fixed buffers %s, features 0x%x",
		     u->fixed_buffers ? "too" : "don't", u->features);
	else
		line("io_uring", "no: %s%s", strerror(u->error),
		     u->disabled > 0 ? " (kernel.io_uring_disabled is set)" : "");
}

static void print_host(const struct host *h, unsigned stack_depth)
{
	const struct host_memory *m = &h->memory;

	print_uring(&h->uring);
	if (h->passthrough)
		line("passthrough", "possible, stack depth %u", stack_depth);
	else
		line("passthrough", "no: %s", h->no_passthrough);
	line("memory", "%s, %s free; cgroup limit %s", policy_bytes(m->total).text,
	     policy_bytes(m->available).text, m->limit ? policy_bytes(m->limit).text : "none");
	line("machine", "%u CPUs, Linux %s", h->cpus, h->release);
}

void probe_print_text(const struct probe_report *r)
{
	const struct device *d = r->device;

	line("directory", "%s", r->dir);
	line("filesystem", "%s on %s, mounted at %s", d->fs, d->source[0] ? d->source : "nothing",
	     d->mount_point[0] ? d->mount_point : "an unknown place");
	print_steps(d);
	print_limits(d);
	print_direct(&d->direct);
	print_measured(&d->measured);
	print_host(r->host, d->stack_depth);
	line("waking up", "%s", r->wake);
	for (unsigned i = 0; i < d->note_count; i++)
		line(i ? "" : "missing", "%s", d->notes[i]);
	printf("\n%s\n", r->sentence);
}
