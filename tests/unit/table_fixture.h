/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table of nodes for each test, and identities and references by number. */
#pragma once

#include <check.h>
#include <string.h>
#include <sys/stat.h>

#include "node/table.h"

static struct fdcache *fdcache;
static struct node_table *table;
static struct node *root;

static inline void setup(void)
{
	fdcache = fdcache_new(64);
	table = node_table_new(fdcache);
	ck_assert_ptr_nonnull(table);
	root = node_get(table, NODE_ROOT_ID);
}

static inline void teardown(void)
{
	ck_assert_ptr_null(node_table_free(table));
	fdcache_free(fdcache);
}

/* A handle of that length, of object number n. */
static inline struct identity handle(uint64_t n, unsigned length)
{
	struct identity id = { .length = (uint8_t)length, .type = 1 };

	memset(id.bytes, 0x5a, length);
	memcpy(id.bytes + length - 8, &n, 8);
	return id;
}

static inline struct identity number(uint64_t n)
{
	struct identity id;

	identity_by_number(2049, n, 1000, &id);
	return id;
}

static inline struct node *ref_at(uint64_t n, struct node *parent, const char *name)
{
	struct identity id = number(n);

	return node_ref(table, &id, S_IFDIR | 0755, parent, name);
}

static inline struct node *known(const struct identity *id)
{
	return node_ref_known(table, id);
}
