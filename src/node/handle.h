/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An object's identity below SOURCE, as bytes that can be compared and hashed: its file handle,
 * which carries the inode's generation, or, where the filesystem has no handles for us, its device
 * number, inode number and time of birth.
 */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct identity {
	uint8_t length; /* bytes in use */
	int16_t type;	/* the handle's type; IDENTITY_BY_NUMBER when there are no handles */
	/* Handles: ext4 8 bytes, xfs 8 to 24, btrfs 20 or 40; the kernel's bound is MAX_HANDLE_SZ. */
	unsigned char bytes[MAX_HANDLE_SZ];
};

#define IDENTITY_BY_NUMBER ((int16_t)-1)

/*
 * The handle of name below directory, or of directory itself when name is "".
 * Returns 0 or -errno; -EOPNOTSUPP where the filesystem has none.
 */
int identity_of(int directory, const char *name, struct identity *id);
/* birth, in ns, tells an inode from an earlier one of the same number; 0 where there is none. */
void identity_by_number(dev_t device, ino_t inode, uint64_t birth, struct identity *id);

/*
 * The identity of a lower layer's hard link on an overlayfs without an index: its numbers are all
 * its names', but each name is an inode of its own and becomes another file when it is copied up.
 */
void identity_by_place(uint64_t parent, const char *name, struct identity *id);
bool identity_is_placed(const struct identity *id);

/* Of an object on overlayfs, by an O_PATH descriptor: it is not in the upper layer, or has been
 * copied there since this inode came into memory. False where the kernel (< 6.6) can't tell. */
bool identity_from_lower(int fd);

/* Opens what a handle names, below the mount of root (a real descriptor, not O_PATH). */
int identity_open(int root, const struct identity *id, int flags);

uint32_t identity_hash(const struct identity *id);
