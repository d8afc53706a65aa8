/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl: a file for each command. Each returns the exit code: 0, 1 for wrong usage, 2 for
 * what could not be done. */
#pragma once

int ctl_probe(int argc, char **argv);
int ctl_stats(int argc, char **argv);
