/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl probe: what is under a directory, and what overdrive would do with it. */
#include "ctl/probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "probe/sysfile.h"
#include "util/cleanup.h"
#include "util/why.h"

/* The file that the choice is shown for. */
#define EXAMPLE_SIZE (1ull << 30)

static const char *way(const struct policy_verdict *v)
{
	if (!v->warm_beneath)
		return v->fuse_cache ? "read through FUSE's page cache" : "left to the kernel";
	return v->fuse_cache ? "read through FUSE's page cache, and fetched beneath"
			     : "handed to the kernel, and fetched beneath";
}

static void say_choice(struct probe_report *r)
{
	const struct policy_verdict *v = &r->choice;
	char ahead[64] = "";

	if (v->window)
		snprintf(ahead, sizeof(ahead), " up to %s ahead of who reads in order",
			 policy_bytes(v->window).text);
	snprintf(r->sentence, sizeof(r->sentence), "A large cold file is %s%s: %s.", way(v), ahead,
		 v->reason);
}

static void choose(struct probe_report *r)
{
	struct policy_options options = { .backend = POLICY_AUTO };
	struct policy_file file = { .size = EXAMPLE_SIZE, .resident = 0, .flags = O_RDONLY };

	policy_model(&r->model, r->device);
	policy_choose(&r->choice, r->device, r->host, &options, &file);
	say_choice(r);
}

/* A directory that may be entered but not read can still be asked where it lies. */
static int open_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == EACCES)
		fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return or_errno(fd);
}

/* Only root may hold the device; what a wake-up costs without can be measured by anybody. */
static void look_at_wakeups(struct probe_report *r, int root, bool measure)
{
	autoclose int device = measure ? open(WAKEUP_DEVICE, O_WRONLY | O_CLOEXEC) : -1;
	int err = measure && device < 0 ? errno : 0;

	wakeup_look(&r->wakeup, root);
	if (measure)
		wakeup_measure(&r->wakeup, device);
	if (!r->wakeup.error)
		r->wakeup.error = err;
	wakeup_advise(&r->wakeup, r->wake);
}

static int run(const char *dir, bool json, const struct device_options *how)
{
	autoclose int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = open_dir(dir);
	autofree struct device *device = calloc(1, sizeof(*device));
	autofree char *name = strdup(dir);
	struct probe_root root = { .fd = root_fd, .mountinfo = PROBE_MOUNTINFO };
	struct host host;
	struct probe_report report = { .dir = name, .device = device, .host = &host };
	int err = fd < 0 ? fd : !device || !name ? -ENOMEM : 0;

	if (!err)
		err = device_probe_dir(device, &root, fd, how);
	if (err < 0) {
		fprintf(stderr, "overdrivectl: %s: %s\n", dir, why(-err));
		return CTL_FAILED;
	}
	sys_clean(name);
	host_probe(&host, &root);
	look_at_wakeups(&report, root_fd, how->calibrate);
	choose(&report);
	if (json)
		probe_print_json(&report);
	else
		probe_print_text(&report);
	return CTL_DONE;
}

enum { JSON, NO_CALIBRATE };

static const struct ctl_option options[] = {
	[JSON] = { "--json", NULL, "as JSON" },
	[NO_CALIBRATE] = { "--no-calibrate", NULL,
			   "don't measure (the disk: 150 ms and 16 MiB at most)" },
	{ NULL, NULL, NULL },
};

static int probe(const struct ctl_args *args)
{
	struct device_options how = {
		.calibrate = !args->option[NO_CALIBRATE],
		.cache_dir = DEVICE_CACHE_DIR,
	};

	return run(args->operands ? args->operand[0] : ".", args->option[JSON], &how);
}

const struct ctl_command ctl_probe = {
	.name = "probe",
	.help = "what is under a directory, and what is made of it",
	.operands = "[DIR]",
	.max_operands = 1,
	.options = options,
	.more = "DIR is the present directory unless said otherwise. What was measured of a disk is kept\n"
		"in " DEVICE_CACHE_DIR " until the machine restarts.\n",
	.run = probe,
};
