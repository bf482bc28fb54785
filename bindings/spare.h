/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lists of who has memory that can be done without, in spare.c.
 */
#ifndef RUST_MPAGE_SPARE_H
#define RUST_MPAGE_SPARE_H

#include <linux/list.h>
#include <linux/shrinker.h>

/* What an object is in the lists with */
struct rust_mpage_spare_item {
	struct list_head of_cgroup;
	struct list_head of_all;
};

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
void rust_mpage_spare_init(struct rust_mpage_spare_item *item);
/* Puts an object into the list of its cgroup, and into that of all. Whether it was in none */
bool rust_mpage_spare_add(struct rust_mpage_spare_item *item);
/* Takes it out. Whether it was in */
bool rust_mpage_spare_del(struct rust_mpage_spare_item *item);
/* How many are in the list that memory is wanted of; in that of all, without @control */
unsigned long rust_mpage_spare_count(struct shrink_control *control);
/*
 * Asks the first of these, who goes to the end then, and so on up to @left times, until
 * @gives says of one that it gives up what it has: it is in no list any more then, and is
 * returned, or NULL. @gives is called with spinlocks held
 */
struct rust_mpage_spare_item *
rust_mpage_spare_ask(struct shrink_control *control,
		     bool (*gives)(struct rust_mpage_spare_item *item, void *argument),
		     void *argument, unsigned long *left);

#endif /* RUST_MPAGE_SPARE_H */
