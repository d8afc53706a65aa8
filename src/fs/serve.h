/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A mount from its beginning to its end. */
#pragma once

#include "node/source.h"
#include "options.h"

enum serve_event {
	SERVE_READY, /* the mount serves requests */
	SERVE_ENDED, /* it has been unmounted, or is gone otherwise */
};

/*
 * Mounts source at mountpoint (absolute) and serves it until it is unmounted. Signals are handled
 * here: SIGTERM and SIGINT unmount, SIGUSR1 logs what is in flight. tell() is called once for each
 * event, if it comes to that. Takes source over. Returns an exit code of mount(8); an error before
 * SERVE_READY is one line in err.
 */
int serve(const struct options *options, const struct kernel *kernel, struct source *source,
	  const char *mountpoint, void (*tell)(void *argument, enum serve_event event),
	  void *argument, char *err, size_t err_size);
