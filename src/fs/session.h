/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receive loop: worker threads around fuse_session_process_buf().
 */
#pragma once

#include "fs/fs.h"

/* NULL without memory. The session borrows fs, whose FUSE session is mounted already. */
struct session *session_new(struct fs *fs);
struct session *session_free(struct session *session);

/* Starts the first workers. Signals must be blocked. 0 or -errno. */
int session_start(struct session *session);

/* A descriptor that becomes readable when the mount is gone and all workers are done. */
int session_done_fd(const struct session *session);
/* Becomes readable when the kernel's INIT has been answered: the mount serves. */
int session_ready_fd(const struct session *session);
/* Becomes readable when a request comes after session_doze(). */
int session_wake_fd(const struct session *session);
/* Asks for an event at the next request. False if there is something to look after meanwhile. */
bool session_doze(struct session *session);
/* Why it ended: 0 for an unmount, or -errno. Waits for the last worker. */
int session_join(struct session *session);

/* Logs each request that is being served, with its age. */
void session_log_in_flight(struct session *session);
unsigned session_threads(const struct session *session);
