/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy, row by row: on this disk, on this host, for this file: this way, as far, because. */
#include "policy.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define ROWS(a) ((int)(sizeof(a) / sizeof((a)[0])))

#define K 1024ull
#define M (1024 * K)
#define G (1024 * M)

/* Not formatted: these tables are read as documentation. */
/* clang-format off */
#define BLOCK_DEVICE .class = DEVICE_BLOCK, .fs = "ext4", .direct = {.works = DEVICE_YES}
#define MEASURED(us, mb) .measured = {.latency_ns = (us) * 1000, .throughput = (mb) * 1000000ull}
#define ONE_STEP(k) .steps = {{.kind = k}}, .step_count = 1

static const struct device
	/* A cloud's disk: 1 ms a request, but many at once. */
	cloud = {BLOCK_DEVICE, ONE_STEP(DEVICE_VIRTIO), .rotational = DEVICE_YES,
		 .readahead = 128 * K, .queue_depth = 256, MEASURED(1000, 2100)},
	/* The same after blockdev --setra. */
	tuned = {BLOCK_DEVICE, ONE_STEP(DEVICE_VIRTIO), .rotational = DEVICE_YES,
		 .readahead = 16 * M, .queue_depth = 256, MEASURED(1000, 2100)},
	/* A volume that is being restored from a snapshot. */
	snapshot = {BLOCK_DEVICE, ONE_STEP(DEVICE_NVME), .rotational = DEVICE_NO,
		    .readahead = 128 * K, .queue_depth = 256, MEASURED(10000, 1500)},
	/* A better cloud. */
	near = {BLOCK_DEVICE, ONE_STEP(DEVICE_NVME), .rotational = DEVICE_NO,
		.readahead = 128 * K, .queue_depth = 256, MEASURED(200, 2100)},
	/* A disk of this machine. */
	local = {BLOCK_DEVICE, ONE_STEP(DEVICE_VIRTIO), .rotational = DEVICE_YES,
		 .readahead = 512 * K, .queue_depth = 256, MEASURED(60, 2000)},
	fast = {BLOCK_DEVICE, ONE_STEP(DEVICE_NVME), .rotational = DEVICE_NO,
		.readahead = 128 * K, .queue_depth = 1023, MEASURED(80, 7000)},
	hdd = {BLOCK_DEVICE, ONE_STEP(DEVICE_SCSI), .rotational = DEVICE_YES,
	       .readahead = 128 * K, .queue_depth = 32, MEASURED(9000, 140)},
	/* sysfs says it rotates, and nobody has measured. */
	hdd_said = {BLOCK_DEVICE, ONE_STEP(DEVICE_SCSI), .rotational = DEVICE_YES,
		    .readahead = 128 * K, .queue_depth = 32},
	ssd_said = {BLOCK_DEVICE, ONE_STEP(DEVICE_SCSI), .rotational = DEVICE_NO,
		    .readahead = 128 * K, .queue_depth = 32},
	virtio_said = {BLOCK_DEVICE, ONE_STEP(DEVICE_VIRTIO), .rotational = DEVICE_YES,
		       .readahead = 128 * K, .queue_depth = 256},
	virtio_tuned = {BLOCK_DEVICE, ONE_STEP(DEVICE_VIRTIO), .rotational = DEVICE_YES,
			.readahead = 8 * M, .queue_depth = 256},
	virtio_half = {BLOCK_DEVICE, ONE_STEP(DEVICE_VIRTIO), .rotational = DEVICE_YES,
		       .readahead = 512 * K, .queue_depth = 256},
	far = {BLOCK_DEVICE, ONE_STEP(DEVICE_LOOP), .rotational = DEVICE_YES,
	       .readahead = 128 * K, .queue_depth = 128, MEASURED(10500, 360)},
	close = {BLOCK_DEVICE, ONE_STEP(DEVICE_LOOP), .rotational = DEVICE_YES,
		 .readahead = 128 * K, .queue_depth = 128, MEASURED(449, 543)},
	narrow = {BLOCK_DEVICE, ONE_STEP(DEVICE_NBD), .rotational = DEVICE_NO,
		  .readahead = 128 * K, .queue_depth = 4, MEASURED(1000, 2100)},
	indirect = {.class = DEVICE_BLOCK, .fs = "odd", .direct = {.works = DEVICE_NO},
		    .readahead = 128 * K, MEASURED(1000, 2100)},
	untried = {.class = DEVICE_BLOCK, .fs = "ext4", .direct = {.works = DEVICE_UNSAID},
		   .rotational = DEVICE_NO, .readahead = 128 * K, MEASURED(1000, 2100)},
	nfs = {.class = DEVICE_NETWORK, .fs = "nfs4", .direct = {.works = DEVICE_YES},
	       .readahead = 128 * K},
	nfs_tuned = {.class = DEVICE_NETWORK, .fs = "nfs4", .direct = {.works = DEVICE_YES},
		     .readahead = 15 * M},
	sshfs = {.class = DEVICE_FUSE, .fs = "fuse.odd", .direct = {.works = DEVICE_NO},
		 .readahead = 128 * K},
	tmpfs = {.class = DEVICE_MEMORY, .fs = "tmpfs", .direct = {.works = DEVICE_YES}};

#define MACHINE .memory = {.total = 24 * G, .available = 20 * G}, .cpus = 2

static const struct host
	root = {MACHINE, .passthrough = true, .direct_mmap = true, .uring = {.works = true}},
	no_ring = {MACHINE, .passthrough = true, .direct_mmap = true},
	user = {MACHINE, .direct_mmap = true, .uring = {.works = true}},
	old = {MACHINE, .uring = {.works = true}}, /* Linux 6.1 */
	container = {.memory = {.total = 24 * G, .available = 20 * G, .limit = 256 * M,
				.limit_used = 128 * M}, .passthrough = true, .direct_mmap = true,
		     .uring = {.works = true}};

static const struct policy_options
	by_default = {.backend = POLICY_AUTO},
	kernel = {.backend = POLICY_KERNEL},
	buffered = {.backend = POLICY_BUFFERED},
	direct = {.backend = POLICY_DIRECT},
	ring = {.backend = POLICY_RING},
	off = {.prefetch = OPTION_PREFETCH_OFF},
	ring_off = {.backend = POLICY_RING, .prefetch = OPTION_PREFETCH_OFF},
	kernel_off = {.backend = POLICY_KERNEL, .prefetch = OPTION_PREFETCH_OFF},
	within = {.prefetch = OPTION_PREFETCH_STREAM},
	across = {.prefetch = OPTION_PREFETCH_TREE},
	little = {.memory = 16 * M},
	least = {.memory = 1 * M},
	little_ring = {.backend = POLICY_RING, .memory = 16 * M},
	least_ring = {.backend = POLICY_RING, .memory = 1 * M};

/* A cold file, opened for reading by a program of which nothing is known, unless said otherwise. */
#define COLD .resident = 0
#define UNSEEN .resident = -1
static const struct policy_file
	large = {.size = 1 * G, COLD},
	huge = {.size = 20 * G, COLD},
	medium = {.size = 3 * M, COLD},
	empty = {.size = 0, UNSEEN},
	small = {.size = 100 * K, UNSEEN},
	just_small = {.size = 1 * M - 1, COLD},
	not_small = {.size = 1 * M, COLD},
	unseen = {.size = 1 * G, UNSEEN},
	hot = {.size = 1 * G, .resident = 950},
	half_hot = {.size = 1 * G, .resident = 500},
	in_order = {.size = 1 * G, COLD, .history = POLICY_SEQUENTIAL},
	at_random = {.size = 1 * G, COLD, .history = POLICY_RANDOM},
	for_writing = {.size = 1 * G, COLD, .flags = O_RDWR},
	appended = {.size = 1 * G, COLD, .flags = O_WRONLY | O_APPEND},
	written_by_others = {.size = 1 * G, COLD, .may_be_written = true},
	by_direct = {.size = 1 * G, COLD, .flags = O_DIRECT},
	stubborn = {.size = 1 * G, COLD, .refuses_direct = true};

enum { WARM = 1, FUSE_CACHE = 2 };

static const struct {
	const struct device *device;
	const struct host *host;
	const struct policy_options *options;
	const struct policy_file *file;
	enum policy_backend backend;
	int how;
	uint64_t window;
	unsigned depth;
	uint32_t buffer;
	const char *because;
} rows[] = {
	/* A slow disk that takes many requests: what overdrive is for. */
	{&cloud, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0,
	 "readahead of 128 KiB reaches 262 MB/s, the disk 2.1 GB/s"},
	{&cloud, &root, &by_default, &unseen, POLICY_KERNEL, WARM, 64 * M, 0, 0, "cold and large"},
	{&cloud, &root, &by_default, &half_hot, POLICY_KERNEL, WARM, 64 * M, 0, 0, "large"},
	{&cloud, &root, &by_default, &huge, POLICY_KERNEL, WARM, 64 * M, 0, 0, "large"},
	{&cloud, &root, &by_default, &in_order, POLICY_KERNEL, WARM, 64 * M, 0, 0,
	 "read in order; the kernel's"},
	{&cloud, &root, &by_default, &at_random, POLICY_KERNEL, 0, 0, 0, 0, "at random"},

	/* Where there is nothing to gain, the kernel alone. */
	{&cloud, &root, &by_default, &empty, POLICY_KERNEL, 0, 0, 0, 0, "small: empty"},
	{&cloud, &root, &by_default, &small, POLICY_KERNEL, 0, 0, 0, 0, "small: 100 KiB"},
	{&cloud, &root, &by_default, &just_small, POLICY_KERNEL, 0, 0, 0, 0, "small: 1024 KiB"},
	{&cloud, &root, &by_default, &not_small, POLICY_KERNEL, WARM, M, 0, 0, "large"},
	{&cloud, &root, &by_default, &hot, POLICY_KERNEL, 0, 0, 0, 0, "hot: 95 % is in memory"},
	{&tmpfs, &root, &by_default, &large, POLICY_KERNEL, 0, 0, 0, 0, "tmpfs is memory"},

	/* Nor where somebody writes, or knows better. */
	{&cloud, &root, &by_default, &for_writing, POLICY_KERNEL, 0, 0, 0, 0, "for writing"},
	{&cloud, &root, &by_default, &appended, POLICY_KERNEL, 0, 0, 0, 0, "for writing"},
	{&cloud, &root, &by_default, &written_by_others, POLICY_KERNEL, 0, 0, 0, 0,
	 "somebody may write"},
	{&cloud, &root, &by_default, &by_direct, POLICY_KERNEL, 0, 0, 0, 0, "of its own"},

	/* Or where the kernel's readahead is known to reach all that the disk has. */
	{&local, &root, &by_default, &large, POLICY_KERNEL, 0, 0, 0, 0,
	 "512 KiB reaches 17 GB/s, all of the disk's 2 GB/s"},
	{&local, &root, &by_default, &huge, POLICY_KERNEL, 0, 0, 0, 0, "all of the disk's"},
	{&local, &root, &by_default, &in_order, POLICY_KERNEL, 0, 0, 0, 0, "all of the disk's"},
	{&tuned, &root, &by_default, &large, POLICY_KERNEL, 0, 0, 0, 0, "of 16 MiB reaches"},
	{&hdd, &root, &by_default, &large, POLICY_KERNEL, 0, 0, 0, 0, "rotating disk"},

	/* What is slow to answer is no rotating disk by that alone, whatever a virtual disk says; and the
	 * model promises too much of the kernel (these figures came from a busy disk of 0.2 ms). */
	{&far, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "reaches 25 MB/s"},
	{&close, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0,
	 "reaches 584 MB/s, the disk 543 MB/s"},

	/* Where it was never measured, only if that is beyond doubt. */
	{&nfs_tuned, &root, &by_default, &large, POLICY_KERNEL, 0, 0, 0, 0,
	 "of 15 MiB reaches 31 GB/s, all of the disk's 1 GB/s (assumed)"},
	{&virtio_tuned, &root, &by_default, &huge, POLICY_KERNEL, 0, 0, 0, 0,
	 "of 8 MiB reaches 34 GB/s, all of the disk's 1 GB/s (assumed)"},
	{&virtio_tuned, &root, &within, &huge, POLICY_KERNEL, WARM, 64 * M, 0, 0, "(assumed)"},
	{&virtio_half, &root, &by_default, &huge, POLICY_KERNEL, WARM, 64 * M, 0, 0,
	 "of 512 KiB reaches 2.1 GB/s, the disk 1 GB/s (assumed)"},
	{&hdd_said, &root, &by_default, &huge, POLICY_KERNEL, WARM, 64 * M, 0, 0, "(assumed)"},
	{&ssd_said, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "(assumed)"},
	{&nfs, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0,
	 "1 GB/s (assumed)"},
	{&virtio_said, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0,
	 "(assumed)"},

	/* Other disks that can do more than they are asked for. */
	{&near, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "reaches 1.3 GB/s"},
	{&snapshot, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "26 MB/s"},
	{&fast, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "7 GB/s"},
	{&narrow, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "large"},

	/* Without io_uring or Direct IO, too: they are not needed for it. */
	{&cloud, &no_ring, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "large"},
	{&cloud, &root, &by_default, &stubborn, POLICY_KERNEL, WARM, 64 * M, 0, 0, "large"},
	{&indirect, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "large"},
	{&sshfs, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "(assumed)"},
	{&untried, &root, &by_default, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "large"},

	/* Without passthrough: by the daemon and FUSE's page cache. */
	{&cloud, &user, &by_default, &small, POLICY_BUFFERED, FUSE_CACHE, 0, 0, 0, "small"},
	{&cloud, &user, &by_default, &hot, POLICY_BUFFERED, FUSE_CACHE, 0, 0, 0, "hot"},
	{&cloud, &user, &by_default, &for_writing, POLICY_BUFFERED, FUSE_CACHE, 0, 0, 0,
	 "for writing"},
	{&local, &user, &by_default, &large, POLICY_BUFFERED, FUSE_CACHE, 0, 0, 0, "reaches"},
	{&cloud, &user, &by_default, &large, POLICY_BUFFERED, FUSE_CACHE | WARM, 64 * M, 0, 0,
	 "large"},
	{&cloud, &old, &by_default, &in_order, POLICY_BUFFERED, FUSE_CACHE | WARM, 64 * M, 0, 0,
	 "in order"},

	/* Memory bounds what is ahead of one reader: a quarter of memory=, and of its default. */
	{&cloud, &root, &little, &large, POLICY_KERNEL, WARM, 4 * M, 0, 0, "large"},
	{&cloud, &root, &least, &large, POLICY_KERNEL, WARM, 256 * K, 0, 0, "large"},
	{&cloud, &container, &by_default, &large, POLICY_KERNEL, WARM, 4 * M, 0, 0, "large"},
	{&cloud, &root, &by_default, &medium, POLICY_KERNEL, WARM, 3 * M, 0, 0, "large"},
	{&cloud, &root, &little_ring, &large, POLICY_RING, 0, 4 * M, 8, 512 * K, "backend=ring"},
	{&cloud, &root, &least_ring, &large, POLICY_RING, 0, 256 * K, 4, 64 * K, "backend=ring"},
	{&cloud, &container, &ring, &large, POLICY_RING, 0, 4 * M, 8, 512 * K, "backend=ring"},
	{&cloud, &root, &ring, &medium, POLICY_RING, 0, 3 * M, 12, 256 * K, "backend=ring"},
	{&snapshot, &root, &ring, &large, POLICY_RING, 0, 29 * M, 29, M, "backend=ring"},
	{&narrow, &root, &ring, &large, POLICY_RING, 0, 4 * M, 4, M, "backend=ring"},

	/* backend=: as asked, for every file; what can't be had is replaced by the next best. */
	{&local, &root, &ring, &small, POLICY_RING, 0, 64 * K * 2, 2, 64 * K,
	 "backend=ring"},
	{&local, &root, &ring, &hot, POLICY_RING, 0, 4 * M, 8, 512 * K, "backend=ring"},
	{&cloud, &root, &ring, &at_random, POLICY_RING, 0, 0, 0, 0, "at random before"},
	{&cloud, &root, &ring, &for_writing, POLICY_RING, 0, 0, 0, 0, "may be written"},
	{&cloud, &root, &ring, &written_by_others, POLICY_RING, 0, 0, 0, 0,
	 "may be written"},
	{&cloud, &no_ring, &ring, &large, POLICY_DIRECT, 0, 8 * M, 8, M, "io_uring is not"},
	{&cloud, &root, &ring, &stubborn, POLICY_BUFFERED, 0, 8 * M, 8, M,
	 "this file refuses Direct IO"},
	{&indirect, &root, &direct, &large, POLICY_BUFFERED, 0, 8 * M, 8, M,
	 "the filesystem refuses Direct IO"},
	{&cloud, &root, &direct, &large, POLICY_DIRECT, 0, 8 * M, 8, M, "backend=direct"},
	{&cloud, &root, &buffered, &large, POLICY_BUFFERED, 0, 8 * M, 8, M,
	 "backend=buffered"},
	{&cloud, &root, &kernel, &large, POLICY_KERNEL, WARM, 64 * M, 0, 0, "cold and large"},
	{&cloud, &root, &kernel, &small, POLICY_KERNEL, 0, 0, 0, 0, "small"},
	{&local, &root, &kernel, &large, POLICY_KERNEL, 0, 0, 0, 0, "all of the disk's"},
	{&cloud, &user, &kernel, &large, POLICY_BUFFERED, FUSE_CACHE | WARM, 64 * M, 0, 0,
	 "cold and large"},

	/* prefetch= */
	{&cloud, &root, &off, &large, POLICY_KERNEL, 0, 0, 0, 0, "prefetch=off"},
	{&cloud, &root, &kernel_off, &huge, POLICY_KERNEL, 0, 0, 0, 0, "prefetch=off"},
	{&cloud, &root, &ring_off, &large, POLICY_RING, 0, 0, 0, 0, "backend=ring"},
	{&cloud, &root, &within, &in_order, POLICY_KERNEL, WARM, 64 * M, 0, 0, "in order"},
	{&local, &root, &within, &in_order, POLICY_KERNEL, WARM, 64 * M, 0, 0, "in order"},
	{&cloud, &root, &across, &large, POLICY_KERNEL, 0, 0, 0, 0, "prefetch=tree"},
};
/* clang-format on */

START_TEST(test_row)
{
	struct policy_verdict v;

	policy_choose(&v, rows[_i].device, rows[_i].host, rows[_i].options, rows[_i].file);
	ck_assert_msg(v.backend == rows[_i].backend, "row %d: %s: %s", _i,
		      policy_backend_name(v.backend), v.reason);
	ck_assert_msg(v.warm_beneath == !!(rows[_i].how & WARM), "row %d: %s", _i, v.reason);
	ck_assert_msg(v.fuse_cache == !!(rows[_i].how & FUSE_CACHE), "row %d: %s", _i, v.reason);
	ck_assert_msg(v.window == rows[_i].window && v.depth == rows[_i].depth &&
			      v.buffer == rows[_i].buffer,
		      "row %d: %s ahead, %u of %s", _i, policy_bytes(v.window).text, v.depth,
		      policy_bytes(v.buffer).text);
	ck_assert_msg(strstr(v.reason, rows[_i].because) != NULL, "row %d: %s", _i, v.reason);
}
END_TEST

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed >> 3;
}

static uint64_t any_size(uint64_t *seed)
{
	return draw(seed) >> draw(seed) % 61;
}

/* Whatever the facts: a verdict that can be carried out, within the memory, with a reason. */
START_TEST(test_any_facts)
{
	uint64_t seed = 88172645463325252ull;

	for (int i = 0; i < 30000; i++) {
		struct device d = { .class = (enum device_class)(draw(&seed) % 5),
				    .direct = { .works = (enum device_said)((int)(draw(&seed) % 3) -
									    1) },
				    .rotational = (enum device_said)((int)(draw(&seed) % 3) - 1),
				    .readahead = any_size(&seed) >> 10,
				    .queue_depth = (uint32_t)any_size(&seed) };
		struct host h = { .memory = { .total = any_size(&seed) },
				  .passthrough = draw(&seed) % 2,
				  .direct_mmap = draw(&seed) % 2,
				  .uring = { .works = draw(&seed) % 2 } };
		struct policy_options o = { .backend = (enum policy_backend)(draw(&seed) % 5),
					    .prefetch = (enum option_prefetch)(draw(&seed) % 4),
					    .memory = draw(&seed) % 2 ? any_size(&seed) : 0 };
		struct policy_file f = { .size = any_size(&seed),
					 .resident = (int)(draw(&seed) % 1002) - 1,
					 .flags = (int)(draw(&seed) % 3) |
						  (draw(&seed) % 8 ? 0 : O_DIRECT),
					 .may_be_written = draw(&seed) % 4 == 0,
					 .refuses_direct = draw(&seed) % 4 == 0,
					 .history = (enum policy_history)(draw(&seed) % 3) };
		struct policy_verdict v;

		d.measured.latency_ns = draw(&seed) % 2 ? (uint32_t)any_size(&seed) : 0;
		d.measured.throughput = draw(&seed) % 2 ? any_size(&seed) : 0;
		policy_choose(&v, &d, &h, &o, &f);
		ck_assert_int_ne(v.backend, POLICY_AUTO);
		/* What goes past the page cache is for who asks for it. */
		ck_assert(o.backend != POLICY_AUTO ||
			  v.backend == (h.passthrough ? POLICY_KERNEL : POLICY_BUFFERED));
		ck_assert(v.backend != POLICY_KERNEL || h.passthrough);
		ck_assert(v.backend != POLICY_RING || h.uring.works);
		ck_assert(v.backend == POLICY_KERNEL || v.backend == POLICY_BUFFERED ||
			  (d.direct.works != DEVICE_NO && !f.refuses_direct));
		ck_assert(!v.fuse_cache || v.backend == POLICY_BUFFERED);
		ck_assert(v.warm_beneath || v.window == (uint64_t)v.depth * v.buffer);
		ck_assert(v.window <= policy_memory(&o, &h) / 4);
		ck_assert(v.buffer == 0 || ((v.buffer & (v.buffer - 1)) == 0 && v.buffer >= 4096 &&
					    v.buffer <= 1u << 20));
		ck_assert(!v.window || (o.prefetch != OPTION_PREFETCH_OFF && !f.may_be_written &&
					(f.flags & O_ACCMODE) == O_RDONLY));
		ck_assert(!v.warm_beneath || v.window);
		ck_assert(v.reason[0]);
	}
}
END_TEST

START_TEST(test_model)
{
	struct policy_model m;

	policy_model(&m, &cloud);
	ck_assert(m.measured);
	ck_assert_uint_eq(m.kernel, 262144000);
	policy_model(&m, &nfs);
	ck_assert(!m.measured);
	ck_assert_uint_eq(m.latency_ns, 1000000);
	policy_model(&m, &hdd_said);
	ck_assert_uint_eq(m.throughput, 150000000);
	policy_model(&m, &virtio_said);
	ck_assert_uint_eq(m.latency_ns, 500000);
}
END_TEST

START_TEST(test_memory)
{
	struct host unknown = { 0 }, tiny = { .memory = { .total = 64 * M } };

	ck_assert_uint_eq(policy_memory(&by_default, &root), 256 * M);
	ck_assert_uint_eq(policy_memory(&by_default, &container), 16 * M);
	ck_assert_uint_eq(policy_memory(&by_default, &tiny), 8 * M);
	ck_assert_uint_eq(policy_memory(&by_default, &unknown), 64 * M);
	ck_assert_uint_eq(policy_memory(&little, &root), 16 * M);
}
END_TEST

START_TEST(test_text)
{
	ck_assert_str_eq(policy_bytes(0).text, "0 bytes");
	ck_assert_str_eq(policy_bytes(1536).text, "1.5 KiB");
	ck_assert_str_eq(policy_bytes(128 * K).text, "128 KiB");
	ck_assert_str_eq(policy_bytes(UINT64_MAX).text, "16777216 TiB");
	ck_assert_str_eq(policy_rate(2100000000).text, "2.1 GB/s");
	ck_assert_str_eq(policy_time(60000).text, "60 µs");
	ck_assert_str_eq(policy_time(999).text, "999 ns");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("policy");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_row, 0, ROWS(rows));
	tcase_add_test(tc, test_any_facts);
	tcase_add_test(tc, test_model);
	tcase_add_test(tc, test_memory);
	tcase_add_test(tc, test_text);
	return run_case("policy", tc);
}
