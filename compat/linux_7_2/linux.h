/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What C code of Linux 7.3 has and that of 7.2 lacks.
 */
#ifndef RUST_MPAGE_COMPAT_H
#define RUST_MPAGE_COMPAT_H

struct inode;

/* 7.2 has no such state; linux.rs does without. */
static inline void set_inode_metadata_writeback(struct inode *inode)
{
}

/* The short way of a small read, which tells its caller to take the long one. */
#define iomap_dio_read_simple(iocb, to, begin) \
	((void)(iocb), (void)(to), (void)(begin), (ssize_t)-ENOTBLK)

/*
 * A bio ends where the device says: a folio that is not to stay may, if that is an interrupt.
 * Nobody looks at this flag.
 */
#define BIO_COMPLETE_IN_TASK BIO_FLAG_LAST

#endif /* RUST_MPAGE_COMPAT_H */
