/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/mount.h"

#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "util/cleanup.h"
#include "util/log.h"

#define EXIT_SYSTEM 2 /* mount(8) */
#define EXIT_MOUNT 32

/* libfuse's own messages say less than the errno, which we report ourselves. */
static void quiet(enum fuse_log_level level, const char *format, va_list ap)
{
	(void)level;
	(void)format;
	(void)ap;
}

static void log_fuse(enum fuse_log_level level, const char *format, va_list ap)
{
	char line[512];
	size_t length;

	vsnprintf(line, sizeof(line), format, ap);
	length = strlen(line);
	if (length && line[length - 1] == '\n')
		line[length - 1] = '\0';
	log_line((int)level, "libfuse: %s", line);
}

/* Collects -o options; a failure to allocate is remembered and shows at the end. */
struct option_list {
	char *text;
	bool failed;
};

static void add(struct option_list *list, const char *option)
{
	list->failed |= fuse_opt_add_opt(&list->text, option) != 0;
}

static void add_named(struct option_list *list, const char *name, const char *value)
{
	autofree char *option = NULL;

	if (asprintf(&option, "%s=%s", name, value) < 0)
		list->failed = true;
	else
		list->failed |= fuse_opt_add_opt_escaped(&list->text, option) != 0;
}

/* A flag of mount(8): as said, else as SOURCE's own mount has it. */
static void add_flag(struct option_list *list, enum option_tristate said, bool inherited,
		     const char *on, const char *off)
{
	bool set = said == OPTION_AUTO ? inherited : said == OPTION_ON;

	if (set)
		add(list, on);
	else if (off)
		add(list, off);
}

static void add_mount_flags(struct option_list *list, const struct fs *fs)
{
	const struct options *o = fs->options;
	unsigned long source = fs->tree.source.flags;
	/* An ordinary user's mount is always nosuid and nodev: fusermount3 sees to it. */
	bool user = geteuid() != 0;

	add_flag(list, o->ro, source & ST_RDONLY, "ro", "rw");
	add_flag(list, o->nosuid, user || source & ST_NOSUID, "nosuid", user ? NULL : "suid");
	add_flag(list, o->nodev, user || source & ST_NODEV, "nodev", user ? NULL : "dev");
	add_flag(list, o->noexec, source & ST_NOEXEC, "noexec", NULL);
	add_flag(list, o->sync, source & ST_SYNCHRONOUS, "sync", NULL);
	if (o->dirsync == OPTION_ON)
		add(list, "dirsync");
	if (o->atime == OPTION_ATIME_NOATIME ||
	    (o->atime == OPTION_ATIME_AUTO && source & ST_NOATIME))
		add(list, "noatime");
	add_flag(list, o->nodiratime, source & ST_NODIRATIME, "nodiratime", NULL);
}

static void add_access(struct option_list *list, const struct options *o)
{
	bool root = geteuid() == 0;

	if (o->allow_root == OPTION_ON)
		add(list, "allow_root");
	else if (o->allow_other == OPTION_ON || (root && o->allow_other == OPTION_AUTO))
		add(list, "allow_other");
	if (o->default_permissions != OPTION_OFF)
		add(list, "default_permissions");
}

static char *mount_options(const struct fs *fs)
{
	const struct options *o = fs->options;
	struct option_list list = {0};

	add_mount_flags(&list, fs);
	add_access(&list, o);
	add_named(&list, "subtype", o->subtype ? o->subtype : "overdrive");
	add_named(&list, "fsname", o->fsname ? o->fsname : fs->tree.source.path);
	if (!list.failed)
		return list.text;
	free(list.text);
	return NULL;
}

static struct fuse_session *new_session(struct fs *fs)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *se = NULL;
	char *options = mount_options(fs);

	if (options && fuse_opt_add_arg(&args, "overdrive") == 0 &&
	    fuse_opt_add_arg(&args, "-o") == 0 && fuse_opt_add_arg(&args, options) == 0)
		se = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), fs);
	fuse_opt_free_args(&args);
	free(options);
	return se;
}

int fs_mount(struct fs *fs, const char *mountpoint, char *err, size_t err_size)
{
	if (access("/dev/fuse", F_OK) < 0) {
		snprintf(err, err_size, "/dev/fuse: %s; the kernel module fuse must be loaded",
			 strerror(errno));
		return EXIT_MOUNT;
	}
	fuse_set_log_func(quiet);
	/* The transport over io_uring is not for us (DESIGN.md, Transport). */
	unsetenv("FUSE_URING_ENABLE");
	fs->fuse = new_session(fs);
	if (!fs->fuse) {
		snprintf(err, err_size, "%s: libfuse can't make a session", mountpoint);
		return EXIT_SYSTEM;
	}
	errno = 0;
	if (fuse_session_mount(fs->fuse, mountpoint) != 0) {
		snprintf(err, err_size, "%s: can't be mounted: %s", mountpoint,
			 errno ? strerror(errno) : "fusermount3 refused");
		fuse_session_destroy(fs->fuse);
		fs->fuse = NULL;
		return EXIT_MOUNT;
	}
	fuse_set_log_func(log_fuse);
	return 0;
}

/* An ordinary user may unmount only by the setuid helper. It says by itself what is wrong. */
static int fusermount(const char *mountpoint)
{
	char *argv[] = {(char *)"fusermount3", (char *)"-u", (char *)"--", (char *)mountpoint, NULL};
	pid_t child;
	int status, err = posix_spawnp(&child, argv[0], NULL, NULL, argv, environ);

	if (err)
		return -err;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

int fs_unmount(struct fs *fs, const char *mountpoint)
{
	(void)fs;
	if (geteuid() != 0)
		return fusermount(mountpoint);
	return or_errno(umount2(mountpoint, UMOUNT_NOFOLLOW));
}

void fs_mount_deinit(struct fs *fs)
{
	if (!fs->fuse)
		return;
	fuse_session_unmount(fs->fuse);
	fuse_session_destroy(fs->fuse);
	fs->fuse = NULL;
}
