// SPDX-License-Identifier: GPL-2.0
/*
 * Who looks at an inode without a reference, and who evicts it. Not in a file of
 * helpers: those may be compiled twice, and there is one list.
 *
 * Who evicts an inode waits for its visits. Who visits one and evicts this or
 * another would wait for itself, or for who waits for it: lockdep says so, and
 * that one does not wait, but what it evicts stays until the last visit ends.
 */

#include <linux/export.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>
#include "visits.h"

static LIST_HEAD(all_visitors);
static DEFINE_SPINLOCK(visitors_lock);

#ifdef CONFIG_LOCKDEP
static struct lockdep_map visits_map = STATIC_LOCKDEP_MAP_INIT("fs_visits", &visits_map);
#endif

bool rust_mpage_begin_visit(struct inode *inode, struct rust_mpage_visits *visits)
{
	bool stays;

	spin_lock(&inode->i_lock);
	stays = !(inode_state_read(inode) & I_FREEING);
	visits->count += stays;
	spin_unlock(&inode->i_lock);
	return stays;
}
EXPORT_SYMBOL_GPL(rust_mpage_begin_visit);

void rust_mpage_enter_visit(struct rust_mpage_visitor *visitor)
{
	visitor->task = current;
	spin_lock(&visitors_lock);
	list_add(&visitor->list, &all_visitors);
	spin_unlock(&visitors_lock);
	lock_map_acquire_read(&visits_map);
}
EXPORT_SYMBOL_GPL(rust_mpage_enter_visit);

bool rust_mpage_end_visit(struct inode *inode, struct rust_mpage_visits *visits,
			  struct rust_mpage_visitor *visitor)
{
	bool is_last;

	lock_map_release(&visits_map);
	spin_lock(&visitors_lock);
	list_del(&visitor->list);
	spin_unlock(&visitors_lock);

	spin_lock(&inode->i_lock);
	is_last = !--visits->count;
	if (is_last)
		wake_up_var_locked(visits, &inode->i_lock);
	is_last &= visits->is_late;
	spin_unlock(&inode->i_lock);
	return is_last;
}
EXPORT_SYMBOL_GPL(rust_mpage_end_visit);

bool rust_mpage_is_visiting(void)
{
	const struct rust_mpage_visitor *one;
	bool found = false;

	/* The own entry is seen without a lock. */
	if (list_empty(&all_visitors))
		return false;
	spin_lock(&visitors_lock);
	list_for_each_entry(one, &all_visitors, list)
		found |= one->task == current;
	spin_unlock(&visitors_lock);
	return found;
}
EXPORT_SYMBOL_GPL(rust_mpage_is_visiting);

void rust_mpage_may_wait_for_visits(void)
{
	lock_map_acquire(&visits_map);
	lock_map_release(&visits_map);
}
EXPORT_SYMBOL_GPL(rust_mpage_may_wait_for_visits);

void rust_mpage_wait_for_visits(struct inode *inode, struct rust_mpage_visits *visits)
{
	if (rust_mpage_is_visiting())
		return;
	spin_lock(&inode->i_lock);
	wait_var_event_spinlock(visits, !visits->count, &inode->i_lock);
	spin_unlock(&inode->i_lock);
}
EXPORT_SYMBOL_GPL(rust_mpage_wait_for_visits);

bool rust_mpage_is_visited_still(struct inode *inode, struct rust_mpage_visits *visits)
{
	/* Nobody begins a visit any more. */
	if (!READ_ONCE(visits->count))
		return false;
	spin_lock(&inode->i_lock);
	visits->is_late = visits->count;
	spin_unlock(&inode->i_lock);
	return visits->is_late;
}
EXPORT_SYMBOL_GPL(rust_mpage_is_visited_still);
