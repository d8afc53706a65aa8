/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl explain: asks a mount what happens to a file's data, and why. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "probe/sysfile.h"
#include "stats/abi.h"
#include "util/cleanup.h"
#include "util/why.h"

enum { JSON };

static int ask(const char *path, struct stats_explain *answer)
{
	autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "overdrivectl: %s: %s\n", path, why(errno));
		return CTL_FAILED;
	}
	if (ioctl(fd, OVERDRIVE_IOC_EXPLAIN, answer) == 0 && answer->version == EXPLAIN_VERSION)
		return CTL_DONE;
	fprintf(stderr,
		"overdrivectl: %s: not a file or directory of an overdrive mount (or of one "
		"of another version)\n",
		path);
	return CTL_FAILED;
}

/* The lines are "key   what is said"; a directory's first has no key. */
static int print_json(const char *path, char *text)
{
	autofree char *name = strdup(path);
	char *rest = text, *line;

	if (!name)
		return CTL_FAILED;
	sys_clean(name);
	printf("{\"path\":");
	json_text(name);
	printf(",\"directory\":%s", strncmp(text, "a directory\n", 12) == 0 ? "true" : "false");
	while ((line = strsep(&rest, "\n"))) {
		char *value = strstr(line, "  ");

		if (!value)
			continue;
		*value++ = '\0';
		value += strspn(value, " ");
		putchar(',');
		json_text(line);
		putchar(':');
		json_text(value);
	}
	printf("}\n");
	return CTL_DONE;
}

static int explain(const struct ctl_args *args)
{
	autofree struct stats_explain *answer = calloc(1, sizeof(*answer));
	int result = answer ? ask(args->operand[0], answer) : CTL_FAILED;

	if (result != CTL_DONE)
		return result;
	if (args->option[JSON])
		return print_json(args->operand[0], answer->text);
	fputs(answer->text, stdout);
	return CTL_DONE;
}

static const struct ctl_option options[] = {
	[JSON] = { "--json", NULL, "as JSON: an object with a string for each line" },
	{ NULL, NULL, NULL },
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
