// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints of ext2_trace.h, for the Rust code that is compiled into the module of the
 * filesystem: it looks at the static branch itself, and calls what it finds on. They are
 * exported by exports.c.
 */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "ext2_trace.h"
