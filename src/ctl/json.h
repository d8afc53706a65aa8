/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Prints a string with its quotes. The text has to be UTF-8 (sys_clean makes it so). */
void json_text(const char *text);
