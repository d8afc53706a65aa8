/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The name of a FUSE opcode as the kernel's protocol numbers it, "LOOKUP"; "?" for an unknown. */
const char *opname(unsigned opcode);
