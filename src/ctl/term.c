/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/term.h"

#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "util/cleanup.h"

/* The other screen, no cursor; and back. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static void put(const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(STDOUT_FILENO, text, length);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			length -= (size_t)n;
		}
	}
}

static void enter(struct term *t)
{
	struct termios raw = t->saved;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	put(ENTER, strlen(ENTER));
	t->shown = true;
}

static void leave(struct term *t)
{
	if (!t->shown)
		return;
	put(LEAVE, strlen(LEAVE));
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
	t->shown = false;
}

int term_open(struct term *t)
{
	sigset_t mask;

	memset(t, 0, sizeof(*t));
	t->signals = -1;
	if (tcgetattr(STDIN_FILENO, &t->saved) < 0)
		return -errno;
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGQUIT);
	sigaddset(&mask, SIGTSTP);
	sigaddset(&mask, SIGWINCH);
	sigprocmask(SIG_BLOCK, &mask, &t->saved_mask);
	t->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signals < 0) {
		int err = -errno;

		sigprocmask(SIG_SETMASK, &t->saved_mask, NULL);
		return err;
	}
	enter(t);
	return 0;
}

void term_close(struct term *t)
{
	leave(t);
	if (t->signals >= 0)
		close(t->signals);
	t->signals = -1;
	sigprocmask(SIG_SETMASK, &t->saved_mask, NULL);
}

void term_size(unsigned *rows, unsigned *columns)
{
	struct winsize size;

	*rows = 24;
	*columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col) {
		*rows = size.ws_row;
		*columns = size.ws_col;
	}
}

bool term_utf8(void)
{
	setlocale(LC_CTYPE, "");
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool term_colour(void)
{
	const char *no = getenv("NO_COLOR"), *name = getenv("TERM");

	return !(no && *no) && name && *name && strcmp(name, "dumb") != 0;
}

/* Over what was there, not after wiping it, and by one write: so nothing flickers. */
void term_show(struct term *t, const char *text)
{
	char *frame = NULL;
	size_t size = 0;
	FILE *out = t->shown ? open_memstream(&frame, &size) : NULL;

	if (!out)
		return;
	fputs("\033[H", out);
	while (*text) {
		size_t length = strcspn(text, "\n");

		fwrite(text, 1, length, out);
		fputs("\033[K", out);
		text += length + (text[length] == '\n');
		if (*text)
			fputs("\r\n", out);
	}
	fputs("\033[J", out);
	if (fclose(out) == 0)
		put(frame, size);
	free(frame);
}

static enum term_event take_signal(struct term *t)
{
	struct signalfd_siginfo info;

	if (read(t->signals, &info, sizeof(info)) != sizeof(info))
		return TERM_TIME;
	if (info.ssi_signo == SIGWINCH)
		return TERM_RESIZED;
	if (info.ssi_signo != SIGTSTP)
		return TERM_END;
	leave(t);
	raise(SIGSTOP);
	enter(t);
	return TERM_RESIZED;
}

enum term_event term_wait(struct term *t, int milliseconds, char *key)
{
	struct pollfd fds[] = {
		{ .fd = t->signals, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};

	if (poll(fds, 2, milliseconds) <= 0)
		return TERM_TIME;
	if (fds[0].revents)
		return take_signal(t);
	/* Readable and yet nothing there: the terminal is gone. */
	return read(STDIN_FILENO, key, 1) == 1 ? TERM_KEY : TERM_END;
}
