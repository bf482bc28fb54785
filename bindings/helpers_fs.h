/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the filesystem wrappers call of the kernel's static inline functions and
 * macros. Each is exactly the inline function in its name, unless it says more.
 */
#ifndef RUST_MPAGE_HELPERS_FS_H
#define RUST_MPAGE_HELPERS_FS_H

#include <linux/buffer_head.h>
#include <linux/exportfs.h>
#include <linux/fiemap.h>
#include <linux/fileattr.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/iversion.h>
#include <linux/pagemap.h>
#include <linux/ratelimit.h>
#include <linux/statfs.h>

static const fmode_t RUST_MPAGE_FMODE_CAN_ODIRECT = FMODE_CAN_ODIRECT;
static const fmode_t RUST_MPAGE_FMODE_WRITE = FMODE_WRITE;
static const fmode_t RUST_MPAGE_FMODE_NOWAIT = FMODE_NOWAIT;
static const fop_flags_t RUST_MPAGE_FOP_BUFFER_RASYNC = FOP_BUFFER_RASYNC;
static const fop_flags_t RUST_MPAGE_FOP_DONTCACHE = FOP_DONTCACHE;
static const int RUST_MPAGE_IOCB_NOWAIT = IOCB_NOWAIT;
static const int RUST_MPAGE_IOCB_DONTCACHE = IOCB_DONTCACHE;
static const int RUST_MPAGE_IOCB_DSYNC = IOCB_DSYNC;
static const unsigned int RUST_MPAGE_O_LARGEFILE = O_LARGEFILE;
static const unsigned long RUST_MPAGE_SB_RDONLY = SB_RDONLY;
static const unsigned long RUST_MPAGE_SB_SILENT = SB_SILENT;
static const unsigned long RUST_MPAGE_SB_SYNCHRONOUS = SB_SYNCHRONOUS;
static const unsigned long RUST_MPAGE_SB_DIRSYNC = SB_DIRSYNC;
static const int RUST_MPAGE_CAP_SYS_ADMIN = CAP_SYS_ADMIN;
static const int RUST_MPAGE_CAP_SYS_RESOURCE = CAP_SYS_RESOURCE;

/* A cache of inodes with @size bytes around each; @ctor calls inode_init_once() */
struct kmem_cache *rust_mpage_helper_inode_cache_create(const char *name,
							unsigned int size,
							unsigned int align,
							void (*ctor)(void *));
void *rust_mpage_helper_alloc_inode_sb(struct super_block *sb,
				       struct kmem_cache *cache);

/* A reference to the module of a type of filesystems, for who has one; and back */
void rust_mpage_helper_get_fs_module(struct file_system_type *type);
void rust_mpage_helper_put_fs_module(struct file_system_type *type);

void rust_mpage_helper_i_uid_write(struct inode *inode, uid_t uid);
void rust_mpage_helper_i_gid_write(struct inode *inode, gid_t gid);
void rust_mpage_helper_inode_lock(struct inode *inode);
void rust_mpage_helper_inode_unlock(struct inode *inode);
void rust_mpage_helper_inode_lock_shared(struct inode *inode);
bool rust_mpage_helper_inode_trylock_shared(struct inode *inode);
void rust_mpage_helper_inode_unlock_shared(struct inode *inode);

/* fs_parse(), with those members of the result that have 32 bits */
int rust_mpage_helper_fs_parse(struct fs_context *fc,
			       const struct fs_parameter_spec *desc,
			       struct fs_parameter *param, bool *negated,
			       u32 *value);

/* Identifiers in the initial user namespace */
uid_t rust_mpage_helper_make_kuid(uid_t uid);
gid_t rust_mpage_helper_make_kgid(gid_t gid);
uid_t rust_mpage_helper_from_kuid_munged(uid_t kuid);
gid_t rust_mpage_helper_from_kgid_munged(gid_t kgid);

bool rust_mpage_helper_dir_emit(struct dir_context *ctx, const char *name,
				int namelen, u64 ino, unsigned int type);

void *rust_mpage_helper_folio_address(const struct folio *folio);
/* The one with this page, if it is in memory and valid: nobody waits */
struct folio *rust_mpage_helper_get_uptodate_folio(struct address_space *mapping,
						   pgoff_t index);

void rust_mpage_helper_mapping_set_large_folios(struct address_space *mapping);

void rust_mpage_helper_ratelimit_default_init(struct ratelimit_state *rs);

/* Buffers */
struct buffer_head *rust_mpage_helper_sb_getblk(struct super_block *sb,
						sector_t block);
bool rust_mpage_helper_sb_is_cached(struct super_block *sb, sector_t block);
/* But not over a buffer whose write has failed, or that is dirty */
void rust_mpage_helper_sb_breadahead(struct super_block *sb, sector_t block);
void rust_mpage_helper_get_bh(struct buffer_head *bh);
void rust_mpage_helper_lock_buffer(struct buffer_head *bh);
void rust_mpage_helper_set_buffer_uptodate(struct buffer_head *bh);
void rust_mpage_helper_mark_buffer_dirty(struct buffer_head *bh);
bool rust_mpage_helper_buffer_uptodate(struct buffer_head *bh);
bool rust_mpage_helper_buffer_dirty(struct buffer_head *bh);
bool rust_mpage_helper_buffer_write_io_error(struct buffer_head *bh);
/* For a caller that waits later */
void rust_mpage_helper_write_dirty_buffer(struct buffer_head *bh);
struct buffer_head *rust_mpage_helper_sb_find_get_block(struct super_block *sb,
							sector_t block);
/* It is read when it is asked for next, unless it is dirty */
void rust_mpage_helper_forget_cached_block(struct super_block *sb,
					   sector_t block);
/* What ext2_clear_super_error() does; whether there was an error */
bool rust_mpage_helper_clear_buffer_write_error(struct buffer_head *bh);

/* Inodes */
uid_t rust_mpage_helper_i_uid_read(struct inode *inode);
gid_t rust_mpage_helper_i_gid_read(struct inode *inode);
void rust_mpage_helper_i_size_write(struct inode *inode, loff_t size);
void rust_mpage_helper_inode_inc_iversion(struct inode *inode);
void rust_mpage_helper_set_inode_metadata_writeback(struct inode *inode);
/* inode_set_mtime_to_ts() to what inode_set_ctime_current() says */
void rust_mpage_helper_set_mtime_and_ctime_current(struct inode *inode);
/* inode_set_ctime_to_ts() to the ctime of @other */
void rust_mpage_helper_set_ctime_of(struct inode *inode,
				    const struct inode *other);
/* inode_init_owner() in a filesystem without idmapped mounts */
void rust_mpage_helper_inode_init_owner(struct inode *inode,
					const struct inode *dir, umode_t mode);
/* The same with the semantics of BSD: the group is the directory's */
void rust_mpage_helper_inode_init_owner_bsd(struct inode *inode,
					    const struct inode *dir,
					    umode_t mode);
void rust_mpage_helper_filemap_invalidate_lock(struct address_space *mapping);
bool rust_mpage_helper_mapping_maybe_pinned(struct address_space *mapping);
void rust_mpage_helper_filemap_invalidate_unlock(struct address_space *mapping);

void rust_mpage_helper_mark_inode_dirty(struct inode *inode);
u32 rust_mpage_helper_inode_state(struct inode *inode);

/* The current task */
uid_t rust_mpage_helper_current_fsuid(void);
bool rust_mpage_helper_in_group_p(gid_t kgid);
u32 rust_mpage_helper_current_pid(void);
bool rust_mpage_helper_test_and_clear_bit_le(int nr, void *bits);

/* Files */
bool rust_mpage_helper_fileattr_has_fsx(const struct file_kattr *fa);
u32 rust_mpage_helper_fileattr_flags(const struct file_kattr *fa);
int rust_mpage_helper_finish_open_simple(struct file *file);
struct mnt_idmap *rust_mpage_helper_file_mnt_idmap(const struct file *file);
/* The pointer that programs of 32 bits mean; without them any number */
unsigned long rust_mpage_helper_compat_ptr(unsigned long argument);

/* What generic_perform_write() does around copy_folio_from_iter_atomic() */
size_t rust_mpage_helper_copy_from_iter(struct folio *folio, size_t offset,
					size_t bytes, struct iov_iter *iter);
bool rust_mpage_helper_fatal_signal_pending(void);
void rust_mpage_helper_cond_resched(void);
ssize_t rust_mpage_helper_generic_write_sync(struct kiocb *iocb, ssize_t count);
size_t rust_mpage_helper_iov_iter_count(struct iov_iter *iter);
bool rust_mpage_helper_capable(int capability);

/* Those of some pages that are not in the cache; without what a struct file knows */
void rust_mpage_helper_read_ahead(struct address_space *mapping, pgoff_t index,
				  unsigned long count);

/* Memory that can be done without */
void *rust_mpage_helper_spare_zalloc(size_t size);
size_t rust_mpage_helper_totalram_bytes(void);
u64 rust_mpage_helper_siphash(const void *data, size_t len, u64 first, u64 second);

#endif /* RUST_MPAGE_HELPERS_FS_H */
