/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of rust_ext2's direct I/O: those of fs/ext2/trace.h, with the same fields in
 * the same format. The names are others, since both may be built into one kernel. They are
 * told of a request what is shown, for it may be another's by then.
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM rust_ext2

#if !defined(RUST_MPAGE_EXT2_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RUST_MPAGE_EXT2_TRACE_H

#include <linux/fs.h>
#include <linux/tracepoint.h>
#include "helpers_direct.h"

DECLARE_EVENT_CLASS(rust_ext2_dio_class,
	TP_PROTO(const struct rust_mpage_direct_request *request),
	TP_ARGS(request),
	TP_STRUCT__entry(
		__field(dev_t,	dev)
		__field(u64,	ino)
		__field(loff_t, isize)
		__field(loff_t, pos)
		__field(size_t,	count)
		__field(int,	ki_flags)
		__field(bool,	aio)
		__field(ssize_t, ret)
	),
	TP_fast_assign(
		__entry->dev = request->inode->i_sb->s_dev;
		__entry->ino = request->inode->i_ino;
		__entry->isize = request->inode->i_size;
		__entry->pos = request->pos;
		__entry->count = request->count;
		__entry->ki_flags = request->ki_flags;
		__entry->aio = request->aio;
		__entry->ret = request->ret;
	),
	TP_printk("dev %d:%d ino 0x%llx isize 0x%llx pos 0x%llx len %zu flags %s aio %d ret %zd",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  __entry->ino,
		  __entry->isize,
		  __entry->pos,
		  __entry->count,
		  __print_flags(__entry->ki_flags, "|", TRACE_IOCB_STRINGS),
		  __entry->aio,
		  __entry->ret)
);

#define DEFINE_DIO_RW_EVENT(name)					\
DEFINE_EVENT(rust_ext2_dio_class, name,					\
	TP_PROTO(const struct rust_mpage_direct_request *request),	\
	TP_ARGS(request))
DEFINE_DIO_RW_EVENT(rust_ext2_dio_write_begin);
DEFINE_DIO_RW_EVENT(rust_ext2_dio_write_end);
DEFINE_DIO_RW_EVENT(rust_ext2_dio_write_buff_end);
DEFINE_DIO_RW_EVENT(rust_ext2_dio_read_begin);
DEFINE_DIO_RW_EVENT(rust_ext2_dio_read_end);

/* What has been written is the request's count. */
TRACE_EVENT(rust_ext2_dio_write_endio,
	TP_PROTO(const struct rust_mpage_direct_request *request),
	TP_ARGS(request),
	TP_STRUCT__entry(
		__field(dev_t,	dev)
		__field(u64,	ino)
		__field(loff_t, isize)
		__field(loff_t, pos)
		__field(ssize_t, size)
		__field(int,	ki_flags)
		__field(bool,	aio)
		__field(int,	ret)
	),
	TP_fast_assign(
		__entry->dev = request->inode->i_sb->s_dev;
		__entry->ino = request->inode->i_ino;
		__entry->isize = request->inode->i_size;
		__entry->pos = request->pos;
		__entry->size = request->count;
		__entry->ki_flags = request->ki_flags;
		__entry->aio = request->aio;
		__entry->ret = request->ret;
	),
	TP_printk("dev %d:%d ino 0x%llx isize 0x%llx pos 0x%llx len %zd flags %s aio %d ret %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  __entry->ino,
		  __entry->isize,
		  __entry->pos,
		  __entry->size,
		  __print_flags(__entry->ki_flags, "|", TRACE_IOCB_STRINGS),
		  __entry->aio,
		  __entry->ret)
);

#endif /* RUST_MPAGE_EXT2_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE ext2_trace
#include <trace/define_trace.h>
