/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/host.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probe/kernel.h"
#include "probe/sysfile.h"
#include "util/cleanup.h"

bool host_release_since(const char *release, unsigned major, unsigned minor)
{
	unsigned a, b;

	if (sscanf(release, "%u.%u", &a, &b) != 2)
		return false;
	return a != major ? a > major : b >= minor;
}

static bool has_op(const struct io_uring_probe *probe, unsigned op)
{
	return op < probe->ops_len && (probe->ops[op].flags & IO_URING_OP_SUPPORTED);
}

/* Buffers are registered one by one, later: that needs a table with empty places (Linux 5.19). */
static bool fixed_buffers_work(int fd)
{
	enum { OPS = 64 };
	autofree struct io_uring_probe *probe =
		calloc(1, sizeof(*probe) + OPS * sizeof(probe->ops[0]));
	struct io_uring_rsrc_register table = { .nr = 1, .flags = IORING_RSRC_REGISTER_SPARSE };

	if (!probe || syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, probe, OPS) < 0)
		return false;
	return has_op(probe, IORING_OP_READ_FIXED) && has_op(probe, IORING_OP_WRITE_FIXED) &&
	       syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS2, &table,
		       sizeof(table)) >= 0;
}

void host_uring_probe(struct host_uring *uring, const struct probe_root *root)
{
	struct io_uring_params params = { 0 };
	autoclose int fd = (int)syscall(SYS_io_uring_setup, 2, &params);
	uint64_t disabled;

	*uring = (struct host_uring){ .error = fd < 0 ? errno : 0, .disabled = -1 };
	if (sys_number(root->fd, "proc/sys/kernel/io_uring_disabled", &disabled) == 0)
		uring->disabled = (int)disabled;
	if (fd < 0)
		return;
	uring->works = true;
	uring->features = params.features;
	uring->fixed_buffers = fixed_buffers_work(fd);
}

static bool have_sys_admin(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN));
}

/* Root of a user namespace is not root here. */
static bool in_first_user_namespace(const struct probe_root *root)
{
	char line[64];
	unsigned long long inside, outside, length;

	if (sys_line(root->fd, "proc/self/uid_map", line, sizeof(line)) < 0)
		return true;
	return sscanf(line, "%llu %llu %llu", &inside, &outside, &length) == 3 && inside == 0 &&
	       outside == 0 && length == UINT32_MAX;
}

static void probe_passthrough(struct host *host, const struct probe_root *root)
{
	const char *why = NULL;

	if (!host_release_since(host->release, 6, 9) || kernel_hidden(KERNEL_PASSTHROUGH))
		why = "needs Linux 6.9";
	else if (!have_sys_admin())
		why = "needs root (CAP_SYS_ADMIN)";
	else if (!in_first_user_namespace(root))
		why = "not within a user namespace";
	host->passthrough = !why;
	snprintf(host->no_passthrough, sizeof(host->no_passthrough), "%s", why ? why : "");
	host->direct_mmap =
		host_release_since(host->release, 6, 6) && !kernel_hidden(KERNEL_DIRECT_MMAP);
}

void host_probe(struct host *host, const struct probe_root *root)
{
	struct utsname name;
	cpu_set_t set;
	uint64_t pages;
	long page = sysconf(_SC_PAGESIZE);

	memset(host, 0, sizeof(*host));
	if (uname(&name) == 0)
		snprintf(host->release, sizeof(host->release), "%.64s", name.release);
	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		host->cpus = (unsigned)CPU_COUNT(&set);
	host->page_size = page > 0 ? (unsigned)page : 4096;
	if (sys_number(root->fd, "proc/sys/fs/fuse/max_pages_limit", &pages) == 0 &&
	    pages < 1u << 20)
		host->fuse_max_pages = (unsigned)pages;
	host_memory_probe(&host->memory, root);
	host_uring_probe(&host->uring, root);
	probe_passthrough(host, root);
}
