/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a path can't be opened, in words that say what to do. */
#pragma once

#include <errno.h>
#include <string.h>

/* The errno's own text, but for one that nobody understands who meets it first. */
static inline const char *why(int err)
{
	return err == ENOTCONN || err == ECONNABORTED
		       ? "the daemon of the FUSE mount there has died; overdrivectl detach, or umount, "
			 "takes the mount away"
		       : strerror(err);
}
