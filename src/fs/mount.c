/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/mount.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/mountpoint.h"

#define EXIT_SYSTEM 2 /* mount(8) */
#define EXIT_MOUNT  32

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
static bool flag_of(enum option_tristate said, bool inherited)
{
	return said == OPTION_AUTO ? inherited : said == OPTION_ON;
}

static unsigned long atime_flags(const struct options *o, unsigned long source)
{
	switch (o->atime) {
	case OPTION_ATIME_NOATIME:
		return MS_NOATIME;
	case OPTION_ATIME_STRICTATIME:
		return MS_STRICTATIME;
	case OPTION_ATIME_RELATIME:
		return MS_RELATIME;
	default:
		if (source & ST_NOATIME)
			return MS_NOATIME;
		return source & ST_RELATIME ? MS_RELATIME : MS_STRICTATIME;
	}
}

/* What of mount(2)'s flags this mount gets: MS_*. */
static unsigned long mount_flags(const struct fs *fs)
{
	const struct options *o = fs->options;
	unsigned long source = fs->tree.source.flags;
	/* An ordinary user's mount is always nosuid and nodev: fusermount3 sees to it. */
	bool user = geteuid() != 0;

	return (flag_of(o->ro, source & ST_RDONLY) ? MS_RDONLY : 0) |
	       (flag_of(o->nosuid, user || source & ST_NOSUID) ? MS_NOSUID : 0) |
	       (flag_of(o->nodev, user || source & ST_NODEV) ? MS_NODEV : 0) |
	       (flag_of(o->noexec, source & ST_NOEXEC) ? MS_NOEXEC : 0) |
	       (flag_of(o->sync, source & ST_SYNCHRONOUS) ? MS_SYNCHRONOUS : 0) |
	       (flag_of(o->dirsync, false) ? MS_DIRSYNC : 0) |
	       (flag_of(o->nodiratime, source & ST_NODIRATIME) ? MS_NODIRATIME : 0) |
	       atime_flags(o, source);
}

/* The same in words, for fusermount3. */
static void add_mount_flags(struct option_list *list, unsigned long flags)
{
	static const struct {
		unsigned long flag;
		const char *word;
	} words[] = {
		{ MS_RDONLY, "ro" },	   { MS_NOSUID, "nosuid" },    { MS_NODEV, "nodev" },
		{ MS_NOEXEC, "noexec" },   { MS_SYNCHRONOUS, "sync" }, { MS_DIRSYNC, "dirsync" },
		{ MS_NOATIME, "noatime" },
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (flags & words[i].flag)
			add(list, words[i].word);
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
	struct option_list list = { 0 };

	add_mount_flags(&list, mount_flags(fs));
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

/*
 * As root we mount by ourselves. libfuse would run mount(8) afterwards, to note the options in
 * /run/mount/utab, and wait for it: in place over /usr that waits for us.
 */
static int mount_as_root(struct fs *fs, const char *mountpoint)
{
	const struct options *o = fs->options;
	const char *name = o->fsname ? o->fsname : fs->tree.source.path;
	char type[64], data[128], fd_path[32];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	snprintf(type, sizeof(type), "fuse.%s", o->subtype ? o->subtype : "overdrive");
	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0%s%s", fd,
		 o->default_permissions != OPTION_OFF ? ",default_permissions" : "",
		 o->allow_other != OPTION_OFF || o->allow_root == OPTION_ON ? ",allow_other" : "");
	err = or_errno(mount(name, mountpoint, type, mount_flags(fs), data));
	snprintf(fd_path, sizeof(fd_path), "/dev/fd/%d", fd);
	if (!err && fuse_session_mount(fs->fuse, fd_path) != 0) {
		umount2(mountpoint, MNT_DETACH);
		err = -ENOMEM;
	}
	if (err)
		close(fd);
	return err;
}

static int mount_as_user(struct fs *fs, const char *mountpoint)
{
	errno = 0;
	if (fuse_session_mount(fs->fuse, mountpoint) == 0)
		return 0;
	return errno ? -errno : -EPERM;
}

int fs_mount(struct fs *fs, const char *mountpoint, char *err, size_t err_size)
{
	int result;

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
	result = geteuid() == 0 ? mount_as_root(fs, mountpoint) : mount_as_user(fs, mountpoint);
	fuse_set_log_func(log_fuse);
	if (!result) {
		fs->mount_id = mountpoint_id(fs->tree.source.proc, mountpoint);
		return 0;
	}
	snprintf(err, err_size, "%s: can't be mounted: %s", mountpoint, strerror(-result));
	fuse_session_destroy(fs->fuse);
	fs->fuse = NULL;
	return EXIT_MOUNT;
}

/* An ordinary user may unmount only by the setuid helper. It says by itself what is wrong. */
int fs_fusermount(const char *mountpoint, bool lazily)
{
	char *argv[] = { (char *)"fusermount3", (char *)(lazily ? "-uz" : "-u"), (char *)"--",
			 (char *)mountpoint, NULL };
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
	/* After umount -l the path may lead to SOURCE's own mount, which is not ours to unmount. */
	if (mountpoint_id(fs->tree.source.proc, mountpoint) != fs->mount_id)
		return -ESTALE;
	if (geteuid() != 0)
		return fs_fusermount(mountpoint, false);
	return or_errno(umount2(mountpoint, UMOUNT_NOFOLLOW));
}

void fs_mount_deinit(struct fs *fs, const char *mountpoint, bool detach)
{
	if (!fs->fuse)
		return;
	if (detach && geteuid() == 0)
		mountpoint_detach(fs->tree.source.proc, mountpoint, fs->mount_id);
	else if (detach && mountpoint_id(fs->tree.source.proc, mountpoint) == fs->mount_id)
		fuse_session_unmount(fs->fuse);
	fuse_session_destroy(fs->fuse);
	fs->fuse = NULL;
}
