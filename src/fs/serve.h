/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A mount from its beginning to its end. */
#pragma once

#include "node/source.h"
#include "options.h"

/*
 * Mounts source at mountpoint (absolute) and serves it until it is unmounted. Signals are handled
 * here: SIGTERM and SIGINT unmount, SIGUSR1 logs what is in flight. ready() is called once when the
 * mount serves requests. Takes source over. Returns an exit code of mount(8); an error before
 * ready() is one line in err.
 */
int serve(const struct options *options, const struct kernel *kernel, struct source *source,
	  const char *mountpoint, void (*ready)(void *), void *argument, char *err,
	  size_t err_size);
