/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/probe.h"

static void string(const char *name, const char *text)
{
	printf("\"%s\":", name);
	json_text(text);
}

/* Zero is what is not known, where that can't be a value. */
static void number(const char *name, uint64_t value, bool known)
{
	if (known)
		printf("\"%s\":%" PRIu64, name, value);
	else
		printf("\"%s\":null", name);
}

static void truth(const char *name, int value)
{
	printf("\"%s\":%s", name, value < 0 ? "null" : value ? "true" : "false");
}

static void print_steps(const struct device *d)
{
	printf("\"devices\":[");
	for (unsigned i = 0; i < d->step_count; i++) {
		const struct device_step *s = &d->steps[i];

		printf("%s{\"level\":%u,", i ? "," : "", s->level);
		string("name", s->name);
		putchar(',');
		string("kind", device_kind_name(s->kind));
		putchar(',');
		string("detail", s->detail);
		printf(",\"major\":%u,\"minor\":%u}", s->major, s->minor);
	}
	printf("],");
}

static void print_limits(const struct device *d)
{
	number("logical_block", d->logical_block, d->logical_block);
	putchar(',');
	number("physical_block", d->physical_block, d->physical_block);
	putchar(',');
	truth("rotational", d->rotational);
	putchar(',');
	truth("rotates", device_rotates(d));
	putchar(',');
	number("queue_depth", d->queue_depth, d->queue_depth);
	putchar(',');
	number("max_request", d->max_request, d->max_request);
	printf(",\"readahead\":%" PRIu64 ",\"stack_depth\":%u,", d->readahead, d->stack_depth);
}

static void print_direct(const struct device_direct *d)
{
	printf("\"direct_io\":{");
	truth("works", d->works);
	printf(",\"tried\":%s,\"error\":", d->tried ? "true" : "false");
	if (d->error)
		printf("\"%s\",", strerrorname_np(d->error) ? strerrorname_np(d->error) : "?");
	else
		printf("null,");
	number("memory_align", d->memory_align, d->memory_align);
	putchar(',');
	number("offset_align", d->offset_align, d->offset_align);
	putchar(',');
	truth("dontcache", d->dontcache);
	printf("},");
}

static void print_measured(const struct device_measured *m)
{
	printf("\"measured\":{");
	number("latency_ns", m->latency_ns, m->latency_ns);
	putchar(',');
	number("latency_p90_ns", m->latency_p90_ns, m->latency_ns);
	printf(",\"samples\":%u,", m->samples);
	number("throughput", m->throughput, m->throughput);
	putchar(',');
	number("depth", m->depth, m->throughput);
	putchar(',');
	number("request", m->piece, m->throughput);
	printf(",\"read_bytes\":%" PRIu64 ",\"elapsed_ms\":%u,\"remembered\":%s,", m->read_bytes,
	       m->elapsed_ms, m->remembered ? "true" : "false");
	string("why_not", m->why_not);
	printf("},");
}

static void print_host(const struct host *h)
{
	const struct host_memory *m = &h->memory;

	printf("\"io_uring\":{\"works\":%s,", h->uring.works ? "true" : "false");
	number("error", (uint64_t)h->uring.error, h->uring.error);
	putchar(',');
	number("disabled", (uint64_t)h->uring.disabled, h->uring.disabled >= 0);
	printf(",\"features\":%u,\"fixed_buffers\":%s},", h->uring.features,
	       h->uring.fixed_buffers ? "true" : "false");
	printf("\"passthrough\":{\"possible\":%s,", h->passthrough ? "true" : "false");
	string("why_not", h->no_passthrough);
	printf("},\"memory\":{");
	number("total", m->total, m->total);
	putchar(',');
	number("available", m->available, m->available);
	putchar(',');
	number("cgroup_limit", m->limit, m->limit);
	printf("},\"cpus\":%u,", h->cpus);
	number("fuse_max_pages", h->fuse_max_pages, h->fuse_max_pages);
	putchar(',');
	string("kernel", h->release);
	putchar(',');
}

static void print_verdict(const char *name, const struct policy_verdict *v)
{
	printf("\"%s\":{", name);
	string("backend", policy_backend_name(v->backend));
	printf(",\"fuse_cache\":%s,\"warm_beneath\":%s,\"window\":%" PRIu64 ",\"depth\":%u,"
	       "\"buffer\":%u,",
	       v->fuse_cache ? "true" : "false", v->warm_beneath ? "true" : "false", v->window,
	       v->depth, v->buffer);
	string("reason", v->reason);
	printf("},");
}

static void print_wakeup(const struct probe_report *r)
{
	const struct wakeup *w = &r->wakeup;

	printf("\"wakeup\":{");
	number("plain_ns", w->plain_ns, w->plain_ns);
	putchar(',');
	number("held_ns", w->held_ns, w->held_ns);
	printf(",\"virtual\":%s,", w->machine == WAKEUP_VIRTUAL	     ? "true"
				   : w->machine == WAKEUP_BARE_METAL ? "false"
								     : "null");
	string("advice", r->wake);
	printf("},");
}

void probe_print_json(const struct probe_report *r)
{
	const struct device *d = r->device;

	putchar('{');
	string("directory", r->dir);
	putchar(',');
	string("filesystem", d->fs);
	putchar(',');
	string("source", d->source);
	putchar(',');
	string("mount_point", d->mount_point);
	putchar(',');
	string("class", device_class_name(d->class));
	putchar(',');
	print_steps(d);
	print_limits(d);
	print_direct(&d->direct);
	print_measured(&d->measured);
	print_host(r->host);
	print_wakeup(r);
	printf("\"missing\":[");
	for (unsigned i = 0; i < d->note_count; i++) {
		printf("%s", i ? "," : "");
		json_text(d->notes[i]);
	}
	printf("],\"choice\":{");
	print_verdict("large_file", &r->choice);
	string("sentence", r->sentence);
	printf("}}\n");
}
