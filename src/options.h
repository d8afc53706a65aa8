/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line. One table describes every -o option (name, type, range, help); the parser,
 * --help, the hints for mistyped names and the check of the man page all read it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Beware: AUTO is not zero, so compare with == OPTION_ON rather than for truth. */
enum option_tristate {
	OPTION_AUTO = -1, /* not said */
	OPTION_OFF = 0,
	OPTION_ON = 1,
};

/* One value rather than three flags, as in mount_setattr(2): the last one said wins. */
enum option_atime {
	OPTION_ATIME_AUTO = -1, /* not said: as SOURCE's own mount */
	OPTION_ATIME_RELATIME,
	OPTION_ATIME_NOATIME,
	OPTION_ATIME_STRICTATIME,
};

enum option_passthrough {
	OPTION_PASSTHROUGH_AUTO,
	OPTION_PASSTHROUGH_OFF,
};

enum option_prefetch {
	OPTION_PREFETCH_AUTO,
	OPTION_PREFETCH_OFF,
	OPTION_PREFETCH_STREAM, /* within files only, whatever the disk */
	OPTION_PREFETCH_TREE,	/* trees only, and also where all seems to be in memory */
};

enum option_backend {
	OPTION_BACKEND_AUTO,
	OPTION_BACKEND_KERNEL,
	OPTION_BACKEND_BUFFERED,
	OPTION_BACKEND_DIRECT,
	OPTION_BACKEND_RING,
};

/* Bytes of memory=. The least serves two requests at once; see fs/engine.h. */
#define OPTIONS_MEMORY_AUTO 0 /* not said: by the machine's size */
#define OPTIONS_MEMORY_MIN  (4ull << 20)
#define OPTIONS_MEMORY_MAX  (128ull << 30)

/* How to wait for requests (fs/wake.h). */
enum option_wake {
	OPTION_WAKE_AUTO,
	OPTION_WAKE_SLEEP,
	OPTION_WAKE_SPIN,
	OPTION_WAKE_QOS,
};

#define OPTIONS_TIMEOUT_AUTO	(-1.0)	   /* not said: the default, or longer if exclusive */
#define OPTIONS_TIMEOUT_DEFAULT 1.0	   /* seconds */
#define OPTIONS_TIMEOUT_MAX	31536000.0 /* seconds: a year */

/* Room for the longest error text that options_parse writes. */
#define OPTIONS_ERR_LEN 256

/* What the command line asks for. The strings are owned by the struct. */
struct options {
	char *source;	  /* as given */
	char *mountpoint; /* as given; NULL: in place, over source */
	bool foreground;  /* also set by -d */
	bool debug;
	bool show_help;	   /* the rest of the command line was not read */
	bool show_version; /* likewise */
	bool sloppy;	   /* options that are not known are ignored */
	/* What -o said of overdrive's and FUSE's own options, "exclusive,attr_timeout=2"; the last
	 * word on each, without names (fsname, subtype), which show in mountinfo. NULL: nothing. */
	char *said;

	/*
	 * mount(8)'s flags. AUTO: taken over from SOURCE's own mount. mount(8) always tells its
	 * helpers "rw" or "ro", so OFF here is no promise that SOURCE can be written.
	 */
	enum option_tristate ro;
	enum option_tristate nosuid;
	enum option_tristate nodev;
	enum option_tristate noexec;
	enum option_atime atime;
	enum option_tristate nodiratime;
	enum option_tristate sync;
	enum option_tristate dirsync;

	/* AUTO: by who mounts. Never both of the first two ON. */
	enum option_tristate allow_other;
	enum option_tristate allow_root;
	enum option_tristate default_permissions;
	char *fsname;  /* NULL: SOURCE */
	char *subtype; /* NULL: overdrive */

	/* Seconds, or OPTIONS_TIMEOUT_AUTO. */
	double attr_timeout;
	double entry_timeout;
	double negative_timeout;

	enum option_tristate exclusive;	      /* OFF or ON */
	enum option_tristate detach_on_death; /* likewise */
	enum option_passthrough passthrough;
	enum option_prefetch prefetch;
	enum option_backend backend;
	uint64_t memory; /* bytes, or OPTIONS_MEMORY_AUTO */
	enum option_wake wake;
};

enum option_type {
	OPTION_FLAG,	/* no value; writes `set` to an int or enum */
	OPTION_SECONDS, /* decimal number from min to max; writes a double */
	OPTION_SIZE,	/* bytes, with k, M or G, from min to max; writes a uint64_t */
	OPTION_STRING,	/* not empty; writes a char * */
	OPTION_CHOICE,	/* one of `choices`; writes its index to an enum */
	OPTION_IGNORED, /* for mount(8) and fstab; a value is allowed if `arg` is set */
	OPTION_REFUSED, /* known, and not supported: `help` says what to do instead */
};

enum option_group {
	OPTION_GROUP_OWN,
	OPTION_GROUP_FUSE,
	OPTION_GROUP_MOUNT,
	OPTION_GROUP_FSTAB, /* ignored or refused */
};

/* An option given by -o. A name that ends in '*' stands for all that begin so. */
struct option_def {
	const char *name;
	enum option_type type;
	enum option_group group;
	size_t target; /* where in struct options; unused if ignored or refused */
	int set;
	double min, max;
	const char *const *choices; /* ends with NULL */
	const char *arg;	    /* the value's name; NULL: takes none, or choices */
	const char *example;	    /* a right value, where one helps */
	const char *help;
};

/* An option given by itself, -f or --foreground. */
struct option_flag {
	char letter;
	const char *word; /* without "--"; NULL: has none */
	const char *arg;  /* the argument's name; NULL: takes none */
	size_t target;	  /* of a bool in struct options; 0: none */
	const char *help;
};

const struct option_def *options_table(size_t *n);
const struct option_flag *options_flags(size_t *n);

void options_init(struct options *o);
void options_deinit(struct options *o);

/*
 * Reads the command line into @o, which options_init has prepared. Returns 0, or an exit code of
 * mount(8) (1: wrong usage, 2: out of memory) with one line for the user, without a newline, in
 * @err: the value, and what would be right. @o is to be given to options_deinit in both cases.
 */
int options_parse(struct options *o, int argc, char *const *argv, char *err, size_t err_len);

void options_print_help(FILE *out);
