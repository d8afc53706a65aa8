/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What probe makes of machines that can't be: those of tests/unit/probe-trees, spoiled at random. */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "probe/device.h"
#include "probe/host.h"
#include "probe/sysfile.h"
#include "suite.h"
#include "test_probe_tree.h"

static void check_text(const char *text, size_t size)
{
	char copy[512];

	ck_assert_uint_lt(strnlen(text, size), size);
	snprintf(copy, sizeof(copy), "%s", text);
	sys_clean(copy);
	ck_assert_str_eq(copy, text);
}

static void check_device(const struct device *d)
{
	ck_assert_uint_le(d->step_count, DEVICE_STEPS);
	ck_assert_uint_le(d->note_count, DEVICE_NOTES);
	check_text(d->fs, sizeof(d->fs));
	check_text(d->source, sizeof(d->source));
	check_text(d->mount_point, sizeof(d->mount_point));
	for (unsigned i = 0; i < d->step_count; i++) {
		check_text(d->steps[i].name, sizeof(d->steps[i].name));
		check_text(d->steps[i].detail, sizeof(d->steps[i].detail));
	}
	for (unsigned i = 0; i < d->note_count; i++)
		check_text(d->notes[i], sizeof(d->notes[i]));
}

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed >> 11;
}

static void spoil_file(struct tree *t, const char *path, uint64_t *seed)
{
	char text[4096];
	int fd = openat(t->root.fd, path, O_RDWR | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	for (uint64_t i = draw(seed) % 8; n > 0 && i > 0; i--)
		text[draw(seed) % (uint64_t)n] = (char)draw(seed);
	if (n > 0) {
		ck_assert_int_eq(pwrite(fd, text, (size_t)n, 0), n);
		if (draw(seed) % 3 == 0)
			ck_assert_int_eq(ftruncate(fd, (off_t)(draw(seed) % (uint64_t)n)), 0);
	}
	if (fd >= 0)
		close(fd);
}

/* A link now leads where another one did, or nowhere. */
static void spoil_link(struct tree *t, uint64_t *seed)
{
	char target[512];
	const char *path, *other;
	ssize_t n;

	if (!t->link_count)
		return;
	path = t->links[draw(seed) % t->link_count];
	other = t->links[draw(seed) % t->link_count];
	n = readlinkat(t->root.fd, other, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	unlinkat(t->root.fd, path, 0);
	ck_assert_int_eq(symlinkat(draw(seed) % 4 ? target : "/dev/null/x", t->root.fd, path), 0);
}

/* No tree may make it crash, hang, or say what is no text. */
static void spoil_tree(const char *name, uint64_t seed)
{
	struct tree t;
	struct device d;
	struct host_memory memory;

	tree_init(&t, name);
	for (int round = 0; round < 60; round++) {
		spoil_file(&t, PROBE_MOUNTINFO, &seed);
		for (unsigned i = 0; i < 3 && t.file_count; i++)
			spoil_file(&t, t.files[draw(&seed) % t.file_count], &seed);
		spoil_link(&t, &seed);
		if (device_probe(&d, &t.root, &t.target) == 0)
			check_device(&d);
		host_memory_probe(&memory, &t.root);
		/* Some rounds in, there is little left to spoil. */
		if (round % 10 == 9) {
			tree_deinit(&t);
			tree_init(&t, name);
		}
	}
	tree_deinit(&t);
}

START_TEST(test_spoiled)
{
	struct dirent **list;
	int n = scandir(PROBE_TREES, &list, NULL, alphasort);

	ck_assert_int_gt(n, 2);
	for (int i = 0; i < n; i++) {
		char *end = strstr(list[i]->d_name, ".tree");

		if (end) {
			*end = '\0';
			spoil_tree(list[i]->d_name, 0x9e3779b97f4a7c15u + (unsigned)i);
		}
		free(list[i]);
	}
	free(list);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("spoiled");

	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, test_spoiled);
	return run_case("probe_spoiled", tc);
}
