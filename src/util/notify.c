/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/cleanup.h"
#include "util/log.h"

int notify_open(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *name = getenv("NOTIFY_SOCKET");
	size_t length = name ? strlen(name) : 0;
	autoclose int fd = -1;

	if (!length)
		return -1;
	if ((name[0] != '/' && name[0] != '@') || length > sizeof(address.sun_path)) {
		log_line(LOG_WARNING,
			 "NOTIFY_SOCKET: neither a path nor an abstract socket; ignored");
		return -1;
	}
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	unsetenv("NOTIFY_SOCKET");
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0) {
		log_line(LOG_WARNING, "NOTIFY_SOCKET: %s; the service manager will not hear of us",
			 strerror(errno));
		return -1;
	}
	return steal_fd(&fd);
}

void notify_send(int fd, const char *text)
{
	if (fd >= 0 && send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		log_line(LOG_WARNING, "the service manager does not listen: %s", strerror(errno));
}
