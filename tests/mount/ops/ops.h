/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ops: what a program sees of a filesystem, written down.
 *
 * Each scenario works in an empty directory of its own (its cwd) and prints a transcript of
 * lines "scenario: step: result". The transcript of the same scenario on a plain directory and
 * on a mount of such a directory must be equal: so only what must be equal is printed. Times
 * and inode numbers appear as relations, file descriptors and addresses as "ok".
 */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct ops {
	const char *name; /* of the running scenario */
	const char *self; /* path of this program, opened before any chdir */
	bool root;	  /* runs with uid 0 */
	bool here;	  /* works in the directory itself, not in an empty one below */
};

/* who may run a scenario */
enum {
	OPS_ROOT = 1,
	OPS_USER = 2,
	OPS_BOTH = OPS_ROOT | OPS_USER,
	OPS_NAMED = 4, /* only when asked for: needs a filesystem made for it */
};

/* A file's table ends with an entry without a name. */
struct scenario {
	const char *name;
	void (*run)(struct ops *o);
	unsigned int who;
};

extern const struct scenario acl_scenarios[];
extern const struct scenario append_scenarios[];
extern const struct scenario async_scenarios[];
extern const struct scenario attr_scenarios[];
extern const struct scenario caps_scenarios[];
extern const struct scenario copy_scenarios[];
extern const struct scenario data_scenarios[];
extern const struct scenario dir_scenarios[];
extern const struct scenario direct_scenarios[];
extern const struct scenario exec_scenarios[];
extern const struct scenario fanotify_scenarios[];
extern const struct scenario flags_scenarios[];
extern const struct scenario full_scenarios[];
extern const struct scenario ids_scenarios[];
extern const struct scenario killpriv_scenarios[];
extern const struct scenario known_scenarios[];
extern const struct scenario links_scenarios[];
extern const struct scenario layers_scenarios[];
extern const struct scenario fault_scenarios[];
extern const struct scenario locks_scenarios[];
extern const struct scenario misc_scenarios[];
extern const struct scenario mmap_scenarios[];
extern const struct scenario names_scenarios[];
extern const struct scenario nodes_scenarios[];
extern const struct scenario open_scenarios[];
extern const struct scenario rename_scenarios[];
extern const struct scenario space_scenarios[];
extern const struct scenario times_scenarios[];
extern const struct scenario tmpfile_scenarios[];
extern const struct scenario unlinked_scenarios[];
extern const struct scenario watch_scenarios[];
extern const struct scenario xattr_scenarios[];

/* Users and groups that own nothing on the machine. */
enum {
	USER_A = 12345,
	USER_B = 12346,
	GROUP_X = 20001,
	GROUP_Y = 20002,
};

/*
 * TRY prints the call and its value or the name of its errno; FD prints "ok" for any value that
 * is not negative. Both give the value back, and leave errno as the call did.
 */
#define TRY(o, call)  ops_try(o, #call, (long)(call))
#define FD(o, call)   ops_ok(o, #call, (long)(call))
#define SHOW(o, path) ops_show(o, "stat " #path, AT_FDCWD, path)
#define SHOWFD(o, fd) ops_show(o, "fstat " #fd, fd, "")

/* Does CALL, and says which times of PATH that changed. */
#define TIMES(o, path, call)                                          \
	do {                                                          \
		struct stat before_ = ops_lstat(path);                \
		ops_tick();                                           \
		ops_try(o, #call, (long)(call));                      \
		ops_changed(o, "times after " #call, &before_, path); \
	} while (0)

long ops_try(struct ops *o, const char *step, long ret);
int ops_ok(struct ops *o, const char *step, long ret);
__attribute__((format(printf, 3, 4))) void ops_say(struct ops *o, const char *step, const char *fmt,
						   ...);

/* type, mode, owners, nlink, size (and rdev) of FD/PATH, symlinks not followed */
void ops_show(struct ops *o, const char *step, int fd, const char *path);
void ops_show_stat(struct ops *o, const char *step, const struct stat *st);
/* st_blocks, which only means something after an fsync */
void ops_blocks(struct ops *o, const char *step, const char *path);
/* A struct stat of zeroes where lstat fails: the difference shows soon enough. */
struct stat ops_lstat(const char *path);
struct stat ops_fstat(int fd);
bool ops_same_file(const struct stat *a, const struct stat *b);
void ops_changed(struct ops *o, const char *step, const struct stat *before, const char *path);
void ops_changed_stat(struct ops *o, const char *step, const struct stat *before,
		      const struct stat *after);
/* Waits until a time stamp taken now differs from one taken before. */
void ops_tick(void);

/* size, hash and (when short) text of a whole file, read with pread */
void ops_content(struct ops *o, const char *step, int fd);
void ops_content_path(struct ops *o, const char *step, const char *path);
/* the same of LEN bytes in memory */
void ops_bytes(struct ops *o, const char *step, const void *data, size_t len);

/* Set-up whose success is expected: a transcript line is printed only on failure. */
void ops_mk(struct ops *o, const char *path, const char *text);
void ops_mk_sized(struct ops *o, const char *path, size_t size);
void ops_mkdir(struct ops *o, const char *path, mode_t mode);
int ops_open(struct ops *o, const char *path, int flags);
void ops_pattern(void *buf, size_t len, unsigned int seed);
/* FS_IOC_SETFLAGS: some set, some cleared, the others left as they are */
int ops_set_flags(const char *path, int set, int clear);
int ops_copy_self(struct ops *o, const char *path);
int ops_ls_count(const char *path);
void ops_ls(struct ops *o, const char *step, const char *path);

/* FN in a child process; FN's end is the child's. */
pid_t ops_spawn(struct ops *o, void (*fn)(struct ops *o, void *arg), void *arg);
void ops_reap(struct ops *o, const char *step, pid_t pid);

struct ops_user {
	uid_t uid;
	gid_t gid;
	size_t n_groups;
	gid_t groups[4];
};

/* FN in a child process that runs as USER (root only); waits for it. */
void ops_as(struct ops *o, const struct ops_user *user, void (*fn)(struct ops *o, void *arg),
	    void *arg);

extern const struct ops_user ops_user_a;
extern const struct ops_user ops_user_b;

/* Removes PATH and all below it, immutable and append-only files too. */
int ops_rm(int dir, const char *name);
