/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What overdrivectl probe has to say, in its two forms. */
#pragma once

#include "policy.h"
#include "probe/device.h"
#include "probe/host.h"
#include "probe/wakeup.h"

struct probe_report {
	const char *dir; /* as asked for */
	const struct device *device;
	const struct host *host;
	struct wakeup wakeup;
	char wake[200]; /* what is made of that */
	struct policy_model model;
	struct policy_verdict choice; /* what a mount does with a large cold file */
	char sentence[512];
};

void probe_print_text(const struct probe_report *report);
void probe_print_json(const struct probe_report *report);
