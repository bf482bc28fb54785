/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who looks at an inode without a reference, and who evicts it, in visits.c.
 */
#ifndef RUST_MPAGE_VISITS_H
#define RUST_MPAGE_VISITS_H

#include <linux/fs.h>

/* The visits of an inode. Changes with i_lock held. */
struct rust_mpage_visits {
	u32 count;
	/* It has been evicted by who visits it, or another: the last one ends it */
	bool is_late;
};

/* A task that visits an inode, on its stack. */
struct rust_mpage_visitor {
	struct list_head list;
	struct task_struct *task;
};

/* Counts a visit, if nobody has begun to evict the inode */
bool rust_mpage_begin_visit(struct inode *inode, struct rust_mpage_visits *visits);
/* Goes on with a visit that has been counted. May sleep from here on */
void rust_mpage_enter_visit(struct rust_mpage_visitor *visitor);
/* Whether that was the last visit of an inode which is late */
bool rust_mpage_end_visit(struct inode *inode, struct rust_mpage_visits *visits,
			  struct rust_mpage_visitor *visitor);
/* Whether the current task visits any inode */
bool rust_mpage_is_visiting(void);
/* Tells lockdep that visits are waited for; who visits must not do that */
void rust_mpage_may_wait_for_visits(void);
/* But who does, does not wait */
void rust_mpage_wait_for_visits(struct inode *inode, struct rust_mpage_visits *visits);
/* Whether there are visits still: the inode is late then */
bool rust_mpage_is_visited_still(struct inode *inode, struct rust_mpage_visits *visits);

#endif /* RUST_MPAGE_VISITS_H */
