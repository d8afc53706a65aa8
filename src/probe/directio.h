/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Direct IO as the filesystem offers it on real files. */
#pragma once

#include "probe/device.h"
#include "probe/sample.h"

/* statx first; where it is silent, a read of 4 KiB. */
void directio_probe(struct device_direct *direct, const struct sample *sample);
