/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl warm: brings files into memory at the disk's depth, before somebody needs them. */
#include "ctl/warm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "policy.h"
#include "probe/host.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* 16 to 64 readers reach what a 1 ms disk can do (DESIGN.md, Facts). */
#define DEPTH	  32
#define MAX_DEPTH 256
/* Of what is free: what is warmed first must still be there when the last is. */
#define MEMORY_PARTS 3
#define MEMORY_WHOLE 4

#define TICK_NS 200000000l /* how often the progress is shown, and stdin's wait looks around */
#define TICK_MS 200

enum { OPT_NUL, OPT_MEMORY, OPT_DEPTH, OPT_JSON };

/* Who feeds the line: the operands, "-" being the names on stdin. */
struct feeder {
	struct warm_job *job;
	const struct ctl_args *args;
	char end; /* of a name on stdin */
};

static bool name_it(struct feeder *f, const char *name, size_t length, bool follow)
{
	struct warm_item *item = warm_item_new(name, length, NULL);

	if (!item) {
		atomic_fetch_add(&f->job->counts.errors, 1);
		return false;
	}
	item->follow = follow;
	atomic_fetch_add(&f->job->counts.found, 1);
	return warm_queue_name(&f->job->queue, item);
}

/* Waits for stdin, but not beyond a ^C. False at the end. */
static ssize_t read_more(struct feeder *f, char *buffer, size_t size)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	ssize_t n;

	while (poll(&in, 1, TICK_MS) == 0)
		if (warm_queue_stopped(&f->job->queue))
			return 0;
	n = read(STDIN_FILENO, buffer, size);
	if (n < 0) {
		fprintf(stderr, "overdrivectl warm: stdin: %s\n", strerror(errno));
		atomic_fetch_add(&f->job->counts.errors, 1);
	}
	return n;
}

static bool read_names(struct feeder *f)
{
	char buffer[8192];
	size_t filled = 0;
	ssize_t n;

	while ((n = read_more(f, buffer + filled, sizeof(buffer) - filled)) > 0) {
		char *from = buffer, *to;

		filled += (size_t)n;
		while ((to = memchr(from, f->end, filled - (size_t)(from - buffer)))) {
			if (to > from && !name_it(f, from, (size_t)(to - from), false))
				return false;
			from = to + 1;
		}
		filled -= (size_t)(from - buffer);
		memmove(buffer, from, filled);
		if (filled == sizeof(buffer)) {
			fprintf(stderr,
				"overdrivectl warm: stdin: %s (are the names separated "
				"by %s?)\n",
				strerror(ENAMETOOLONG), f->end ? "newlines" : "NULs");
			atomic_fetch_add(&f->job->counts.errors, 1);
			return false;
		}
	}
	return n == 0 && (!filled || name_it(f, buffer, filled, false));
}

static void *feed(void *argument)
{
	struct feeder *f = argument;
	bool go_on = true;

	for (unsigned i = 0; go_on && i < f->args->operands; i++) {
		const char *name = f->args->operand[i];

		go_on = strcmp(name, "-") == 0 ? read_names(f)
					       : name_it(f, name, strlen(name), true);
	}
	warm_queue_complete(&f->job->queue);
	return NULL;
}

/* ------------------------------------------------------------------ what is shown */

static uint64_t rate(const struct warm_job *job, uint64_t elapsed)
{
	return elapsed ? (uint64_t)((double)atomic_load(&job->counts.bytes) * 1e9 / (double)elapsed)
		       : 0;
}

static void show_progress(const struct warm_job *job, uint64_t elapsed)
{
	uint64_t found = atomic_load(&job->counts.found), files = atomic_load(&job->counts.files);
	char bar[] = "[                    ]";

	for (unsigned i = 0; found && i < sizeof(bar) - 3 && i * found < files * (sizeof(bar) - 3);
	     i++)
		bar[1 + i] = '#';
	fprintf(stderr, "\r%s %llu of %llu files  %s  %s\033[K", bar, (unsigned long long)files,
		(unsigned long long)found, policy_bytes(atomic_load(&job->counts.bytes)).text,
		policy_rate(rate(job, elapsed)).text);
}

static void print_json(const struct warm_job *job, uint64_t elapsed, bool interrupted)
{
	const struct warm_counts *c = &job->counts;

	printf("{\"files\":%llu,\"directories\":%llu,\"bytes\":%llu,\"cached_bytes\":%llu,"
	       "\"skipped\":%llu,\"errors\":%llu,\"seconds\":%.3f,\"bytes_per_second\":%llu,"
	       "\"memory\":%llu,\"memory_reached\":%s,\"interrupted\":%s}\n",
	       (unsigned long long)c->files, (unsigned long long)c->dirs,
	       (unsigned long long)c->bytes, (unsigned long long)c->cached,
	       (unsigned long long)c->skipped, (unsigned long long)c->errors, (double)elapsed / 1e9,
	       (unsigned long long)rate(job, elapsed), (unsigned long long)job->memory,
	       job->memory_reached ? "true" : "false", interrupted ? "true" : "false");
}

static void print_text(const struct warm_job *job, uint64_t elapsed, bool interrupted)
{
	const struct warm_counts *c = &job->counts;

	printf("%llu files in %llu directories: %s in %.2f s, %s", (unsigned long long)c->files,
	       (unsigned long long)c->dirs, policy_bytes(c->bytes).text, (double)elapsed / 1e9,
	       policy_rate(rate(job, elapsed)).text);
	if (c->cached)
		printf("; %s more were in memory", policy_bytes(c->cached).text);
	if (c->skipped)
		printf("; %llu skipped (links, special files, other filesystems)",
		       (unsigned long long)c->skipped);
	if (c->errors)
		printf("; %llu failed", (unsigned long long)c->errors);
	if (interrupted)
		printf("; interrupted");
	else if (job->memory_reached)
		printf("; stopped at --memory=%s", policy_bytes(job->memory).text);
	printf("\n");
}

/* --------------------------------------------------------------------- the command */

/* "512", "64K", "2G", "1.5M" is too clever: whole numbers. */
static bool read_size(const char *word, uint64_t *size)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	errno = 0;
	*size = strtoull(word, &end, 10);
	if (errno || end == word || *word == '-' || *word == '+' || *word == ' ')
		return false;
	if (!*end)
		return true;
	unit = strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end);
	if (!unit || (end[1] && strcmp(end + 1, "iB") != 0))
		return false;
	for (const char *u = units; u <= unit; u++)
		if (__builtin_mul_overflow(*size, 1024, size))
			return false;
	return true;
}

static bool read_limits(const struct ctl_args *args, struct warm_job *job, unsigned *threads)
{
	uint64_t depth = DEPTH;

	if (args->option[OPT_DEPTH] &&
	    (!read_size(args->option[OPT_DEPTH], &depth) || depth < 1 || depth > MAX_DEPTH)) {
		fprintf(stderr, "overdrivectl warm: --depth %s: 1 to %d are expected\n",
			args->option[OPT_DEPTH], MAX_DEPTH);
		return false;
	}
	*threads = (unsigned)depth;
	if (args->option[OPT_MEMORY]) {
		if (read_size(args->option[OPT_MEMORY], &job->memory))
			return true;
		fprintf(stderr,
			"overdrivectl warm: --memory %s: a number of bytes is expected, "
			"as 512M or 2G\n",
			args->option[OPT_MEMORY]);
		return false;
	}
	autoclose int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct probe_root from = { .fd = root, .mountinfo = PROBE_MOUNTINFO };
	struct host_memory memory;

	host_memory_probe(&memory, &from);
	job->memory = host_memory_free(&memory) / MEMORY_WHOLE * MEMORY_PARTS;
	if (!job->memory)
		job->memory = UINT64_MAX;
	return true;
}

/* Until all threads have ended. True if a signal ended it. */
static bool wait_for_end(struct warm_job *job, const sigset_t *signals, uint64_t begin)
{
	const struct timespec tick = { .tv_nsec = TICK_NS };
	bool tty = isatty(STDERR_FILENO), interrupted = false;

	while (atomic_load(&job->alive)) {
		int signal = sigtimedwait(signals, NULL, &tick);

		if (signal == SIGINT || signal == SIGTERM) {
			sigset_t again = *signals;

			/* A second one ends it whatever the disk does. */
			interrupted = true;
			warm_queue_stop(&job->queue);
			sigdelset(&again, SIGUSR1);
			pthread_sigmask(SIG_UNBLOCK, &again, NULL);
		}
		if (tty && signal < 0)
			show_progress(job, clock_ns() - begin);
	}
	if (tty)
		fprintf(stderr, "\r\033[K");
	return interrupted;
}

/* A tree with many branches on its way down needs a descriptor for each level. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int run_threads(struct warm_job *job, struct feeder *feeder, unsigned threads,
		       const sigset_t *signals)
{
	pthread_t worker[MAX_DEPTH], feeding;
	unsigned started = 0;
	uint64_t begin = clock_ns(), elapsed;
	bool interrupted;

	atomic_store(&job->alive, threads);
	while (started < threads && !pthread_create(&worker[started], NULL, warm_worker, job))
		started++;
	atomic_fetch_sub(&job->alive, threads - started);
	if (!started || pthread_create(&feeding, NULL, feed, feeder)) {
		fprintf(stderr, "overdrivectl warm: no thread could be started\n");
		warm_queue_stop(&job->queue);
		for (unsigned i = 0; i < started; i++)
			pthread_join(worker[i], NULL);
		return CTL_FAILED;
	}
	interrupted = wait_for_end(job, signals, begin);
	elapsed = clock_ns() - begin;
	for (unsigned i = 0; i < started; i++)
		pthread_join(worker[i], NULL);
	pthread_join(feeding, NULL);
	if (feeder->args->option[OPT_JSON])
		print_json(job, elapsed, interrupted);
	else
		print_text(job, elapsed, interrupted);
	if (interrupted)
		return CTL_INTERRUPTED;
	return atomic_load(&job->counts.errors) ? CTL_FAILED : CTL_DONE;
}

static int warm(const struct ctl_args *args)
{
	struct warm_job job = { .main = pthread_self() };
	struct feeder feeder = { &job, args, args->option[OPT_NUL] ? '\0' : '\n' };
	unsigned threads;
	sigset_t signals;
	int result;

	if (!read_limits(args, &job, &threads))
		return CTL_USAGE;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	raise_descriptors();
	if (warm_queue_init(&job.queue, threads) != 0)
		return CTL_FAILED;
	result = run_threads(&job, &feeder, threads, &signals);
	warm_queue_deinit(&job.queue);
	return result;
}

const struct ctl_command ctl_warm = {
	.name = "warm",
	.help = "bring files into memory before they are needed",
	.operands = "DIR…|FILE…|-",
	.min_operands = 1,
	.max_operands = CTL_MANY,
	.options =
		(const struct ctl_option[]){
			[OPT_NUL] = { "-0", NULL,
				      "the names on stdin end in a NUL, not in a newline" },
			[OPT_MEMORY] = { "--memory", "SIZE",
					 "fetch at most this much (512M, 2G); default: 3/4 of what is free" },
			[OPT_DEPTH] = { "--depth", "N", "so many reads at once; default 32" },
			[OPT_JSON] = { "--json", NULL, "the summary as JSON" },
			{ NULL, NULL, NULL } },
	.more = "Fetches files and whole trees in the order given; \"-\": those named on stdin.\n"
		"DIR may be an overdrive mount or any directory. Symlinks, special files and other\n"
		"filesystems met in a tree, and symlinks named on stdin, are skipped. Times of access\n"
		"stay as they are.\n",
	.run = warm,
};
