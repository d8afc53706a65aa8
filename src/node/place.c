/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where nodes were last seen. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/table.h"

struct node *node_ref_parent(struct node_table *t, struct node *n)
{
	struct node *parent = NULL;

	/* While the place is there, so is its parent: a place holds a count. */
	node_lock(t, n);
	if (n->place)
		parent = node_get(t, n->place->parent);
	if (parent)
		node_hold(t, parent);
	node_unlock(t, n);
	return parent;
}

static bool lies_below(struct node_table *t, struct node *n, const struct node *above)
{
	struct node *at = n;
	bool below = n == above;

	node_hold(t, at);
	while (!below && at && at->id != NODE_ROOT_ID) {
		struct node *parent = node_ref_parent(t, at);

		node_forget(t, at, 1);
		at = parent;
		below = at == above;
	}
	if (at)
		node_forget(t, at, 1);
	return below;
}

void node_moved(struct node_table *t, struct node *n, struct node *parent, const char *name)
{
	struct place *place, *old;

	if (n->handle_type != IDENTITY_BY_NUMBER ||
	    (n->type == S_IFDIR && lies_below(t, parent, n)))
		return;
	node_lock(t, n);
	old = n->place;
	if (old && old->parent == parent->id && strcmp(old->name, name) == 0) {
		node_unlock(t, n);
		return;
	}
	place = malloc(sizeof(*place) + strlen(name) + 1);
	if (place) {
		place->parent = parent->id;
		strcpy(place->name, name);
		n->place = place;
		node_hold(t, parent);
	}
	node_unlock(t, n);
	if (place && old) {
		node_forget(t, node_get(t, old->parent), 1);
		free(old);
	}
}
