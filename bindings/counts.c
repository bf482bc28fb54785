// SPDX-License-Identifier: GPL-2.0
/*
 * What is counted on each processor by itself. Not in a file of helpers: those
 * may be compiled twice, and there is one of these.
 */

#include "helpers.h"

DEFINE_PER_CPU(struct rust_mpage_counts, rust_mpage_counts);
EXPORT_PER_CPU_SYMBOL_GPL(rust_mpage_counts);
