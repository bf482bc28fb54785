// SPDX-License-Identifier: GPL-2.0
/*
 * The lists of who has memory that can be done without: one for each cgroup and node, so
 * that a cgroup that wants memory gets its own back. Not in a file of helpers: those may be
 * compiled twice, and there is one set of lists.
 *
 * An object is in the list of the cgroup that it is charged to.
 */

#include <linux/export.h>
#include <linux/list_lru.h>
#include <linux/nodemask.h>
#include <linux/slab.h>
#include "spare.h"

static struct list_lru lists;
static struct kmem_cache *objects;
static struct shrinker *shrinker;

int rust_mpage_spare_begin(size_t size, size_t align,
			   unsigned long (*count)(struct shrinker *, struct shrink_control *),
			   unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
	int error;

	shrinker = shrinker_alloc(SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE, "rust_mpage-spare");
	if (!shrinker)
		return -ENOMEM;
	error = list_lru_init_memcg(&lists, shrinker);
	if (error)
		goto out_shrinker;
	objects = kmem_cache_create("rust_mpage_spare", size, align, SLAB_ACCOUNT, NULL);
	if (!objects) {
		error = -ENOMEM;
		goto out_lists;
	}
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return 0;

out_lists:
	list_lru_destroy(&lists);
out_shrinker:
	shrinker_free(shrinker);
	return error;
}

void rust_mpage_spare_end(void)
{
	shrinker_free(shrinker);
	kmem_cache_destroy(objects);
	objects = NULL;
	list_lru_destroy(&lists);
}

void *rust_mpage_spare_alloc(void)
{
	/* Has the lists of the cgroup made, too. */
	return objects ? kmem_cache_alloc_lru(objects, &lists, GFP_KERNEL) : NULL;
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_alloc);

void rust_mpage_spare_free(void *object)
{
	kmem_cache_free(objects, object);
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_free);

bool rust_mpage_spare_add(struct list_head *item)
{
	return list_lru_add_obj(&lists, item);
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_add);

bool rust_mpage_spare_del(struct list_head *item)
{
	return list_lru_del_obj(&lists, item);
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_del);

unsigned long rust_mpage_spare_count(struct shrink_control *control)
{
	return control ? list_lru_shrink_count(&lists, control) : list_lru_count(&lists);
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_count);

struct asking {
	bool (*gives)(struct list_head *item, void *argument);
	void *argument;
	/* How many may be asked still; 0 ends the walk */
	unsigned long to_walk;
	unsigned long left;
	struct list_head *gave;
};

static enum lru_status ask(struct list_head *item, struct list_lru_one *list, void *argument)
{
	struct asking *asking = argument;

	if (!asking->gives(item, asking->argument))
		return LRU_ROTATE;
	list_lru_isolate(list, item);
	asking->gave = item;
	asking->left = asking->to_walk;
	asking->to_walk = 0;
	return LRU_REMOVED;
}

struct list_head *rust_mpage_spare_ask(struct shrink_control *control,
				       bool (*gives)(struct list_head *item, void *argument),
				       void *argument, unsigned long *left)
{
	struct asking asking = { .gives = gives, .argument = argument, .to_walk = *left };
	int nid;

	if (control) {
		list_lru_walk_one(&lists, control->nid, control->memcg, ask, &asking,
				  &asking.to_walk);
	} else {
		for_each_node_state(nid, N_NORMAL_MEMORY) {
			list_lru_walk_node(&lists, nid, ask, &asking, &asking.to_walk);
			if (!asking.to_walk)
				break;
		}
	}
	*left = asking.gave ? asking.left : 0;
	return asking.gave;
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_ask);
