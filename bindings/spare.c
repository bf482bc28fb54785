// SPDX-License-Identifier: GPL-2.0
/*
 * The lists of who has memory that can be done without: one for each cgroup and node, so
 * that a cgroup that wants memory gets its own back. Not in a file of helpers: those may be
 * compiled twice, and there is one set of lists.
 *
 * An object is in the list of the cgroup that it is charged to, and in that of all. The
 * lock makes it both or none: it is held for the question, too, so that who has given up
 * what it has is in no list when somebody else finds that it is gone.
 */

#include <linux/export.h>
#include <linux/list_lru.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "spare.h"

static DEFINE_SPINLOCK(lock);
static LIST_HEAD(all);
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

void rust_mpage_spare_init(struct rust_mpage_spare_item *item)
{
	INIT_LIST_HEAD(&item->of_cgroup);
	INIT_LIST_HEAD(&item->of_all);
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_init);

bool rust_mpage_spare_add(struct rust_mpage_spare_item *item)
{
	bool is_new;

	spin_lock(&lock);
	is_new = list_lru_add_obj(&lists, &item->of_cgroup);
	if (is_new)
		list_add_tail(&item->of_all, &all);
	spin_unlock(&lock);
	return is_new;
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_add);

static bool take_out(struct rust_mpage_spare_item *item)
{
	list_del_init(&item->of_all);
	return list_lru_del_obj(&lists, &item->of_cgroup);
}

bool rust_mpage_spare_del(struct rust_mpage_spare_item *item)
{
	bool was_in;

	spin_lock(&lock);
	was_in = take_out(item);
	spin_unlock(&lock);
	return was_in;
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_del);

unsigned long rust_mpage_spare_count(struct shrink_control *control)
{
	return control ? list_lru_shrink_count(&lists, control) : list_lru_count(&lists);
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_count);

struct asking {
	bool (*gives)(struct rust_mpage_spare_item *item, void *argument);
	void *argument;
	/* How many may be asked still; 0 ends the walk */
	unsigned long to_walk;
	unsigned long left;
	struct rust_mpage_spare_item *gave;
};

static enum lru_status ask(struct list_head *of_cgroup, struct list_lru_one *list,
			   void *argument)
{
	struct asking *asking = argument;
	struct rust_mpage_spare_item *item =
		container_of(of_cgroup, struct rust_mpage_spare_item, of_cgroup);

	if (!asking->gives(item, asking->argument))
		return LRU_ROTATE;
	list_lru_isolate(list, of_cgroup);
	list_del_init(&item->of_all);
	asking->gave = item;
	asking->left = asking->to_walk;
	asking->to_walk = 0;
	return LRU_REMOVED;
}

static void ask_a_cgroup(struct asking *asking, struct shrink_control *control)
{
	unsigned long before;

	/* A walk ends behind the last, and comes round only if there is another */
	do {
		before = asking->to_walk;
		list_lru_walk_one(&lists, control->nid, control->memcg, ask, asking,
				  &asking->to_walk);
	} while (asking->to_walk && asking->to_walk != before);
}

static void ask_all(struct asking *asking)
{
	for (; asking->to_walk && !list_empty(&all); asking->to_walk--) {
		struct rust_mpage_spare_item *item =
			list_first_entry(&all, struct rust_mpage_spare_item, of_all);

		if (asking->gives(item, asking->argument)) {
			take_out(item);
			asking->gave = item;
			asking->left = asking->to_walk - 1;
			return;
		}
		list_move_tail(&item->of_all, &all);
	}
}

struct rust_mpage_spare_item *
rust_mpage_spare_ask(struct shrink_control *control,
		     bool (*gives)(struct rust_mpage_spare_item *item, void *argument),
		     void *argument, unsigned long *left)
{
	struct asking asking = { .gives = gives, .argument = argument, .to_walk = *left };

	spin_lock(&lock);
	if (control)
		ask_a_cgroup(&asking, control);
	else
		ask_all(&asking);
	spin_unlock(&lock);
	*left = asking.left;
	return asking.gave;
}
EXPORT_SYMBOL_GPL(rust_mpage_spare_ask);
