/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What direct.c, direct_read.c and direct_write.c share. */
#pragma once

#include "fs/direct.h"
#include "io/engine.h"

/* The file takes no Direct IO after all: it goes through SOURCE's page cache from here on. */
void direct_refused(struct fs *fs, struct openfile *of, int err);
/* Whose bytes these are in the statistics. */
void direct_count_bytes(const struct fs *fs, bool direct, enum io_kind kind, size_t n);
/* Direct IO by the program itself is taken or refused as SOURCE does it. */
bool direct_as_is(int flags, uint32_t align, uint64_t off, size_t size);
