/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/handle.h"

#include <string.h>

#include "util/cleanup.h"

union handle_buffer {
	struct file_handle handle;
	char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

int identity_of(int directory, const char *name, struct identity *id)
{
	union handle_buffer b = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
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
	uint64_t number[3] = {device, inode, birth};

	id->length = sizeof(number);
	id->type = IDENTITY_BY_NUMBER;
	memcpy(id->bytes, number, sizeof(number));
}

int identity_open(int root, const struct identity *id, int flags)
{
	union handle_buffer b;

	b.handle.handle_bytes = id->length;
	b.handle.handle_type = id->type;
	memcpy(b.handle.f_handle, id->bytes, id->length);
	return or_errno(open_by_handle_at(root, &b.handle, flags));
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
