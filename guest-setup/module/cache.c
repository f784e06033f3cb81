// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cache: pages that the host holds ready, and hints about those that were
 * taken.
 *
 * Owns the hints ring; reads the cache, which is the host's alone.  No lock is
 * needed to read it: the sequence says whether a copy is whole.  hint_lock is
 * only tried: a hint may be lost.
 *
 * Contexts: whoever submits a bio.
 */

#include "vmswap.h"

static void hint_give(struct vmswap_device *dev, u64 page)
{
	u32 places = vmswap_part_count(dev, VMSWAP_RING_HINTS);
	struct vmswap_ring_header *header = dev->region.header;
	unsigned long flags;
	u32 now;

	if (!(dev->features & VMSWAP_RING_FEATURE_HINTS))
		return;
	if (!raw_spin_trylock_irqsave(&dev->hint_lock, flags))
		return;
	WRITE_ONCE(dev->region.hints[dev->hint_head & (places - 1)],
		   cpu_to_le64(page));
	now = ++dev->hint_head;
	vmswap_release32(&header->hint_head, now);
	raw_spin_unlock_irqrestore(&dev->hint_lock, flags);
	if (vmswap_ring_need_event(vmswap_read32(&header->hint_event), now,
				   now - 1))
		vmswap_ring_host(dev);
}

/* Copies a page of the cache, if the entry holds it, all the time. */
static bool entry_read(struct vmswap_device *dev, u32 number, u64 page,
		       struct bio *bio, struct bvec_iter iter)
{
	const struct vmswap_ring_cache_entry *entry =
		&dev->region.cache[number / VMSWAP_RING_CACHE_WAYS]
			 .ways[number % VMSWAP_RING_CACHE_WAYS];
	u32 sequence = vmswap_acquire32(&entry->sequence);

	if (!sequence || sequence % 2 ||
	    le64_to_cpu(READ_ONCE(entry->page)) != page)
		return false;
	vmswap_block_store(bio, iter, dev->region.cache_pages +
				      (size_t)number * VMSWAP_PAGE);
	virt_rmb(); /* the data before the second look at the sequence */
	return vmswap_read32(&entry->sequence) == sequence;
}

/*
 * Serves a read from the cache, if it can.  If not, the bio's page may hold
 * anything: it is read from the pool next, before it is up to date.
 */
bool vmswap_cache_read(struct vmswap_device *dev, u64 page, struct bio *bio,
		       struct bvec_iter iter)
{
	u32 sets = vmswap_part_count(dev, VMSWAP_RING_CACHE);
	u32 number, way;

	if (!sets)
		return false;
	number = vmswap_ring_cache_set_of(page, sets) * VMSWAP_RING_CACHE_WAYS;
	for (way = 0; way < VMSWAP_RING_CACHE_WAYS; way++) {
		if (!entry_read(dev, number + way, page, bio, iter))
			continue;
		vmswap_count(dev, VMSWAP_READS_CACHE);
		hint_give(dev, page);
		return true;
	}
	return false;
}
