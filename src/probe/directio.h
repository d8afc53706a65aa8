/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Direct IO as the filesystem offers it on real files. */
#pragma once

#include "probe/device.h"
#include "probe/sample.h"

/*
 * What offsets and lengths of Direct IO on this open file must be multiples of: a power of two, or 0
 * if the file refuses Direct IO. Where statx is silent it is a guess that fits every device.
 */
uint32_t directio_align(int fd);
/* statx first; where it is silent, a read of 4 KiB. */
void directio_probe(struct device_direct *direct, const struct sample *sample);
