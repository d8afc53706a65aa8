/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guess about a tree costs: the system calls, on SOURCE, in a thread of the walker's. They
 * leave no trace: no access time changes, nothing stays open, only regular files are opened, and
 * nothing is touched that the user on whose account it happens could not read himself.
 */
#pragma once

#include "node/tree.h"
#include "prefetch/plan.h"

/* The listing, whose folder->node is held; NULL: none. hot: its first file was in memory. large: held by
 * the one visit whose listing may have more than FOLDER_LARGE entries. */
struct folder *visit_list(struct tree *tree, const struct guess *guess, atomic_flag *large,
			  bool *hot);
/* Returns how many of the inodes had been in memory. */
uint32_t visit_inodes(struct tree *tree, const struct guess *guess);
/* Returns how many pages are brought in. hot: the file was in memory already. */
uint32_t visit_content(struct tree *tree, const struct guess *guess, bool *hot);

/* One reference less. */
void visit_let_go(struct tree *tree, struct folder *folder);
