/* SPDX-License-Identifier: GPL-2.0 */
/* The headers that bindgen reads for the tests. */

#include <linux/buffer_head.h>
#include "dirty_pages.h"
#include "page_cache.h"
#include "pattern_disk.h"
