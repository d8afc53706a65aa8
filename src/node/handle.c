/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/handle.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

union handle_buffer {
	struct file_handle handle;
	char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

int identity_of(int directory, const char *name, struct identity *id)
{
	union handle_buffer b = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	int mount_id;

	if (name_to_handle_at(directory, name, &b.handle, &mount_id, *name ? 0 : AT_EMPTY_PATH) < 0)
		return -errno;
	id->length = (uint8_t)b.handle.handle_bytes;
	id->type = (int16_t)b.handle.handle_type;
	memcpy(id->bytes, b.handle.f_handle, id->length);
	return 0;
}

void identity_by_number(dev_t device, ino_t inode, uint64_t birth, struct identity *id)
{
	uint64_t number[3] = { device, inode, birth };

	id->length = sizeof(number);
	id->type = IDENTITY_BY_NUMBER;
	memcpy(id->bytes, number, sizeof(number));
}

#define PLACED UINT64_MAX /* where numbers have a birth, which on overlayfs is a type (tree.c) */

void identity_by_place(uint64_t parent, const char *name, struct identity *id)
{
	uint64_t h = 14695981039346656037ull; /* FNV-1a */
	uint64_t number[3] = { parent, 0, PLACED };

	for (const unsigned char *c = (const unsigned char *)name; *c; c++)
		h = (h ^ *c) * 1099511628211ull;
	number[1] = h;
	id->length = sizeof(number);
	id->type = IDENTITY_BY_NUMBER;
	memcpy(id->bytes, number, sizeof(number));
}

bool identity_is_placed(const struct identity *id)
{
	uint64_t number[3];

	if (id->type != IDENTITY_BY_NUMBER || id->length != sizeof(number))
		return false;
	memcpy(number, id->bytes, sizeof(number));
	return number[2] == PLACED;
}

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200 /* uapi linux/fcntl.h since 6.6 */
#endif
/* struct ovl_fh, fs/overlayfs/overlayfs.h: three bytes to align, version, magic, length, flags. */
#define OVL_FILEID_V1	       0xf8
#define OVL_FH_MAGIC	       0xfb
#define OVL_FH_FLAG_PATH_UPPER 0x04

bool identity_from_lower(int fd)
{
	union handle_buffer b = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	int mount_id;

	if (name_to_handle_at(fd, "", &b.handle, &mount_id, AT_EMPTY_PATH | AT_HANDLE_FID) < 0)
		return false;
	return b.handle.handle_type == OVL_FILEID_V1 && b.handle.handle_bytes > 6 &&
	       b.handle.f_handle[4] == OVL_FH_MAGIC &&
	       !(b.handle.f_handle[6] & OVL_FH_FLAG_PATH_UPPER);
}

/*
 * While the number of a deleted file is being given to a new one, ext4 says ENOMEM and means ESTALE:
 * iget_locked() (fs/inode.c) returns nothing for an inode that is I_CREATING. That passes with the
 * creation, which may have to wait for the disk; ENOMEM that stays is what it says.
 */
#define CREATING_YIELDS 20
#define CREATING_TRIES	1000
#define CREATING_PAUSE	1000 /* microseconds */

int identity_open(int root, const struct identity *id, int flags)
{
	union handle_buffer b;
	int fd;

	b.handle.handle_bytes = id->length;
	b.handle.handle_type = id->type;
	memcpy(b.handle.f_handle, id->bytes, id->length);
	fd = or_errno(open_by_handle_at(root, &b.handle, flags));
	for (int i = 0; fd == -ENOMEM && i < CREATING_TRIES; i++) {
		if (i < CREATING_YIELDS)
			sched_yield();
		else
			usleep(CREATING_PAUSE);
		fd = or_errno(open_by_handle_at(root, &b.handle, flags));
	}
	return fd;
}

uint32_t identity_hash(const struct identity *id)
{
	/* FNV-1a, then a final mix: inode numbers differ in few low bits. */
	uint64_t h = 14695981039346656037ull ^ (uint64_t)id->type;

	for (unsigned i = 0; i < id->length; i++)
		h = (h ^ id->bytes[i]) * 1099511628211ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return (uint32_t)(h ^ h >> 32);
}
