/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What probe makes of machines that are not here: tests/unit/probe-trees. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "probe/device.h"
#include "probe/host.h"
#include "probe/mountinfo.h"
#include "probe/sysfile.h"
#include "suite.h"
#include "test_probe_tree.h"

#define ROWS(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* Steps as "LEVEL name kind", joined by ", ". */
static const struct {
	const char *tree;
	enum device_class class;
	const char *fs, *steps;
	unsigned disks, queue_depth;
	uint32_t logical, physical, max_request_kib;
	uint64_t readahead_kib;
	enum device_said rotational, rotates;
	unsigned stack_depth;
	const char *note; /* a part of one; NULL: there is none */
} machines[] = {
	{ "nvme", DEVICE_BLOCK, "ext4", "0 nvme0n1p2 partition, 1 nvme0n1 nvme", 1, 1023, 512, 512,
	  128, 128, DEVICE_NO, DEVICE_NO, 0, NULL },
	{ "sata-ssd", DEVICE_BLOCK, "xfs", "0 sda1 partition, 1 sda scsi", 1, 64, 512, 4096, 1280,
	  128, DEVICE_NO, DEVICE_NO, 0, NULL },
	{ "hdd", DEVICE_BLOCK, "ext4", "0 sdb1 partition, 1 sdb scsi", 1, 32, 512, 4096, 1280, 128,
	  DEVICE_YES, DEVICE_YES, 0, NULL },
	{ "virtio", DEVICE_BLOCK, "ext4", "0 vda virtio", 1, 256, 512, 4096, 1280, 4096, DEVICE_YES,
	  DEVICE_UNSAID, 0, NULL },
	{ "md-raid1", DEVICE_BLOCK, "ext4",
	  "0 md0 md, 1 sda2 partition, 2 sda scsi, "
	  "1 sdb2 partition, 2 sdb scsi",
	  2, 128, 512, 4096, 512, 256, DEVICE_YES, DEVICE_YES, 0, NULL },
	{ "lvm-luks", DEVICE_BLOCK, "ext4",
	  "0 dm-1 dm, 1 dm-0 dm, 2 nvme0n1p3 partition, "
	  "3 nvme0n1 nvme",
	  1, 1023, 512, 512, 128, 128, DEVICE_NO, DEVICE_NO, 0, NULL },
	{ "loop", DEVICE_BLOCK, "ext4", "0 loop3 loop, 1 ext4 filesystem, 2 vda virtio", 1, 128,
	  4096, 4096, 1280, 128, DEVICE_NO, DEVICE_UNSAID, 0, NULL },
	{ "btrfs", DEVICE_BLOCK, "btrfs", "0 dm-0 dm, 1 sdc scsi, 0 sdb scsi", 2, 96, 4096, 4096,
	  512, 4096, DEVICE_NO, DEVICE_NO, 0, NULL },
	{ "overlay", DEVICE_BLOCK, "overlay",
	  "0 ext4 filesystem, 1 nvme0n1p2 partition, "
	  "2 nvme0n1 nvme",
	  1, 1023, 512, 512, 128, 128, DEVICE_NO, DEVICE_NO, 1, "guessed from /etc/hosts" },
	{ "overlay-host", DEVICE_BLOCK, "overlay", "0 xfs filesystem, 1 sda scsi", 1, 64, 512, 4096,
	  1280, 128, DEVICE_NO, DEVICE_NO, 1, NULL },
	{ "overlay-hidden", DEVICE_UNKNOWN, "overlay", "", 0, 0, 0, 0, 0, 0, DEVICE_UNSAID,
	  DEVICE_UNSAID, 1, "can't be seen from here" },
	{ "nfs", DEVICE_NETWORK, "nfs4", "", 0, 0, 0, 0, 0, 15360, DEVICE_UNSAID, DEVICE_NO, 0,
	  NULL },
	{ "glusterfs", DEVICE_NETWORK, "fuse.glusterfs", "", 0, 0, 0, 0, 0, 128, DEVICE_UNSAID,
	  DEVICE_NO, 0, NULL },
	{ "tmpfs", DEVICE_MEMORY, "tmpfs", "", 0, 0, 0, 0, 0, 0, DEVICE_UNSAID, DEVICE_NO, 0,
	  NULL },
	{ "unlisted", DEVICE_BLOCK, "unknown", "0 sda1 partition, 1 sda scsi", 1, 64, 0, 0, 0, 0,
	  DEVICE_NO, DEVICE_NO, 0, "not in mountinfo" },
	{ "garbage", DEVICE_BLOCK, "ext4", NULL, 0, 0, 0, 0, 0, 0, DEVICE_UNSAID, DEVICE_UNSAID, 0,
	  "circle" },
	{ "loop-circle", DEVICE_BLOCK, "ext4", NULL, 0, 128, 0, 0, 0, 0, DEVICE_UNSAID,
	  DEVICE_UNSAID, 0, "circle" },
};

/* readdir's order is nobody's promise: the steps of one level may come in any. */
static bool same_steps(const struct device *d, const char *wanted)
{
	char text[64];
	unsigned found = 0, count = *wanted ? 1 : 0;

	for (const char *c = wanted; (c = strchr(c, ',')); c++)
		count++;
	for (unsigned i = 0; i < d->step_count; i++) {
		snprintf(text, sizeof(text), "%u %s %s", d->steps[i].level, d->steps[i].name,
			 device_kind_name(d->steps[i].kind));
		found += strstr(wanted, text) != NULL;
	}
	return found == count && d->step_count == count;
}

static bool has_note(const struct device *d, const char *part)
{
	for (unsigned i = 0; i < d->note_count; i++)
		if (part && strstr(d->notes[i], part))
			return true;
	return part ? false : d->note_count == 0;
}

START_TEST(test_machine)
{
	struct tree t;
	struct device d;

	tree_init(&t, machines[_i].tree);
	ck_assert_int_eq(device_probe(&d, &t.root, &t.target), 0);
	tree_deinit(&t);
	ck_assert_str_eq(device_class_name(d.class), device_class_name(machines[_i].class));
	ck_assert_str_eq(d.fs, machines[_i].fs);
	if (machines[_i].steps) {
		ck_assert_msg(same_steps(&d, machines[_i].steps), "%s", machines[_i].tree);
		ck_assert_uint_eq(d.disks, machines[_i].disks);
	}
	ck_assert_uint_eq(d.queue_depth, machines[_i].queue_depth);
	if (strcmp(machines[_i].tree, "garbage") != 0) {
		ck_assert_uint_eq(d.logical_block, machines[_i].logical);
		ck_assert_uint_eq(d.physical_block, machines[_i].physical);
		ck_assert_uint_eq(d.max_request, machines[_i].max_request_kib * 1024);
		ck_assert_uint_eq(d.readahead, machines[_i].readahead_kib * 1024);
	}
	ck_assert_int_eq(d.rotational, machines[_i].rotational);
	ck_assert_int_eq(device_rotates(&d), machines[_i].rotates);
	ck_assert_uint_eq(d.stack_depth, machines[_i].stack_depth);
	ck_assert_msg(has_note(&d, machines[_i].note), "%s: %s", machines[_i].tree, d.notes[0]);
}
END_TEST

START_TEST(test_details)
{
	static const struct {
		const char *tree, *name, *detail;
	} details[] = {
		{ "nvme", "nvme0n1", "Samsung SSD 980 PRO 1TB" },
		{ "md-raid1", "md0", "raid1 of 2 disks" },
		{ "lvm-luks", "dm-1", "LVM vg-root" },
		{ "lvm-luks", "dm-0", "LUKS2 nvme0n1p3_crypt" },
		{ "loop", "loop3", "/var/images/disk.img" },
		{ "overlay-host", "xfs", "/var/lib/docker/overlay2/c0ffee/diff" },
		{ "garbage", "dm-0", "dm ???[31mred" },
	};
	struct tree t;
	struct device d;

	for (int i = 0; i < ROWS(details); i++) {
		bool found = false;

		tree_init(&t, details[i].tree);
		ck_assert_int_eq(device_probe(&d, &t.root, &t.target), 0);
		tree_deinit(&t);
		for (unsigned k = 0; k < d.step_count; k++)
			if (strcmp(d.steps[k].name, details[i].name) == 0) {
				ck_assert_str_eq(d.steps[k].detail, details[i].detail);
				found = true;
			}
		ck_assert(found);
	}
}
END_TEST

START_TEST(test_mount_point)
{
	struct tree t;
	struct device d;

	tree_init(&t, "hdd");
	ck_assert_int_eq(device_probe(&d, &t.root, &t.target), 0);
	ck_assert_str_eq(d.mount_point, "/media/My Disk");
	ck_assert_str_eq(d.source, "/dev/sdb1");
	tree_deinit(&t);
}
END_TEST

/* No /proc at all: an error, but a filled struct. */
START_TEST(test_nothing)
{
	struct tree t;
	struct device d;

	tree_init(&t, "nothing");
	ck_assert_int_eq(device_probe(&d, &t.root, &t.target), -ENOENT);
	ck_assert_int_eq(d.class, DEVICE_UNKNOWN);
	ck_assert(has_note(&d, "/proc/self/mountinfo: No such file"));
	tree_deinit(&t);
}
END_TEST

/* btrfs's own word for its UUID is believed before the source's name. */
START_TEST(test_btrfs_uuid)
{
	struct tree t;
	struct device d;

	tree_init(&t, "btrfs");
	strcpy(t.target.btrfs_uuid, "11111111-2222-3333-4444-555555555555");
	ck_assert_int_eq(device_probe(&d, &t.root, &t.target), 0);
	ck_assert_uint_eq(d.step_count, 0);
	strcpy(t.target.btrfs_uuid, "00953ff4-5936-499b-b6f7-bffbe02393ea");
	ck_assert_int_eq(device_probe(&d, &t.root, &t.target), 0);
	ck_assert_uint_eq(d.step_count, 3);
	tree_deinit(&t);
}
END_TEST

/* The measured latency is believed before sysfs: virtio's lie, and a disk behind a slow network. */
START_TEST(test_rotates)
{
	static const struct {
		enum device_said said;
		uint32_t latency_us, mb_per_s;
		enum device_said rotates;
	} rows[] = {
		{ DEVICE_YES, 0, 0, DEVICE_YES },	{ DEVICE_NO, 0, 0, DEVICE_NO },
		{ DEVICE_YES, 60, 2000, DEVICE_NO },	{ DEVICE_YES, 1100, 900, DEVICE_NO },
		{ DEVICE_NO, 9000, 120, DEVICE_YES },	{ DEVICE_YES, 9000, 120, DEVICE_YES },
		{ DEVICE_YES, 10000, 1500, DEVICE_NO }, { DEVICE_YES, 9000, 0, DEVICE_YES },
		{ DEVICE_UNSAID, 0, 0, DEVICE_UNSAID },
	};

	for (int i = 0; i < ROWS(rows); i++) {
		struct device d = { .class = DEVICE_BLOCK, .rotational = rows[i].said };

		d.measured.latency_ns = rows[i].latency_us * 1000;
		d.measured.throughput = rows[i].mb_per_s * 1000000ull;
		ck_assert_int_eq(device_rotates(&d), rows[i].rotates);
	}
}
END_TEST

static struct mountinfo parse(struct tree *t, const char *text, size_t size)
{
	struct mountinfo m;

	tree_init(t, "nothing");
	tree_write(t, PROBE_MOUNTINFO, text, size);
	ck_assert_int_eq(mountinfo_init(&m, t->root.fd, PROBE_MOUNTINFO), 0);
	return m;
}

START_TEST(test_mountinfo)
{
	static const char text[] =
		"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
		"2 1 8:2 / /a rw - ext4 /dev/sda2 rw\n"
		"3 1 8:3 / /a rw - xfs /dev/sda3 rw\n"
		"4 1 8:4 / /a\\134b\\011c rw shared:1 master:2 propagate_from:3 - ext4 /dev/sda4 "
		"rw\n"
		"5 1 0:9 / /e rw - tmpfs  rw\n"
		"6 1 0:9 / not-absolute rw - tmpfs none rw\n"
		"7 1 0:7 / /o rw - overlay overlay rw,lowerdir=/l\\0541:/l2,upperdir=/u\\134:v,x=\n"
		"8 1 0:8 / /p rw - overlay overlay rw,lowerdir=/o\\134:x:/y,upperdir=rel";
	struct tree t;
	struct mountinfo m = parse(&t, text, sizeof(text) - 1);
	char value[64];

	ck_assert_uint_eq(m.count, 7);
	ck_assert(m.cut);
	ck_assert_str_eq(mountinfo_by_path(&m, "/a/x")->type, "xfs");
	ck_assert_str_eq(mountinfo_by_path(&m, "/a")->type, "xfs");
	ck_assert_str_eq(mountinfo_by_path(&m, "/ab")->source, "/dev/sda1");
	ck_assert_str_eq(mountinfo_by_path(&m, "/a\\b\tc/d")->source, "/dev/sda4");
	ck_assert_ptr_null(mountinfo_by_path(&m, "relative"));
	ck_assert_str_eq(mountinfo_by_id(&m, 5)->source, "");
	ck_assert_ptr_null(mountinfo_by_id(&m, 99));
	ck_assert_int_eq(mountinfo_by_dev(&m, 8, 2)->id, 2);
	ck_assert(mount_option(mountinfo_by_id(&m, 7), "lowerdir", true, value, sizeof(value)));
	ck_assert_str_eq(value, "/l,1");
	ck_assert(mount_option(mountinfo_by_id(&m, 7), "upperdir", false, value, sizeof(value)));
	ck_assert_str_eq(value, "/u:v");
	ck_assert(mount_option(mountinfo_by_id(&m, 8), "lowerdir", true, value, sizeof(value)));
	ck_assert_str_eq(value, "/o:x");
	ck_assert(!mount_option(mountinfo_by_id(&m, 7), "x", false, value, sizeof(value)));
	ck_assert(!mount_option(mountinfo_by_id(&m, 7), "dir", false, value, sizeof(value)));
	ck_assert(!mount_option(mountinfo_by_id(&m, 7), "upperdir", false, value, 3));
	mountinfo_deinit(&m);
	tree_deinit(&t);
}
END_TEST

START_TEST(test_clean)
{
	static const struct {
		const char *dirty, *clean;
	} rows[] = {
		{ "plain", "plain" },
		{ "µ€😀", "µ€😀" },
		{ "a\tb\x1b[2J", "a?b?[2J" },
		{ "\xff\xfe", "??" },
		{ "\xc0\x80", "??" },
		{ "\xed\xa0\x80", "???" },
		{ "\xe2\x82", "??" },
		{ "\xf4\x90\x80\x80", "????" },
		{ "\xc2\x9b", "??" },
		{ "\x7f", "?" },
		{ "", "" },
	};

	for (int i = 0; i < ROWS(rows); i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s", rows[i].dirty);
		sys_clean(text);
		ck_assert_str_eq(text, rows[i].clean);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("trees");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_machine, 0, ROWS(machines));
	tcase_add_test(tc, test_details);
	tcase_add_test(tc, test_mount_point);
	tcase_add_test(tc, test_nothing);
	tcase_add_test(tc, test_btrfs_uuid);
	tcase_add_test(tc, test_rotates);
	tcase_add_test(tc, test_mountinfo);
	tcase_add_test(tc, test_clean);
	return run_case("probe", tc);
}
