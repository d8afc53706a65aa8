/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl explain: asks a mount what happens to a file's data, and why. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ctl/ctl.h"
#include "stats/abi.h"
#include "util/cleanup.h"
#include "util/why.h"

static int ask(const char *path, struct stats_explain *answer)
{
	autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "overdrivectl: %s: %s\n", path, why(errno));
		return CTL_FAILED;
	}
	if (ioctl(fd, OVERDRIVE_IOC_EXPLAIN, answer) == 0 && answer->version == EXPLAIN_VERSION)
		return CTL_DONE;
	fprintf(stderr, "overdrivectl: %s: not a file or directory of an overdrive mount (or of one "
		"of another version)\n", path);
	return CTL_FAILED;
}

static int explain(const struct ctl_args *args)
{
	autofree struct stats_explain *answer = calloc(1, sizeof(*answer));
	int result = answer ? ask(args->operand[0], answer) : CTL_FAILED;

	if (result == CTL_DONE)
		fputs(answer->text, stdout);
	return result;
}

static const struct ctl_option options[] = {
	{NULL, NULL, NULL},
};

const struct ctl_command ctl_explain = {
	.name = "explain",
	.help = "the way of a file's data, or the pattern seen in a directory",
	.operands = "FILE|DIR",
	.min_operands = 1,
	.max_operands = 1,
	.options = options,
	.run = explain,
};
