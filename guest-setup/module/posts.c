// SPDX-License-Identifier: GPL-2.0-only
/*
 * Posts: writes and frees that nobody waits for, in one order.
 *
 * Owns the posts ring, the staging slots, the notes of what was posted, and the
 * notes of pages that are to be freed.
 *
 * Invariants, under posts.lock:
 *  - retired <= tail <= head as differences, and head - retired + reserved is at
 *    most the number of places: no note of a slot that is not free is lost;
 *  - a slot is in free_slots, or somebody fills it (reserved), or a post from
 *    retired on names it, or it is only pinned by a reader;
 *  - a bucket is a chain of positions, each older than the one before, that ends
 *    with the first that is not open; so nothing has to be taken out of it;
 *  - nothing is posted for pages of an exclusion.
 *
 * Contexts: anything.  swap_slot_free_notify calls vmswap_free_note() with locks
 * of swap held; the end of an exclusion comes from the interrupt.
 */

#include <linux/bitmap.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>

#include "vmswap.h"

#define VMSWAP_PIN_DONE BIT(31)
/* What is retired at a time, so that nobody holds the lock for long. */
#define VMSWAP_RETIRE_BATCH 128
/* Notes of frees are for so many pages at least, and at most. */
#define VMSWAP_FREED_MIN BIT_ULL(20)
#define VMSWAP_FREED_MAX BIT_ULL(26)
/* What one post frees. */
#define VMSWAP_FREED_RUN 1024u

static u32 posts_places(const struct vmswap_posts *posts)
{
	return posts->mask + 1;
}

/* Loads post_tail; the host's word, so it is checked. */
static void tail_load_locked(struct vmswap_device *dev)
{
	struct vmswap_posts *posts = &dev->posts;
	u32 tail = vmswap_acquire32(&dev->region.header->post_tail);

	if (tail - posts->tail > posts->head - posts->tail)
		vmswap_broken(dev, "post_tail is not between its last value and post_head");
	else
		posts->tail = tail;
}

static void slot_free_locked(struct vmswap_posts *posts, u32 slot)
{
	if (posts->pins[slot])
		posts->pins[slot] |= VMSWAP_PIN_DONE;
	else
		posts->free_slots[posts->free_count++] = slot;
}

static bool place_is_free_locked(const struct vmswap_posts *posts)
{
	return posts->head - posts->retired + posts->reserved <
	       posts_places(posts);
}

/* Frees slots of posts that are done, at least until there is a slot. */
static void retire_locked(struct vmswap_device *dev)
{
	struct vmswap_posts *posts = &dev->posts;
	unsigned int n = 0;

	tail_load_locked(dev);
	while (posts->retired != posts->tail &&
	       (n++ < VMSWAP_RETIRE_BATCH || !posts->free_count ||
		!place_is_free_locked(posts))) {
		const struct vmswap_note *note;

		note = &posts->notes[posts->retired & posts->mask];
		if (note->op == VMSWAP_POST_WRITE)
			slot_free_locked(posts, note->arg);
		posts->retired++;
	}
}

/* Asks to be told when post_tail moves on, and looks once more. */
static void room_arm_locked(struct vmswap_device *dev)
{
	struct vmswap_posts *posts = &dev->posts;
	u32 some = (posts->head - posts->tail) / 8;

	vmswap_write32(&dev->region.header->tail_event, posts->tail + some);
	virt_mb(); /* the event before the second look: pairs with the host's */
	retire_locked(dev);
}

static u32 *bucket_of(struct vmswap_posts *posts, u64 page)
{
	return &posts->buckets[hash_64(page, posts->bucket_bits)];
}

/* The newest open post of a page: its note, or NULL. */
static const struct vmswap_note *post_find_locked(struct vmswap_posts *posts,
						  u64 page)
{
	u32 open = posts->head - posts->tail;
	u32 at = *bucket_of(posts, page);

	while (at - posts->tail < open) {
		const struct vmswap_note *note = &posts->notes[at & posts->mask];

		if (note->page == page)
			return note;
		open = at - posts->tail;
		at = note->older;
	}
	return NULL;
}

static bool excluded_locked(const struct vmswap_device *dev, u64 page,
			    u32 count)
{
	const struct vmswap_posts *posts = &dev->posts;
	u32 i;

	if (!posts->exclusions_open)
		return false;
	for (i = 0; i < dev->requests.count; i++) {
		const struct vmswap_exclusion *other = &posts->exclusions[i];

		if (other->count && page < other->page + other->count &&
		    other->page < page + count)
			return true;
	}
	return false;
}

static void freed_forget_locked(struct vmswap_posts *posts, u64 page)
{
	if (posts->freed_count && page < posts->freed_bits &&
	    __test_and_clear_bit(page, posts->freed))
		posts->freed_count--;
}

static void freed_note_locked(struct vmswap_device *dev, u64 page)
{
	struct vmswap_posts *posts = &dev->posts;

	if (page >= posts->freed_bits) {
		vmswap_count(dev, VMSWAP_FREES_GIVEN_UP);
		return;
	}
	if (!__test_and_set_bit(page, posts->freed))
		posts->freed_count++;
	vmswap_count(dev, VMSWAP_FREES_NOTED);
}

/* A range is in no bucket: what freed pages read as is nobody's business. */
static void post_note_locked(struct vmswap_posts *posts, u8 op, u64 page,
			     u32 arg)
{
	struct vmswap_note *note = &posts->notes[posts->head & posts->mask];
	u32 *bucket = bucket_of(posts, page);

	note->op = op;
	note->arg = arg;
	note->page = page;
	if (op == VMSWAP_POST_FREE && arg != 1) {
		note->page = VMSWAP_RING_NO_PAGE;
		return;
	}
	note->older = *bucket;
	*bucket = posts->head;
}

static void post_locked(struct vmswap_device *dev, u8 op, u64 page, u32 arg)
{
	struct vmswap_posts *posts = &dev->posts;
	struct vmswap_ring_post post = {
		.page = cpu_to_le64(page),
		.arg = cpu_to_le32(arg),
		.op = op,
	};

	dev->region.posts[posts->head & posts->mask] = post;
	post_note_locked(posts, op, page, arg);
	posts->head++;
	vmswap_release32(&dev->region.header->post_head, posts->head);
}

/* After a post, the last one before position now. */
static void post_notify(struct vmswap_device *dev, u32 now)
{
	u32 event;

	virt_mb(); /* post_head before the event: pairs with a host's falling asleep */
	event = vmswap_read32(&dev->region.header->post_event);
	if (vmswap_ring_need_event(event, now, now - 1))
		vmswap_ring_host(dev);
}

/*
 * A free slot, and a place to post it: the slot, or -EAGAIN (none, or the host is
 * not there), -ENOSPC (nothing may be posted), -EIO.
 */
int vmswap_slot_take(struct vmswap_device *dev)
{
	struct vmswap_posts *posts = &dev->posts;
	unsigned long flags;
	int result;

	spin_lock_irqsave(&posts->lock, flags);
	result = vmswap_gate_locked(dev);
	if (result)
		goto out;
	result = -ENOSPC;
	if (vmswap_host_full(dev))
		goto out;
	retire_locked(dev);
	if (!posts->free_count || !place_is_free_locked(posts))
		room_arm_locked(dev);
	result = -EAGAIN;
	if (posts->free_count && place_is_free_locked(posts)) {
		result = posts->free_slots[--posts->free_count];
		posts->reserved++;
	}
out:
	spin_unlock_irqrestore(&posts->lock, flags);
	return result;
}

u8 *vmswap_slot_page(struct vmswap_device *dev, u32 slot)
{
	return dev->region.slots + (size_t)slot * VMSWAP_PAGE;
}

/* A slot that was taken, and not posted. */
void vmswap_slot_return(struct vmswap_device *dev, u32 slot)
{
	struct vmswap_posts *posts = &dev->posts;
	unsigned long flags;

	spin_lock_irqsave(&posts->lock, flags);
	posts->reserved--;
	slot_free_locked(posts, slot);
	spin_unlock_irqrestore(&posts->lock, flags);
	wake_up(&posts->room);
}

/* Is the page one 32-bit value, again and again? */
static bool page_is_filled(const u8 *page, u32 *value)
{
	const u64 *words = (const u64 *)page;
	u64 first = READ_ONCE(words[0]);
	unsigned int i;

	if ((u32)first != (u32)(first >> 32))
		return false;
	for (i = 1; i < VMSWAP_PAGE / sizeof(u64); i++)
		if (words[i] != first)
			return false;
	*value = (u32)first;
	return true;
}

/* What a slot is posted as; FILL gives the slot back at once. */
static void slot_post_locked(struct vmswap_device *dev, u64 page, u32 slot,
			     bool filled, u32 value)
{
	struct vmswap_posts *posts = &dev->posts;

	posts->reserved--;
	freed_forget_locked(posts, page);
	if (filled) {
		slot_free_locked(posts, slot);
		/* The value as bytes in memory are: the ring is little endian. */
		post_locked(dev, VMSWAP_POST_FILL, page, value);
		vmswap_count(dev, VMSWAP_WRITES_FILLED);
	} else {
		post_locked(dev, VMSWAP_POST_WRITE, page, slot);
		vmswap_count(dev, VMSWAP_WRITES_POSTED);
	}
}

/*
 * Posts a slot that was filled: 0, or what vmswap_slot_take() says.  The slot is
 * the caller's until 0.
 */
int vmswap_slot_post(struct vmswap_device *dev, u64 page, u32 slot)
{
	struct vmswap_posts *posts = &dev->posts;
	u32 value = 0;
	bool filled = dev->features & VMSWAP_RING_FEATURE_FILL &&
		      page_is_filled(vmswap_slot_page(dev, slot), &value);
	unsigned long flags;
	int result;
	u32 now;

	spin_lock_irqsave(&posts->lock, flags);
	result = vmswap_gate_locked(dev);
	if (!result && vmswap_host_full(dev))
		result = -ENOSPC;
	if (!result && excluded_locked(dev, page, 1))
		result = -EAGAIN;
	if (!result)
		slot_post_locked(dev, page, slot, filled,
				 le32_to_cpu((__force __le32)value));
	now = posts->head;
	spin_unlock_irqrestore(&posts->lock, flags);
	if (!result)
		post_notify(dev, now);
	return result;
}

/*
 * Frees pages, in the order of posts: 0, -EAGAIN, -EIO, or -ENOSPC: posts are
 * stuck, a request is needed.
 */
int vmswap_free_post(struct vmswap_device *dev, u64 page, u32 count)
{
	struct vmswap_posts *posts = &dev->posts;
	unsigned long flags;
	int result;
	u32 now;

	spin_lock_irqsave(&posts->lock, flags);
	result = vmswap_gate_locked(dev);
	if (!result && excluded_locked(dev, page, count))
		result = -EAGAIN;
	if (!result) {
		retire_locked(dev);
		if (!place_is_free_locked(posts))
			room_arm_locked(dev);
		if (place_is_free_locked(posts))
			post_locked(dev, VMSWAP_POST_FREE, page, count);
		else
			result = vmswap_host_full(dev) ? -ENOSPC : -EAGAIN;
	}
	now = posts->head;
	spin_unlock_irqrestore(&posts->lock, flags);
	if (!result)
		post_notify(dev, now);
	return result;
}

/*
 * Swap no longer needs a page.  Posted at once while there is plenty of room, so
 * that frees never keep writes waiting; else noted, and posted in runs later.
 * The doorbell is rung under the lock: a device that goes away takes that lock,
 * and this is the one caller that nothing else keeps out by then.
 */
void vmswap_free_note(struct vmswap_device *dev, u64 page)
{
	struct vmswap_posts *posts = &dev->posts;
	unsigned long flags;

	spin_lock_irqsave(&posts->lock, flags);
	if (dev->state == VMSWAP_DEAD || dev->state == VMSWAP_REMOVED ||
	    page >= dev->pages)
		goto out;
	if (posts->head - posts->retired >= posts_places(posts) / 2)
		retire_locked(dev);
	if (!posts->freed_count &&
	    posts->head - posts->retired < posts_places(posts) / 2 &&
	    place_is_free_locked(posts) && !vmswap_gate_locked(dev) &&
	    !excluded_locked(dev, page, 1)) {
		post_locked(dev, VMSWAP_POST_FREE, page, 1);
		vmswap_count(dev, VMSWAP_FREES_POSTED);
		post_notify(dev, posts->head);
	} else {
		freed_note_locked(dev, page);
		if (dev->state == VMSWAP_LIVE)
			queue_work(dev->queue, &dev->frees);
	}
out:
	spin_unlock_irqrestore(&posts->lock, flags);
}

/* The run of notes at a page: taken, and its length. */
static u32 freed_take_locked(struct vmswap_posts *posts, u64 page)
{
	u32 count = 0;

	while (count < VMSWAP_FREED_RUN && page + count < posts->freed_bits &&
	       __test_and_clear_bit(page + count, posts->freed))
		count++;
	posts->freed_count -= count;
	return count;
}

static void freed_put_locked(struct vmswap_posts *posts, u64 page, u32 count)
{
	bitmap_set(posts->freed, page, count);
	posts->freed_count += count;
}

/* Posts one run of notes: 1, 0 if there is none, or an error. */
static int freed_post(struct vmswap_device *dev)
{
	struct vmswap_posts *posts = &dev->posts;
	unsigned long flags;
	int result = 0;
	u32 count, now;
	u64 page;

	/* A look without the lock; what it finds is taken with it. */
	page = find_next_bit(posts->freed, posts->freed_bits, posts->freed_at);
	if (page >= posts->freed_bits)
		page = find_first_bit(posts->freed, posts->freed_bits);
	if (page >= posts->freed_bits)
		return 0;
	spin_lock_irqsave(&posts->lock, flags);
	result = vmswap_gate_locked(dev);
	if (result)
		goto out;
	retire_locked(dev);
	/* As in vmswap_free_note(): half of the places are for writes. */
	result = -EAGAIN;
	if (posts->head - posts->retired >= posts_places(posts) / 2)
		room_arm_locked(dev);
	if (posts->head - posts->retired >= posts_places(posts) / 2 ||
	    !place_is_free_locked(posts)) {
		if (vmswap_host_full(dev))
			result = -ENOSPC;
		goto out;
	}
	result = 1;
	count = freed_take_locked(posts, page);
	posts->freed_at = page + count;
	if (!count)
		goto out;
	if (excluded_locked(dev, page, count)) {
		freed_put_locked(posts, page, count);
		result = -EAGAIN;
		goto out;
	}
	post_locked(dev, VMSWAP_POST_FREE, page, count);
	now = posts->head;
	spin_unlock_irqrestore(&posts->lock, flags);
	this_cpu_add(dev->counters->values[VMSWAP_FREES_POSTED], count);
	post_notify(dev, now);
	return 1;
out:
	spin_unlock_irqrestore(&posts->lock, flags);
	return result;
}

/* Publishes a request that keeps everybody else away from its pages. */
static u32 exclusive_publish_locked(struct vmswap_device *dev, u32 tag, u8 op,
				    u64 page, u32 count)
{
	struct vmswap_posts *posts = &dev->posts;
	u32 now;

	posts->exclusions[tag].page = page;
	posts->exclusions[tag].count = count;
	posts->exclusions_open++;
	spin_lock(&dev->requests.lock);
	now = vmswap_request_publish_locked(dev, tag, op, 0, page, count,
					    posts->head);
	spin_unlock(&dev->requests.lock);
	return now;
}

/* The same for a run of notes: 1, 0 if there is none, or an error. */
static int freed_publish(struct vmswap_device *dev, u32 tag, u32 *now)
{
	struct vmswap_posts *posts = &dev->posts;
	unsigned long flags;
	u32 count = 0;
	int result;
	u64 page;

	spin_lock_irqsave(&posts->lock, flags);
	result = vmswap_gate_locked(dev);
	if (result)
		goto out;
	page = find_next_bit(posts->freed, posts->freed_bits, posts->freed_at);
	if (page < posts->freed_bits)
		count = freed_take_locked(posts, page);
	posts->freed_at = count ? page + count : 0;
	if (!count)
		goto out;
	result = 1;
	if (excluded_locked(dev, page, count)) {
		freed_put_locked(posts, page, count);
		result = -EAGAIN;
	} else {
		*now = exclusive_publish_locked(dev, tag,
						VMSWAP_REQUEST_DISCARD, page,
						count);
	}
out:
	spin_unlock_irqrestore(&posts->lock, flags);
	return result;
}

/* Posts are stuck: a run of notes goes as a request that nobody waits for. */
static int freed_request(struct vmswap_device *dev)
{
	int tag, result;
	u32 now;

	tag = vmswap_tag_take(dev);
	if (tag < 0)
		return tag;
	result = freed_publish(dev, tag, &now);
	if (result <= 0) {
		vmswap_tag_return(dev, tag);
		return result;
	}
	vmswap_count(dev, VMSWAP_DISCARDS_REQUESTED);
	vmswap_submit_notify(dev, now);
	vmswap_results_arm(dev, VMSWAP_ARM_TRIES);
	return 1;
}

/* Sends what was noted, as far as there is room. */
void vmswap_frees_work(struct work_struct *work)
{
	struct vmswap_device *dev =
		container_of(work, struct vmswap_device, frees);
	int result;

	do {
		result = freed_post(dev);
		if (result == -ENOSPC)
			result = freed_request(dev);
		cond_resched();
	} while (result > 0);
}

static void unpin(struct vmswap_posts *posts, u32 slot)
{
	bool freed = false;
	unsigned long flags;

	spin_lock_irqsave(&posts->lock, flags);
	if (--posts->pins[slot] == VMSWAP_PIN_DONE) {
		posts->pins[slot] = 0;
		slot_free_locked(posts, slot);
		freed = true;
	}
	spin_unlock_irqrestore(&posts->lock, flags);
	if (freed)
		wake_up(&posts->room);
}

/*
 * Serves a read from the newest open post of its page, if there is one.  When it
 * says no, what the host has is as new as any post that was done.
 */
bool vmswap_staging_read(struct vmswap_device *dev, u64 page, struct bio *bio,
			 struct bvec_iter iter)
{
	struct vmswap_posts *posts = &dev->posts;
	const struct vmswap_note *note;
	unsigned long flags;
	u32 arg = 0;
	u8 op = 0;

	spin_lock_irqsave(&posts->lock, flags);
	tail_load_locked(dev);
	note = post_find_locked(posts, page);
	if (note) {
		op = note->op;
		arg = note->arg;
		if (op == VMSWAP_POST_WRITE)
			posts->pins[arg]++;
	}
	spin_unlock_irqrestore(&posts->lock, flags);
	switch (op) {
	case VMSWAP_POST_WRITE:
		vmswap_block_store(bio, iter, vmswap_slot_page(dev, arg));
		unpin(posts, arg);
		break;
	case VMSWAP_POST_FILL:
		vmswap_block_fill(bio, iter,
				  (__force u32)cpu_to_le32(arg));
		break;
	case VMSWAP_POST_FREE:
		vmswap_block_fill(bio, iter, 0);
		break;
	default:
		return false;
	}
	vmswap_count(dev, VMSWAP_READS_STAGING);
	return true;
}

/*
 * Publishes a WRITE or DISCARD request, and keeps everybody else away from its
 * pages until vmswap_exclusion_end(): 0, -EAGAIN, -EIO.
 */
int vmswap_exclusive_submit(struct vmswap_device *dev, u32 tag, u8 op,
			    u64 page, u32 count)
{
	struct vmswap_posts *posts = &dev->posts;
	unsigned long flags;
	u32 now = 0;
	int result;

	spin_lock_irqsave(&posts->lock, flags);
	result = vmswap_gate_locked(dev);
	if (!result && excluded_locked(dev, page, count))
		result = -EAGAIN;
	if (!result) {
		if (op == VMSWAP_REQUEST_WRITE)
			freed_forget_locked(posts, page);
		now = exclusive_publish_locked(dev, tag, op, page, count);
	}
	spin_unlock_irqrestore(&posts->lock, flags);
	if (!result)
		vmswap_submit_notify(dev, now);
	return result;
}

void vmswap_exclusion_end(struct vmswap_device *dev, u32 tag)
{
	struct vmswap_posts *posts = &dev->posts;
	unsigned long flags;

	spin_lock_irqsave(&posts->lock, flags);
	if (posts->exclusions[tag].count) {
		posts->exclusions[tag].count = 0;
		posts->exclusions_open--;
	}
	spin_unlock_irqrestore(&posts->lock, flags);
	wake_up(&posts->room);
}

/* Has the host moved on?  Who waits for room is woken, to look himself. */
void vmswap_tail_look(struct vmswap_device *dev)
{
	if (wq_has_sleeper(&dev->posts.room))
		wake_up(&dev->posts.room);
	if (READ_ONCE(dev->posts.freed_count))
		queue_work(dev->queue, &dev->frees);
}

/* Checks post_tail, even if nobody needs it. */
void vmswap_posts_look(struct vmswap_device *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->posts.lock, flags);
	retire_locked(dev);
	spin_unlock_irqrestore(&dev->posts.lock, flags);
}

bool vmswap_posts_idle(struct vmswap_device *dev)
{
	struct vmswap_posts *posts = &dev->posts;
	unsigned long flags;
	bool idle;

	spin_lock_irqsave(&posts->lock, flags);
	retire_locked(dev);
	if (posts->head != posts->tail)
		room_arm_locked(dev);
	idle = posts->head == posts->tail;
	spin_unlock_irqrestore(&posts->lock, flags);
	return idle;
}

/* A new session: posts go on at tail, and no slot is in use. */
void vmswap_posts_start(struct vmswap_device *dev, u32 tail)
{
	struct vmswap_posts *posts = &dev->posts;
	u32 i;

	posts->head = tail;
	posts->tail = tail;
	posts->retired = tail;
	for (i = 0; i < posts_places(posts); i++)
		posts->buckets[i] = tail - 1;
	for (i = 0; i < posts->slots; i++)
		posts->free_slots[i] = posts->slots - 1 - i;
	posts->free_count = posts->slots;
}

int vmswap_posts_init(struct vmswap_device *dev)
{
	struct vmswap_posts *posts = &dev->posts;
	u32 places = vmswap_part_count(dev, VMSWAP_RING_POSTS);
	u32 tags = vmswap_part_count(dev, VMSWAP_RING_REQUESTS);

	spin_lock_init(&posts->lock);
	init_waitqueue_head(&posts->room);
	posts->mask = places - 1;
	posts->bucket_bits = ilog2(places);
	posts->slots = vmswap_part_count(dev, VMSWAP_RING_SLOTS);
	posts->freed_bits = clamp_t(u64, dev->pages, VMSWAP_FREED_MIN,
				    VMSWAP_FREED_MAX);
	posts->notes = kvcalloc(places, sizeof(*posts->notes), GFP_KERNEL);
	posts->buckets = kvcalloc(places, sizeof(*posts->buckets), GFP_KERNEL);
	posts->free_slots = kvcalloc(posts->slots, sizeof(*posts->free_slots),
				     GFP_KERNEL);
	posts->pins = kvcalloc(posts->slots, sizeof(*posts->pins), GFP_KERNEL);
	posts->exclusions = kvcalloc(tags, sizeof(*posts->exclusions),
				     GFP_KERNEL);
	posts->freed = kvcalloc(BITS_TO_LONGS(posts->freed_bits), sizeof(long),
				GFP_KERNEL);
	if (!posts->notes || !posts->buckets || !posts->free_slots ||
	    !posts->pins || !posts->exclusions || !posts->freed)
		return -ENOMEM;
	return 0;
}

void vmswap_posts_exit(struct vmswap_device *dev)
{
	struct vmswap_posts *posts = &dev->posts;

	kvfree(posts->notes);
	kvfree(posts->buckets);
	kvfree(posts->free_slots);
	kvfree(posts->pins);
	kvfree(posts->exclusions);
	kvfree(posts->freed);
}
