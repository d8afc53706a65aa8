/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"

int sys_dir(int at, const char *path)
{
	return or_errno(openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

DIR *sys_opendir(int at, const char *path)
{
	autoclose int fd = sys_dir(at, path);
	DIR *dir;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	dir = fdopendir(fd);
	if (dir)
		steal_fd(&fd);
	return dir;
}

/* O_NONBLOCK: a tree that is no sysfs may hold a FIFO. */
static int open_file(int at, const char *path)
{
	autoclose int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? steal_fd(&fd) : -EINVAL;
}

static ssize_t read_up_to(int fd, char *text, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, text + done, size - done);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Bytes of the UTF-8 character at s, or 0 if there is none. */
static unsigned utf8_length(const unsigned char *s)
{
	unsigned n = s[0] < 0x80   ? 1
		     : s[0] < 0xc2 ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;

	for (unsigned i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and what lies beyond Unicode. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	/* C1 controls, which some terminals obey. */
	return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : n;
}

void sys_clean(char *text)
{
	unsigned char *s = (unsigned char *)text;

	while (*s) {
		unsigned n = utf8_length(s);

		if (n == 0 || *s < 0x20 || *s == 0x7f) {
			*s++ = '?';
			continue;
		}
		s += n;
	}
}

ssize_t sys_line(int at, const char *path, char *text, size_t size)
{
	autoclose int fd = open_file(at, path);
	ssize_t n;
	size_t end;

	text[0] = '\0';
	if (fd < 0)
		return fd;
	n = read_up_to(fd, text, size - 1);
	text[n < 0 ? 0 : n] = '\0';
	if (n < 0)
		return n;
	text[strcspn(text, "\n")] = '\0';
	sys_clean(text);
	end = strlen(text);
	while (end > 0 && text[end - 1] == ' ')
		text[--end] = '\0';
	return (ssize_t)end;
}

int sys_number(int at, const char *path, uint64_t *value)
{
	char text[32], *end;
	ssize_t n = sys_line(at, path, text, sizeof(text));
	unsigned long long number;

	if (n < 0)
		return (int)n;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || *end)
		return -EINVAL;
	*value = number;
	return 0;
}

ssize_t sys_slurp(int at, const char *path, size_t limit, char **text)
{
	autoclose int fd = open_file(at, path);
	autofree char *buffer = NULL;
	size_t size = 0, room = 0;

	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n;
		char *larger;

		if (size == limit)
			break;
		if (size == room) {
			room = room ? room * 2 : 16384;
			room = room < limit ? room : limit;
			larger = realloc(buffer, room + 1);
			if (!larger)
				return -ENOMEM;
			buffer = larger;
		}
		n = read_up_to(fd, buffer + size, room - size);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		size += (size_t)n;
	}
	if (!buffer)
		return -EINVAL;
	buffer[size] = '\0';
	*text = buffer;
	buffer = NULL;
	return (ssize_t)size;
}
