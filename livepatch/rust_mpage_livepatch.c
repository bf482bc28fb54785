// SPDX-License-Identifier: GPL-2.0
/*
 * While it is loaded, the running kernel's mpage_readahead(), mpage_read_folio()
 * and __mpage_writepages() are those of rust_mpage.ko, for every filesystem that
 * calls them and for block devices, mounted already or not.
 *
 * To take it back:
 *
 *	echo 0 >/sys/kernel/livepatch/rust_mpage_livepatch/enabled
 *	rmmod rust_mpage_livepatch
 *
 * The two are interchangeable at any moment: neither keeps anything beyond a
 * call but bios, and each ends its own. The kernel moves one task after the other,
 * when it is in none of the functions (Documentation/livepatch/livepatch.rst).
 *
 * "In" is what its stack says: a task that has one of the new functions there is
 * waited for, and both modules stay as long. So these functions have to be on the
 * stack until the last instruction of rust_mpage.ko is done, which those of the
 * library itself need not be: a call at the end of one may be a jump. The project's
 * lint looks at the object.
 */

#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/rust_mpage.h>

/* Something that is left to do after a call, so that the call cannot be a jump. */
#define come_back()	barrier()

static void livepatch_readahead(struct readahead_control *rac,
				get_block_t get_block)
{
	rust_mpage_readahead(rac, get_block);
	come_back();
}

static int livepatch_read_folio(struct folio *folio, get_block_t get_block)
{
	int err = rust_mpage_read_folio(folio, get_block);

	come_back();
	return err;
}

static int livepatch_writepages(struct address_space *mapping,
				struct writeback_control *wbc,
				get_block_t get_block,
				int (*write_folio)(struct folio *folio,
						   struct writeback_control *wbc))
{
	int err = __rust_mpage_writepages(mapping, wbc, get_block, write_folio);

	come_back();
	return err;
}

static struct klp_func functions[] = {
	{
		.old_name = "mpage_readahead",
		.new_func = livepatch_readahead,
	}, {
		.old_name = "mpage_read_folio",
		.new_func = livepatch_read_folio,
	}, {
		.old_name = "__mpage_writepages",
		.new_func = livepatch_writepages,
	}, { }
};

static struct klp_object objects[] = {
	{
		/* no name: vmlinux */
		.funcs = functions,
	}, { }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objects,
};

static int __init rust_mpage_livepatch_init(void)
{
	return klp_enable_patch(&patch);
}

/* Never runs while the patch is enabled: that holds the module. */
static void __exit rust_mpage_livepatch_exit(void)
{
}

module_init(rust_mpage_livepatch_init);
module_exit(rust_mpage_livepatch_exit);
MODULE_AUTHOR("rust_mpage developers");
MODULE_DESCRIPTION("Puts every filesystem on rust_mpage while it is loaded");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
