/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fs/mpage.c's interface on rust_mpage: for C filesystems whose sources are not
 * to be changed.
 *
 * The build of the filesystem forces this file in with -include. Every function
 * of vmlinux that <linux/mpage.h> names becomes one of rust_mpage.ko: both the
 * declarations in that header and the calls, since this file comes before either.
 * It includes nothing, so that the order of the includes of the filesystem stays
 * what it was.
 */
#ifndef _LINUX_RUST_MPAGE_COMPAT_H
#define _LINUX_RUST_MPAGE_COMPAT_H

#define mpage_readahead		rust_mpage_readahead
#define mpage_read_folio	rust_mpage_read_folio
/* mpage_writepages() is an inline function that calls it. */
#define __mpage_writepages	__rust_mpage_writepages

#endif /* _LINUX_RUST_MPAGE_COMPAT_H */
