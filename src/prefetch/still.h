/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether bytes that were read of a file may still be shown later, without being told of writes.
 *
 * still_begin() succeeds only while nobody has the file open or mapped for writing, outside users
 * included: the kernel grants a read lease then (given back at once), and refuses it otherwise. So
 * all that was written before is there for who reads from then on, and whoever writes later must
 * open the file after it, and changes its ctime before it changes a byte. utimes() can't hide that.
 * While still_same() holds, therefore, what was read after still_begin() is what the file holds.
 *
 * Where the kernel's clock for files is coarse (before Linux 6.13, and some filesystems), a second
 * change in one tick does not show: a file that was changed a moment ago is not still.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct still {
	uint64_t size; /* bytes */
	int64_t ctime_ns;
};

/*
 * fd is open only for reading. 0; -EAGAIN: not now; another -errno: never, as leases are refused
 * or mean nothing on this filesystem (changes by other machines don't break them). SIGIO must be
 * ignored. Whoever opens the file with O_NONBLOCK to write in that microsecond gets EAGAIN.
 */
int still_begin(int fd, struct still *still);
bool still_same(int fd, const struct still *still);
