/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lists of who has memory that can be done without, in spare.c.
 */
#ifndef RUST_MPAGE_SPARE_H
#define RUST_MPAGE_SPARE_H

#include <linux/list.h>
#include <linux/shrinker.h>

/*
 * Begins to give out objects of a size, and has them asked for memory when that is short:
 * their number is @count's to say, and who asks is @scan
 */
int rust_mpage_spare_begin(size_t size, size_t align,
			   unsigned long (*count)(struct shrinker *, struct shrink_control *),
			   unsigned long (*scan)(struct shrinker *, struct shrink_control *));
void rust_mpage_spare_end(void);
/* An object that can be in a list; NULL without memory, and before it has begun */
void *rust_mpage_spare_alloc(void);
void rust_mpage_spare_free(void *object);
/* Puts an object into the list of its cgroup. Whether it was in none */
bool rust_mpage_spare_add(struct list_head *item);
/* Takes it out. Whether it was in */
bool rust_mpage_spare_del(struct list_head *item);
/* How many are in the list that memory is wanted of; in all of them, without @control */
unsigned long rust_mpage_spare_count(struct shrink_control *control);
/*
 * Asks up to @left of these, until @gives says of one that it gives up what it has: it is in no
 * list any more then, and is returned, or NULL. @gives is called with a spinlock held
 */
struct list_head *rust_mpage_spare_ask(struct shrink_control *control,
				       bool (*gives)(struct list_head *item, void *argument),
				       void *argument, unsigned long *left);

#endif /* RUST_MPAGE_SPARE_H */
