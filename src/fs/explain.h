/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl explain: in words, what happens to an object's data, and why. */
#pragma once

#include <stdio.h>

#include "fs/fs.h"

/* Answers OVERDRIVE_IOC_EXPLAIN, asked on any open object of the mount. */
void explain(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, bool directory);
