/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The headers that bindgen reads for bindings/bindings_generated.rs.
 *
 * helpers.h declares the wrappers of static inline functions; they are defined
 * in helpers.c.
 */

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/mbcache.h>
#include <linux/pagemap.h>
#include <linux/rust_mpage.h>
#include "ext2_trace.h"
#include "helpers.h"
#include "helpers_2017.h"
#include "helpers_acl.h"
#include "helpers_direct.h"
#include "helpers_freeze.h"
#include "helpers_fs.h"
#include "helpers_module.h"
#include "helpers_quota.h"
#include "registrations.h"
#include "spare.h"
#include "visits.h"
