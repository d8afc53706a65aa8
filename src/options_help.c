/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one description of the command line, and --help, which is printed from it. */
#include "options.h"

#include <string.h>

static const char *const prefetch_choices[] = {
	[OPTION_PREFETCH_AUTO] = "auto",
	[OPTION_PREFETCH_OFF] = "off",
	[OPTION_PREFETCH_STREAM] = "stream",
	[OPTION_PREFETCH_TREE] = "tree",
	NULL,
};

static const char *const backend_choices[] = {
	[OPTION_BACKEND_AUTO] = "auto",		[OPTION_BACKEND_KERNEL] = "kernel",
	[OPTION_BACKEND_BUFFERED] = "buffered", [OPTION_BACKEND_DIRECT] = "direct",
	[OPTION_BACKEND_RING] = "ring",		NULL,
};

static const char *const passthrough_choices[] = {
	[OPTION_PASSTHROUGH_AUTO] = "auto",
	[OPTION_PASSTHROUGH_OFF] = "off",
	NULL,
};

static const char *const wake_choices[] = {
	[OPTION_WAKE_AUTO] = "auto",
	[OPTION_WAKE_SLEEP] = "sleep",
	[OPTION_WAKE_SPIN] = "spin",
	[OPTION_WAKE_QOS] = "qos",
	NULL,
};

#define FLAG(g, n, field, value, h)                                                    \
	{                                                                              \
		.name = (n), .type = OPTION_FLAG, .group = OPTION_GROUP_##g,           \
		.target = offsetof(struct options, field), .set = (value), .help = (h) \
	}
#define STRING(g, n, field, a, h)                                                  \
	{                                                                          \
		.name = (n), .type = OPTION_STRING, .group = OPTION_GROUP_##g,     \
		.target = offsetof(struct options, field), .arg = (a), .help = (h) \
	}
#define CHOICE(g, n, field, list, h)                                                      \
	{                                                                                 \
		.name = (n), .type = OPTION_CHOICE, .group = OPTION_GROUP_##g,            \
		.target = offsetof(struct options, field), .choices = (list), .help = (h) \
	}
#define TIMEOUT(n, field, h)                                                                     \
	{                                                                                        \
		.name = (n), .type = OPTION_SECONDS, .group = OPTION_GROUP_FUSE,                 \
		.target = offsetof(struct options, field), .min = 0, .max = OPTIONS_TIMEOUT_MAX, \
		.arg = "SECONDS", .example = "1", .help = (h)                                    \
	}
#define IGNORED(n, a)                                                                         \
	{                                                                                     \
		.name = (n), .type = OPTION_IGNORED, .group = OPTION_GROUP_FSTAB, .arg = (a), \
		.help = "ignored"                                                             \
	}
#define REFUSED(n, h)                                                                         \
	{                                                                                     \
		.name = (n), .type = OPTION_REFUSED, .group = OPTION_GROUP_FSTAB, .help = (h) \
	}

static const struct option_def table[] = {
	CHOICE(OWN, "backend", backend, backend_choices, "how data is moved"),
	{ .name = "memory",
	  .type = OPTION_SIZE,
	  .group = OPTION_GROUP_OWN,
	  .target = offsetof(struct options, memory),
	  .min = OPTIONS_MEMORY_MIN,
	  .max = OPTIONS_MEMORY_MAX,
	  .arg = "SIZE",
	  .example = "64M",
	  .help = "for all buffers and guesses; k, M, G" },
	FLAG(OWN, "exclusive", exclusive, OPTION_ON,
	     "nobody else changes SOURCE: trust what is known"),
	FLAG(OWN, "detach_on_death", detach_on_death, OPTION_ON,
	     "if the daemon dies, the path becomes plain again"),
	CHOICE(OWN, "passthrough", passthrough, passthrough_choices,
	       "hand hot files to the kernel where it can"),
	CHOICE(OWN, "prefetch", prefetch, prefetch_choices,
	       "fetch ahead of who reads cold files, trees in order"),
	CHOICE(OWN, "wake", wake, wake_choices,
	       "wait for requests asleep, or awake while they come"),

	FLAG(FUSE, "allow_other", allow_other, OPTION_ON, "every user may enter (root: default)"),
	FLAG(FUSE, "allow_root", allow_root, OPTION_ON, "only root and who mounts may enter"),
	FLAG(FUSE, "default_permissions", default_permissions, OPTION_ON,
	     "the kernel checks modes (root: default)"),
	STRING(FUSE, "fsname", fsname, "NAME", "shown as the source (default: SOURCE)"),
	STRING(FUSE, "subtype", subtype, "NAME", "shown as fuse.NAME (default: overdrive)"),
	TIMEOUT("attr_timeout", attr_timeout, "trust attributes for so long (default: 1)"),
	TIMEOUT("entry_timeout", entry_timeout, "trust names for so long (default: 1)"),
	TIMEOUT("negative_timeout", negative_timeout,
		"trust a name's absence for so long (default: 1)"),

	FLAG(MOUNT, "ro", ro, OPTION_ON, "read only"),
	FLAG(MOUNT, "rw", ro, OPTION_OFF, "read and write"),
	FLAG(MOUNT, "suid", nosuid, OPTION_OFF, "obey set-user-ID, set-group-ID, capabilities"),
	FLAG(MOUNT, "nosuid", nosuid, OPTION_ON, "do not obey them"),
	FLAG(MOUNT, "dev", nodev, OPTION_OFF, "device files are devices"),
	FLAG(MOUNT, "nodev", nodev, OPTION_ON, "device files can't be opened"),
	FLAG(MOUNT, "exec", noexec, OPTION_OFF, "programs can be run"),
	FLAG(MOUNT, "noexec", noexec, OPTION_ON, "programs can't be run"),
	FLAG(MOUNT, "noatime", atime, OPTION_ATIME_NOATIME, "never update access times"),
	FLAG(MOUNT, "relatime", atime, OPTION_ATIME_RELATIME, "update those older than a change"),
	/* For the kernel, no MS_NOATIME has meant relatime since 2.6.30. */
	FLAG(MOUNT, "atime", atime, OPTION_ATIME_RELATIME, "the same as relatime"),
	FLAG(MOUNT, "strictatime", atime, OPTION_ATIME_STRICTATIME, "update them at each access"),
	FLAG(MOUNT, "diratime", nodiratime, OPTION_OFF, "treat directories' access times alike"),
	FLAG(MOUNT, "nodiratime", nodiratime, OPTION_ON, "never update those of directories"),
	FLAG(MOUNT, "sync", sync, OPTION_ON, "write everything at once"),
	FLAG(MOUNT, "async", sync, OPTION_OFF, "write when convenient"),
	FLAG(MOUNT, "dirsync", dirsync, OPTION_ON, "write changes of directories at once"),

	IGNORED("defaults", NULL),
	IGNORED("auto", NULL),
	IGNORED("noauto", NULL),
	IGNORED("nofail", NULL),
	IGNORED("_netdev", NULL),
	IGNORED("user", "NAME"),
	IGNORED("nouser", NULL),
	IGNORED("users", NULL),
	IGNORED("nousers", NULL),
	IGNORED("owner", NULL),
	IGNORED("noowner", NULL),
	IGNORED("group", NULL),
	IGNORED("nogroup", NULL),
	/* The kernel ignores the first; lazytime is up to SOURCE's own filesystem. */
	IGNORED("norelatime", NULL),
	IGNORED("lazytime", NULL),
	IGNORED("nolazytime", NULL),
	IGNORED("comment", "TEXT"),
	IGNORED("x-*", "VALUE"),
	IGNORED("X-*", "VALUE"),
	REFUSED("remount",
		"ask mount(8): mount -o remount,ro|rw MOUNTPOINT; all else needs umount and mount"),
};

static const struct option_flag flags[] = {
	{ 'o', NULL, "OPT[,OPT...]", 0, "mount options, see below" },
	{ 'f', "foreground", NULL, offsetof(struct options, foreground), "stay in the foreground" },
	{ 'd', "debug", NULL, offsetof(struct options, debug), "show each request; implies -f" },
	{ 'V', "version", NULL, offsetof(struct options, show_version), "show the version" },
	{ 'h', "help", NULL, offsetof(struct options, show_help), "show this help" },
	/* What mount(8) passes on to its helpers. */
	{ 'n', NULL, NULL, 0, "ignored" },
	{ 's', NULL, NULL, offsetof(struct options, sloppy), "ignore options that are not known" },
	{ 'v', NULL, NULL, 0, "ignored" },
	{ 't', NULL, "TYPE", 0, "ignored" },
};

const struct option_def *options_table(size_t *n)
{
	*n = sizeof(table) / sizeof(table[0]);
	return table;
}

const struct option_flag *options_flags(size_t *n)
{
	*n = sizeof(flags) / sizeof(flags[0]);
	return flags;
}

/* Wide enough for most of the left column. */
#define HELP_COLUMN 26

static void print_flag(FILE *out, const struct option_flag *f)
{
	char left[64];

	if (f->word)
		snprintf(left, sizeof(left), "-%c, --%s", f->letter, f->word);
	else
		snprintf(left, sizeof(left), "-%c%s%s", f->letter, f->arg ? " " : "",
			 f->arg ? f->arg : "");
	fprintf(out, "  %-*s %s\n", HELP_COLUMN, left, f->help);
}

static void print_option(FILE *out, const struct option_def *def)
{
	char left[64];
	int len = snprintf(left, sizeof(left), "%s%s%s", def->name, def->arg ? "=" : "",
			   def->arg ? def->arg : "");

	for (size_t i = 0; def->choices && def->choices[i] && len < (int)sizeof(left); i++)
		len += snprintf(left + len, sizeof(left) - (size_t)len, "%c%s", i ? '|' : '=',
				def->choices[i]);
	/* Too long for its column: the help begins a line of its own. */
	if (len > HELP_COLUMN)
		fprintf(out, "  %s\n  %-*s %s\n", left, HELP_COLUMN, "", def->help);
	else
		fprintf(out, "  %-*s %s\n", HELP_COLUMN, left, def->help);
}

static void print_group(FILE *out, enum option_group group, const char *heading)
{
	fprintf(out, "\n%s\n", heading);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].group == group)
			print_option(out, &table[i]);
}

static void print_ignored(FILE *out)
{
	size_t column = 80; /* so that the first name begins a line */

	fputs("\nAccepted without effect, for mount(8) and fstab(5):", out);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *name = table[i].name;

		if (table[i].type != OPTION_IGNORED)
			continue;
		if (column + 1 + strlen(name) > 76) {
			fputs("\n ", out);
			column = 1;
		}
		column += (size_t)fprintf(out, " %s", name);
	}
	fputc('\n', out);
}

void options_print_help(FILE *out)
{
	fputs("Usage: overdrive [-o OPT[,OPT...]] [-f] [-d] SOURCE [MOUNTPOINT]\n"
	      "Mounts the directory SOURCE at MOUNTPOINT, or in place, and makes it faster.\n\n",
	      out);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		print_flag(out, &flags[i]);
	print_group(out, OPTION_GROUP_OWN, "Options of overdrive, given by -o:");
	print_group(out, OPTION_GROUP_FUSE, "Options of FUSE:");
	print_group(out, OPTION_GROUP_MOUNT,
		    "Options of mount(8), where not said as on SOURCE's own mount:");
	print_ignored(out);
	fputs("\nUnmount with: umount MOUNTPOINT (an ordinary user: fusermount3 -u MOUNTPOINT)\n",
	      out);
}
