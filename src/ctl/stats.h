/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What overdrivectl stats says, in its three forms. */
#pragma once

#include "ctl/mounts.h"

void stats_print_text(const struct ctl_mount *mount);
void stats_print_json(const struct ctl_mount *mount); /* an object, without a newline */
/* Of all mounts at once: Prometheus wants all values of a name together. */
void stats_print_prometheus(const struct ctl_mounts *mounts);
