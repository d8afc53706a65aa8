/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include "prefetch/warm.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* Of 1000: little is left to be fetched. */
#define HOT 900
/* One stream takes at most this part of `memory`. */
#define STREAM_SHARE 4

#define BUFFER_MAX (1 * MIB) /* the pool's largest class */
#define BUFFER_MIN (64 * KIB)
#define DEPTH_MIN  8 /* a guess at the latency may be too low */
#define DEPTH_MAX  64

/*
 * What the model says of the kernel's readahead is so many times too much at worst: measured on disks of
 * 0.2 and 1 ms it was 1.5 to 3.5, as a request takes longer for 128 KiB than for 4. Assumed figures are
 * no better. To fetch in vain costs a tenth; not to fetch costs several times as much.
 */
#define MODEL_WRONG_BY 4

/* Where nothing was measured. Latency of a request at depth 1; throughput with many. */
static const struct {
	enum device_kind kind;
	uint32_t latency_us;
	uint32_t mb_per_s;
} assumed[] = {
	{ DEVICE_NVME, 100, 2500 }, { DEVICE_SCSI, 150, 500 }, { DEVICE_VIRTIO, 500, 1000 },
	{ DEVICE_XEN, 500, 500 },   { DEVICE_MMC, 500, 150 },  { DEVICE_NBD, 1000, 500 },
	{ DEVICE_RBD, 1000, 1000 }, { DEVICE_DRBD, 500, 500 }, { DEVICE_ZRAM, 5, 2000 },
	{ DEVICE_RAM, 5, 5000 },    { DEVICE_PMEM, 5, 5000 },
};

static const char *const backend_names[] = {
	[POLICY_AUTO] = "auto",	    [POLICY_KERNEL] = "kernel", [POLICY_BUFFERED] = "buffered",
	[POLICY_DIRECT] = "direct", [POLICY_RING] = "ring",
};

const char *policy_backend_name(enum policy_backend backend)
{
	return backend_names[backend];
}

static struct policy_text scaled(double value, double step, const char *const *units)
{
	struct policy_text t;

	while (value >= step && units[1]) {
		value /= step;
		units++;
	}
	if (value < 10 && value != (double)(int)value)
		snprintf(t.text, sizeof(t.text), "%.1f %s", value, *units);
	else
		snprintf(t.text, sizeof(t.text), "%.0f %s", value, *units);
	return t;
}

struct policy_text policy_bytes(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", NULL };

	return scaled((double)bytes, 1024, units);
}

struct policy_text policy_rate(uint64_t bytes_per_s)
{
	static const char *const units[] = { "B/s", "kB/s", "MB/s", "GB/s", "TB/s", NULL };

	return scaled((double)bytes_per_s, 1000, units);
}

struct policy_text policy_time(uint64_t ns)
{
	static const char *const units[] = { "ns", "µs", "ms", "s", NULL };

	return scaled((double)ns, 1000, units);
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The largest power of two that is not above n; n > 0. */
static uint64_t floor_power(uint64_t n)
{
	return 1ull << (63 - __builtin_clzll(n));
}

/* Products of measured figures may be beyond any integer. */
static uint64_t saturated(double value)
{
	return value < 9e18 ? (uint64_t)value : (uint64_t)9e18;
}

static void assume(struct policy_model *m, const struct device *d)
{
	uint64_t latency_us = 500, mb_per_s = 500;

	/* The deepest of the chain that is known; those above it only pass on. */
	for (unsigned i = 0; i < d->step_count; i++)
		for (unsigned k = 0; k < sizeof(assumed) / sizeof(assumed[0]); k++)
			if (assumed[k].kind == d->steps[i].kind) {
				latency_us = assumed[k].latency_us;
				mb_per_s = assumed[k].mb_per_s;
			}
	if (device_rotates(d) == DEVICE_YES)
		latency_us = 8000, mb_per_s = 150;
	else if (d->class == DEVICE_NETWORK || d->class == DEVICE_FUSE)
		latency_us = 1000, mb_per_s = 1000;
	if (!m->latency_ns)
		m->latency_ns = latency_us * 1000;
	if (!m->throughput)
		m->throughput = mb_per_s * 1000000;
}

void policy_model(struct policy_model *m, const struct device *d)
{
	*m = (struct policy_model){
		.latency_ns = d->measured.latency_ns,
		.throughput = d->measured.throughput,
		.measured = d->measured.latency_ns && d->measured.throughput,
	};
	if (!m->measured)
		assume(m, d);
	m->kernel = saturated(2e9 * (double)d->readahead / (double)m->latency_ns);
}

uint64_t policy_memory(const struct policy_options *options, const struct host *host)
{
	uint64_t size = host_memory_size(&host->memory);

	if (options->memory)
		return options->memory;
	/* A sixteenth, and no more than a few streams of the slowest disks need. */
	return size ? larger(8 * MIB, lesser(256 * MIB, size / 16 / MIB * MIB)) : 64 * MIB;
}

/* All that a verdict is made from. */
struct question {
	const struct device *device;
	const struct host *host;
	const struct policy_options *options;
	const struct policy_file *file;
	struct policy_model model;
	struct policy_verdict *verdict;
};

static void say(struct question *q, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct question *q, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(q->verdict->reason, sizeof(q->verdict->reason), format, ap);
	va_end(ap);
}

/* Large pieces cost less each; a quick disk has enough of smaller ones, which arrive sooner. */
static uint64_t wanted_buffer(const struct question *q)
{
	return q->model.latency_ns < 200000 ? BUFFER_MAX / 2 : BUFFER_MAX;
}

/* Bytes that are read ahead of one reader, at most. */
static uint64_t window_max(const struct question *q)
{
	return policy_memory(q->options, q->host) / STREAM_SHARE;
}

/* Twice latency × throughput, within the stream's share of memory and the file. */
static void set_window(struct question *q)
{
	struct policy_verdict *v = q->verdict;
	uint64_t share = window_max(q);
	double flight = (double)q->model.latency_ns * (double)q->model.throughput / 1e9;
	uint64_t buffer = wanted_buffer(q), window, limit = share;

	if (q->options->prefetch == OPTION_PREFETCH_OFF || q->file->size == 0)
		return;
	/* Two requests at least, or nothing is ever ahead. */
	limit = lesser(limit, larger(q->file->size, 2 * BUFFER_MIN));
	buffer = lesser(buffer, larger(BUFFER_MIN, floor_power(larger(limit / DEPTH_MIN, 1))));
	window = larger(saturated(2 * flight), DEPTH_MIN * buffer);
	window = lesser(window, DEPTH_MAX * buffer);
	if (q->device->queue_depth)
		window = lesser(window, larger(2, q->device->queue_depth) * buffer);
	window = lesser((window + buffer - 1) / buffer, limit / buffer) * buffer;
	if (window < 2 * BUFFER_MIN)
		return;
	v->window = window;
	v->buffer = (uint32_t)buffer;
	v->depth = (unsigned)(window / buffer);
}

static bool writes(const struct policy_file *f)
{
	return (f->flags & O_ACCMODE) != O_RDONLY;
}

/* What carries data that does go through the daemon, or would if asked to be `wanted`. */
static enum policy_backend carrier(const struct question *q, enum policy_backend wanted)
{
	if (wanted == POLICY_BUFFERED || q->file->refuses_direct ||
	    q->device->direct.works == DEVICE_NO)
		return POLICY_BUFFERED;
	if (wanted == POLICY_DIRECT || !q->host->uring.works)
		return POLICY_DIRECT;
	return POLICY_RING;
}

static const char *why_not(const struct question *q, enum policy_backend wanted,
			   enum policy_backend got)
{
	if (wanted == got)
		return "";
	if (q->file->refuses_direct)
		return "; this file refuses Direct IO";
	if (got == POLICY_BUFFERED)
		return "; the filesystem refuses Direct IO";
	return "; io_uring is not to be had here";
}

/* The kernel's own way; without passthrough, FUSE's page cache is the nearest thing. */
static void leave_to_kernel(struct question *q)
{
	q->verdict->backend = q->host->passthrough ? POLICY_KERNEL : POLICY_BUFFERED;
	q->verdict->fuse_cache = !q->host->passthrough;
}

/* backend=buffered|direct|ring: every file, whatever else is known. */
static void obey(struct question *q)
{
	enum policy_backend wanted = q->options->backend;
	struct policy_verdict *v = q->verdict;

	v->backend = carrier(q, wanted);
	if (writes(q->file) || q->file->may_be_written) {
		say(q, "backend=%s%s; nothing is read ahead, as it may be written",
		    backend_names[wanted], why_not(q, wanted, v->backend));
		return;
	}
	if (q->file->history != POLICY_RANDOM)
		set_window(q);
	say(q, "backend=%s%s%s", backend_names[wanted], why_not(q, wanted, v->backend),
	    q->file->history == POLICY_RANDOM ? "; read at random before" : "");
}

/* What needs no help of ours, with the reason; the first that holds. */
static bool needs_no_help(struct question *q)
{
	const struct policy_file *f = q->file;

	if (writes(f))
		say(q, "open for writing");
	else if (f->flags & O_DIRECT)
		say(q, "the program does Direct IO of its own");
	else if (f->may_be_written)
		say(q, "somebody may write it, so nothing may be kept");
	else if (q->device->class == DEVICE_MEMORY)
		say(q, "%s is memory", q->device->fs);
	else if (f->size < WARM_MIN_SIZE)
		say(q, "small: %s", f->size ? policy_bytes(f->size).text : "empty");
	else if (f->resident >= HOT)
		say(q, "hot: %d %% is in memory", f->resident / 10);
	else if (q->options->prefetch == OPTION_PREFETCH_OFF)
		say(q, "prefetch=off");
	else if (q->options->prefetch == OPTION_PREFETCH_TREE)
		say(q, "prefetch=tree: nothing is fetched within files");
	else if (f->history == POLICY_RANDOM)
		say(q, "this program reads at random");
	else
		return false;
	return true;
}

/*
 * It has heads: it was measured, and says so itself. What is slow to answer may as well be far away, or
 * busy with others while it was measured; and virtual disks say that they rotate for want of knowing.
 */
static bool surely_rotates(const struct device *d)
{
	bool physical = false;

	for (unsigned i = 0; i < d->step_count; i++)
		physical |= d->steps[i].kind == DEVICE_SCSI;
	return physical && d->rotational == DEVICE_YES && d->measured.latency_ns &&
	       d->measured.throughput && device_rotates(d) == DEVICE_YES;
}

/* A disk on which the kernel does as well by itself, beyond doubt: little is lost by trying. */
static bool kernel_suffices(struct question *q)
{
	const struct policy_model *m = &q->model;

	if (q->options->prefetch == OPTION_PREFETCH_STREAM)
		return false;
	if (surely_rotates(q->device)) {
		say(q, "a rotating disk reads on by itself; more readers would make it seek");
		return true;
	}
	if (m->kernel / MODEL_WRONG_BY < m->throughput)
		return false;
	say(q, "the kernel's readahead of %s reaches %s, all of the disk's %s%s",
	    policy_bytes(q->device->readahead).text, policy_rate(m->kernel).text,
	    policy_rate(m->throughput).text, m->measured ? "" : " (assumed)");
	return true;
}

/*
 * Cold, large, not random, on a disk that can do more than the kernel asks of it: fetched into
 * SOURCE's page cache ahead of its reader, whose reads stay the kernel's. Not past the page cache:
 * read by io_uring and Direct IO, the same file took 1.7 times as long on a 1 ms disk (tests/bench/
 * stream, dd128k), as each read is then a request to the daemon.
 */
static void warm(struct question *q)
{
	const struct policy_model *m = &q->model;

	leave_to_kernel(q);
	q->verdict->window = lesser(window_max(q), q->file->size);
	q->verdict->warm_beneath = q->verdict->window > 0;
	say(q, "%s; the kernel's readahead of %s reaches %s, the disk %s%s",
	    q->file->history == POLICY_SEQUENTIAL ? "read in order" : "cold and large",
	    policy_bytes(q->device->readahead).text, policy_rate(m->kernel).text,
	    policy_rate(m->throughput).text, m->measured ? "" : " (assumed)");
}

void policy_choose(struct policy_verdict *verdict, const struct device *device,
		   const struct host *host, const struct policy_options *options,
		   const struct policy_file *file)
{
	struct question q = {
		.device = device,
		.host = host,
		.options = options,
		.file = file,
		.verdict = verdict,
	};

	*verdict = (struct policy_verdict){ 0 };
	policy_model(&q.model, device);
	if (options->backend == POLICY_BUFFERED || options->backend == POLICY_DIRECT ||
	    options->backend == POLICY_RING)
		obey(&q);
	else if (needs_no_help(&q) || kernel_suffices(&q))
		leave_to_kernel(&q);
	else
		warm(&q);
}
