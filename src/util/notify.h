/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells the service manager how we are: the protocol of sd_notify(3), which is a datagram. */
#pragma once

/* Connects to $NOTIFY_SOCKET, and takes it out of the environment. Before the mount: a mount in
 * place over /run would cover it. A descriptor, or -1 if nobody wants to know. */
int notify_open(void);
/* "READY=1\nSTATUS=…"; fd may be -1. */
void notify_send(int fd, const char *text);
