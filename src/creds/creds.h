/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who a worker thread acts as. Identities are per thread, set by raw system calls, because glibc's
 * wrappers would change every thread.
 *
 * As root a worker rests as a nobody with the capabilities to reach any file, but without
 * CAP_FSETID and CAP_SYS_RESOURCE: backing files registered in that state clear setuid bits and
 * respect the filesystem's reserve and quotas as an ordinary user's writes do (PLATFORM.md 1).
 * Access itself was checked by the kernel before the request came (default_permissions).
 *
 * Without root there is nothing to switch: every function here succeeds and does nothing, except
 * for the umask.
 *
 * A struct creds belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The resting fsuid. Not 0, so that no filesystem counts it as root; not 65534, which ext4 may name
 * as owner of its reserve (resuid=).
 */
#define CREDS_RESTING_UID 2147483646u

enum creds_state {
	CREDS_RESTING,
	CREDS_CALLER, /* the caller's fsuid and fsgid, perhaps groups; access was checked already */
	CREDS_STRICT, /* the caller's fsuid, fsgid and groups and no capability: SOURCE decides */
};

struct creds {
	bool switching; /* root: identities change; otherwise only the umask does */
	bool unbounded; /* capabilities hold for every owner there is: no user namespace bounds them */
	bool lingers; /* creds_leave(): what was done as the caller is done */
	int proc;     /* O_PATH descriptor of /proc: for a caller's groups */
	enum creds_state state;
	uid_t resting; /* CREDS_RESTING_UID, or another where that does not exist */
	uid_t uid;
	gid_t gid;
	bool groups;		       /* supplementary groups other than none are set */
	uint64_t permitted, effective; /* capabilities */
	mode_t mask;
};

/*
 * Prepares the calling thread: an umask of its own, no supplementary groups, capabilities that
 * setfsuid() leaves alone. proc is borrowed. Returns 0 or -errno.
 */
int creds_init(struct creds *creds, int proc);

void creds_rest(struct creds *creds);
/*
 * Done as the caller: rests, unless that would only be undone. Where it is all the same who looks
 * (`indifferent`: a filesystem of this machine, whose access checks our capabilities pass) he stays
 * the caller, as the same program often comes again at once; whoever does need to rest, or to be
 * somebody else, becomes it then. Never with groups or without capabilities.
 */
void creds_leave(struct creds *creds, bool indifferent);
/* What is made belongs to the caller, and is charged to him. */
void creds_caller(struct creds *creds, uid_t uid, gid_t gid);
/* The page cache writes, for nobody in particular: a store through mmap never clears setuid. */
void creds_writeback(struct creds *creds);
/* The same as creds_caller() with his supplementary groups: where SOURCE looks at them (setgid bits). 0 or -errno. */
int creds_grouped(struct creds *creds, uid_t uid, gid_t gid, pid_t pid);
/* SOURCE itself is to decide, as it would for the caller. -errno if his groups can't be read. */
int creds_strict(struct creds *creds, uid_t uid, gid_t gid, pid_t pid);
void creds_umask(struct creds *creds, mode_t mask);

/* Drops, for the process, the capabilities that no worker ever needs. Call before threads. */
int creds_drop_unneeded(void);
