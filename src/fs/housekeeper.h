/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread for what is done once a second while the mount is in use: idle descriptors are closed
 * (they pin deleted files) and kept backing ids, cached files are looked at for changes behind the mount. It sleeps when
 * there is nothing left to look after, until a request comes.
 */
#pragma once

struct fs;
struct housekeeper;

/* NULL without memory or threads: the mount works without. Needs fs->session. */
struct housekeeper *housekeeper_new(struct fs *fs);
struct housekeeper *housekeeper_free(struct housekeeper *h); /* accepts NULL, returns NULL */
