/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal as overdrivectl top needs it: a screen of its own that is given back at the end, keys
 * without Enter, and frames that are written at once.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct term {
	struct termios saved;
	sigset_t saved_mask;
	int signals; /* signalfd */
	bool shown;
};

enum term_event { TERM_TIME, TERM_KEY, TERM_RESIZED, TERM_END };

/* Takes the terminal and these signals over; 0 or -errno. */
int term_open(struct term *t);
/* Gives everything back. */
void term_close(struct term *t);

void term_size(unsigned *rows, unsigned *columns);
/* Whether its text is UTF-8, and whether colours are wanted (NO_COLOR, TERM). */
bool term_utf8(void);
bool term_colour(void);

/* Shows the lines of text (each ends with a newline) instead of what was there. */
void term_show(struct term *t, const char *text);
/* Waits until something happens; the key is stored. ^Z is seen to here. */
enum term_event term_wait(struct term *t, int milliseconds, char *key);
