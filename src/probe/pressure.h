/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether memory is short at this moment, so that nothing may be brought in on a guess. */
#pragma once

#include <stdbool.h>

/* proc: a directory that is /proc. False also where the kernel does not tell. */
bool pressure_on_memory(int proc);
