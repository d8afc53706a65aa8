/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Newer than the headers of some distributions: Linux 6.14, include/uapi/linux/fs.h. */
#pragma once

#include <sys/uio.h>

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x00000080
#endif
