// SPDX-License-Identifier: GPL-2.0-only
/*
 * The session: who is there, on either side.
 *
 * Owns dev->state, the guest's words about itself, and one work, look, that runs
 * once a second and whenever something has changed.  Only look (and the removal
 * of the device) changes the state:
 *
 *   STARTING -> LIVE <-> QUIESCED -> DEAD -> REMOVED
 *
 * From REMOVED nothing leads away, whatever a look that runs meanwhile has seen;
 * how the device goes is at the top of main.c.
 *
 * While the host is away or QUIESCED nothing fails, and nobody spins: who needs
 * the host sleeps, and look wakes him.
 *
 * Lock: the state changes under posts.lock and requests.lock, so either is enough
 * to rely on it.  Contexts: look is a work of a queue that makes progress
 * without memory; vmswap_gate_locked(), vmswap_broken() are called anywhere.
 */

#include <linux/random.h>
#include <linux/sched/mm.h>

#include "vmswap.h"

/* --- The region. */

static const char *header_check(struct vmswap_device *dev)
{
	struct vmswap_region *region = &dev->region;
	struct vmswap_ring_header *header = region->header;
	const char *wrong;

	if (vmswap_read32(&header->version) != VMSWAP_RING_VERSION)
		return "it has another version of the ring";
	if (vmswap_read32(&header->page_size) != VMSWAP_PAGE)
		return "its pages are not 4096 bytes";
	if (le64_to_cpu(READ_ONCE(header->region_size)) != region->size)
		return "it is not as large as it says";
	vmswap_ring_geometry_load(header, &region->geometry);
	wrong = vmswap_ring_geometry_check(&region->geometry, region->size);
	if (wrong)
		return wrong;
	dev->pages = le64_to_cpu(READ_ONCE(header->device_pages));
	if (!dev->pages || dev->pages > VMSWAP_RING_DEVICE_PAGES_MAX)
		return "the size of its volume is impossible";
	return NULL;
}

/*
 * Takes a private copy of the geometry, and checks it: 0, or -ENODEV.  The magic
 * was seen.
 */
int vmswap_region_check(struct vmswap_device *dev)
{
	struct vmswap_region *region = &dev->region;
	const char *wrong = header_check(dev);

	if (wrong) {
		dev_err(&dev->pdev->dev,
			"this driver cannot use the region (version %u, ours is %u): %s\n",
			vmswap_read32(&region->header->version),
			VMSWAP_RING_VERSION, wrong);
		return -ENODEV;
	}
#define PART(name) \
	((void *)(region->base + region->geometry.parts[VMSWAP_RING_##name].offset))
	region->posts = PART(POSTS);
	region->submits = PART(SUBMITS);
	region->completes = PART(COMPLETES);
	region->hints = PART(HINTS);
	region->requests = PART(REQUESTS);
	region->results = PART(RESULTS);
	region->cache = PART(CACHE);
	region->tag_pages = PART(TAG_PAGES);
	region->slots = PART(SLOTS);
	region->cache_pages = PART(CACHE_PAGES);
#undef PART
	return 0;
}

/* Is the region still what it was?  A new server may have got it wrong. */
static bool region_is_same(struct vmswap_device *dev)
{
	struct vmswap_ring_header *header = dev->region.header;
	struct vmswap_ring_geometry now;
	u8 magic[8];

	memcpy(magic, header->magic, sizeof(magic));
	vmswap_ring_geometry_load(header, &now);
	return !memcmp(magic, VMSWAP_RING_MAGIC, sizeof(magic)) &&
	       vmswap_read32(&header->version) == VMSWAP_RING_VERSION &&
	       !memcmp(&now, &dev->region.geometry, sizeof(now));
}

/* --- The gate: what everybody asks before he publishes. */

static void look_now(struct vmswap_device *dev)
{
	mod_delayed_work(dev->queue, &dev->look, 0);
}

/* The host's words are impossible: the driver gives up, soon. */
void vmswap_broken(struct vmswap_device *dev, const char *why)
{
	if (!READ_ONCE(dev->broken))
		WRITE_ONCE(dev->broken, why);
	look_now(dev);
}

/*
 * What the device has grown to, or 0.  The kernel logs each size, so once a
 * second is enough.
 */
static u64 size_due(const struct vmswap_device *dev)
{
	u64 pages = le64_to_cpu(READ_ONCE(dev->region.header->device_pages));

	if (pages <= READ_ONCE(dev->pages) ||
	    pages > VMSWAP_RING_DEVICE_PAGES_MAX ||
	    time_before(jiffies, READ_ONCE(dev->size_at) + HZ))
		return 0;
	return pages;
}

/* Is there anything for look to do? */
bool vmswap_host_changed(struct vmswap_device *dev)
{
	struct vmswap_ring_header *header = dev->region.header;
	u32 host = vmswap_acquire32(&header->host_state);

	if (vmswap_acquire32(&header->generation) != READ_ONCE(dev->generation))
		return true;
	switch (READ_ONCE(dev->state)) {
	case VMSWAP_STARTING:
		return true;
	case VMSWAP_LIVE:
		return host != VMSWAP_HOST_LIVE || size_due(dev);
	case VMSWAP_QUIESCED:
		return host != VMSWAP_HOST_QUIESCED;
	default:
		return false;
	}
}

/* May the caller publish now?  0, -EAGAIN (the host is not there), -EIO. */
int vmswap_gate_locked(struct vmswap_device *dev)
{
	if (dev->state >= VMSWAP_DEAD || READ_ONCE(dev->broken))
		return -EIO;
	if (dev->state != VMSWAP_LIVE)
		return -EAGAIN;
	if (vmswap_host_changed(dev))
		look_now(dev);
	if (vmswap_acquire32(&dev->region.header->host_state) !=
	    VMSWAP_HOST_LIVE)
		return -EAGAIN;
	return 0;
}

bool vmswap_host_full(struct vmswap_device *dev)
{
	return vmswap_read32(&dev->region.header->host_flags) &
	       VMSWAP_HOST_FULL;
}

/* --- Changes of the state. */

static void state_set_locked(struct vmswap_device *dev, enum vmswap_state state,
			     enum vmswap_ring_guest_state guest_state)
{
	if (dev->state == VMSWAP_REMOVED)
		return;
	WRITE_ONCE(dev->state, state);
	vmswap_release32(&dev->region.header->guest_state, guest_state);
}

static void state_set(struct vmswap_device *dev, enum vmswap_state state,
		      enum vmswap_ring_guest_state guest_state)
{
	spin_lock_irq(&dev->posts.lock);
	spin_lock(&dev->requests.lock);
	state_set_locked(dev, state, guest_state);
	spin_unlock(&dev->requests.lock);
	spin_unlock_irq(&dev->posts.lock);
}

static void wake_all(struct vmswap_device *dev)
{
	wake_up(&dev->posts.room);
	wake_up(&dev->requests.wait);
}

static const char *reason_name(u32 reason)
{
	switch (reason) {
	case VMSWAP_REASON_BROKEN:
		return "the host says that this driver is broken";
	case VMSWAP_REASON_FEATURES:
		return "the host does not offer what this driver accepted";
	case VMSWAP_REASON_VERSION:
		return "the host's server cannot serve this region any more";
	case VMSWAP_REASON_REMOVED:
		return "the host took the volume away";
	case VMSWAP_REASON_LOST:
		return "the host lost the pages of this volume";
	default:
		return "the host gave up, without a reason";
	}
}

/* From now on all I/O fails; unbinding and binding again starts anew. */
static void session_die(struct vmswap_device *dev, const char *why)
{
	state_set(dev, VMSWAP_DEAD, VMSWAP_GUEST_DEAD);
	vmswap_ring_host(dev);
	dev_err(&dev->pdev->dev, "all I/O fails from now on: %s\n", why);
	vmswap_requests_fail(dev);
	wake_all(dev);
	wake_up(&dev->attached);
}

static void session_quiesce(struct vmswap_device *dev)
{
	state_set(dev, VMSWAP_QUIESCED, VMSWAP_GUEST_QUIESCED);
	vmswap_ring_host(dev);
	dev_notice_ratelimited(&dev->pdev->dev, "the host stops for a while\n");
}

static void session_resume(struct vmswap_device *dev)
{
	state_set(dev, VMSWAP_LIVE, VMSWAP_GUEST_LIVE);
	wake_all(dev);
	dev_notice_ratelimited(&dev->pdev->dev, "the host is back\n");
}

/* Another server has taken over, and has told nobody what the last one did. */
static void session_resync(struct vmswap_device *dev, u32 generation)
{
	if (!region_is_same(dev)) {
		vmswap_broken(dev, "the region has changed under a new server");
		return;
	}
	WRITE_ONCE(dev->generation, generation);
	vmswap_count(dev, VMSWAP_RESYNCS);
	vmswap_results_scan(dev);
	vmswap_results_arm(dev, VMSWAP_ARM_TRIES);
	wake_all(dev);
	vmswap_ring_host(dev);
}

/* --- Attach. */

static u32 session_number(struct vmswap_device *dev)
{
	u32 last = vmswap_read32(&dev->region.header->session);
	u32 ack = vmswap_acquire32(&dev->region.header->session_ack);
	u32 number;

	do {
		number = get_random_u32();
	} while (!number || number == last || number == ack);
	return number;
}

/* Asks the host for a new session; look sees the answer. */
void vmswap_session_ask(struct vmswap_device *dev)
{
	struct vmswap_ring_header *header = dev->region.header;
	u32 number = session_number(dev);

	dev->features = le64_to_cpu(READ_ONCE(header->features)) &
			VMSWAP_RING_FEATURES;
	dev->heartbeat = vmswap_read32(&header->heartbeat);
	dev->heartbeat_at = jiffies;
	vmswap_write32(&header->guest_state, VMSWAP_GUEST_STARTING);
	WRITE_ONCE(header->guest_features, cpu_to_le64(dev->features));
	smp_store_release(&dev->session, number); /* the interrupt looks now */
	vmswap_release32(&header->session, number);
	vmswap_ring_host(dev);
	queue_delayed_work(dev->queue, &dev->look, HZ);
}

/*
 * LIVE, and the disk is on its way; or neither, because the device is removed:
 * who removes it cancels disk_work once, after it has said so under the locks.
 */
static void attach_publish(struct vmswap_device *dev)
{
	spin_lock_irq(&dev->posts.lock);
	spin_lock(&dev->requests.lock);
	if (!dev->removing) {
		state_set_locked(dev, VMSWAP_LIVE, VMSWAP_GUEST_LIVE);
		queue_work(system_long_wq, &dev->disk_work);
	}
	spin_unlock(&dev->requests.lock);
	spin_unlock_irq(&dev->posts.lock);
}

/* The host has ended the old session: this one begins. */
static void attach_finish(struct vmswap_device *dev)
{
	struct vmswap_ring_header *header = dev->region.header;
	u32 tail = vmswap_acquire32(&header->post_tail);

	if (vmswap_read32(&header->post_head) != tail) {
		session_die(dev, "post_tail is not post_head after an attach");
		return;
	}
	WRITE_ONCE(dev->generation, vmswap_acquire32(&header->generation));
	vmswap_posts_start(dev, tail);
	vmswap_requests_start(dev);
	dev->hint_head = vmswap_read32(&header->hint_head);
	vmswap_write32(&header->tail_event, tail - 1);
	vmswap_write32(&header->complete_event, dev->requests.complete_tail);
	attach_publish(dev);
	wake_up(&dev->attached);
}

static void attach_look(struct vmswap_device *dev)
{
	struct vmswap_ring_header *header = dev->region.header;
	u32 reason;

	if (vmswap_acquire32(&header->session_ack) == dev->session) {
		attach_finish(dev);
		return;
	}
	if (vmswap_acquire32(&header->host_state) == VMSWAP_HOST_DEAD) {
		reason = vmswap_read32(&header->host_reason);
		if (reason != VMSWAP_REASON_BROKEN &&
		    reason != VMSWAP_REASON_FEATURES) {
			session_die(dev, reason_name(reason));
			return;
		}
	}
	vmswap_ring_host(dev);
}

/* --- Once a second, and whenever something has changed. */

static void heartbeat_look(struct vmswap_device *dev)
{
	u32 heartbeat = vmswap_read32(&dev->region.header->heartbeat);
	unsigned int ms = jiffies_to_msecs(jiffies - dev->heartbeat_at);

	if (heartbeat != dev->heartbeat) {
		dev->heartbeat = heartbeat;
		dev->heartbeat_at = jiffies;
		if (dev->away)
			dev_notice(&dev->pdev->dev, "the host answers again\n");
		WRITE_ONCE(dev->away, false);
	} else if (!dev->away && ms > VMSWAP_RING_AWAY_MS) {
		WRITE_ONCE(dev->away, true);
		dev_warn(&dev->pdev->dev,
			 "the host has not answered for %u ms: I/O waits\n",
			 ms);
	}
}

static bool may_give_up(struct vmswap_device *dev)
{
	return READ_ONCE(dev->removing) && dev->away &&
	       time_after(jiffies, dev->heartbeat_at +
			  READ_ONCE(vmswap_detach_seconds) * HZ);
}

static void size_look(struct vmswap_device *dev)
{
	u64 pages = size_due(dev);

	if (!pages)
		return;
	WRITE_ONCE(dev->size_at, jiffies);
	WRITE_ONCE(dev->pages, pages);
	vmswap_disk_size_tell(dev);
}

/* Whoever removes the device should know what he waits for. */
static void stuck_look(struct vmswap_device *dev)
{
	if (dev->told_stuck || !READ_ONCE(dev->removing) ||
	    !vmswap_host_full(dev) || vmswap_posts_idle(dev))
		return;
	dev->told_stuck = true;
	dev_warn(&dev->pdev->dev,
		 "the device goes when the host has room for what was written: its pool or the guest's quota is full\n");
}

/* Only a system that was written to a disk, and is back, can find another one. */
static bool session_is_ours(const struct vmswap_device *dev)
{
	const struct vmswap_ring_header *header = dev->region.header;

	return vmswap_read32(&header->session) == dev->session &&
	       vmswap_read32(&header->session_ack) == dev->session;
}

/* What is open, and has not moved in a second: belt and braces. */
static void nudge(struct vmswap_device *dev)
{
	u32 tail = vmswap_read32(&dev->region.header->post_tail);
	u32 completes = READ_ONCE(dev->requests.complete_tail);
	bool open = READ_ONCE(dev->posts.head) != tail ||
		    READ_ONCE(dev->requests.open);

	if (open && tail == dev->nudge_tail && completes == dev->nudge_completes)
		vmswap_ring_host(dev);
	dev->nudge_tail = tail;
	dev->nudge_completes = completes;
}

/* Follows the host's state; false when that was the end. */
static bool state_look(struct vmswap_device *dev)
{
	struct vmswap_ring_header *header = dev->region.header;
	u32 host = vmswap_acquire32(&header->host_state);
	const char *why = READ_ONCE(dev->broken);

	if (!why && host == VMSWAP_HOST_DEAD)
		why = reason_name(vmswap_read32(&header->host_reason));
	if (!why && !session_is_ours(dev))
		why = "the session is not the one that this driver began: bind the driver anew";
	if (!why && may_give_up(dev))
		why = "the host is away, and the device is removed";
	if (why) {
		session_die(dev, why);
		return false;
	}
	if (host == VMSWAP_HOST_QUIESCED && dev->state == VMSWAP_LIVE)
		session_quiesce(dev);
	else if (host == VMSWAP_HOST_LIVE && dev->state == VMSWAP_QUIESCED)
		session_resume(dev);
	return true;
}

static void live_look(struct vmswap_device *dev)
{
	u32 generation;

	if (!state_look(dev))
		return;
	generation = vmswap_acquire32(&dev->region.header->generation);
	if (generation != dev->generation)
		session_resync(dev, generation);
	size_look(dev);
	vmswap_results_arm(dev, VMSWAP_ARM_TRIES);
	vmswap_posts_look(dev);
	vmswap_tail_look(dev);
	stuck_look(dev);
	nudge(dev);
}

void vmswap_look(struct work_struct *work)
{
	struct vmswap_device *dev = container_of(to_delayed_work(work),
						 struct vmswap_device, look);
	/* What waits for this must not be waited for by it. */
	unsigned int noio = memalloc_noio_save();

	heartbeat_look(dev);
	if (dev->state == VMSWAP_STARTING)
		attach_look(dev);
	else if (dev->state < VMSWAP_DEAD)
		live_look(dev);
	if (dev->state < VMSWAP_DEAD)
		queue_delayed_work(dev->queue, &dev->look,
				   msecs_to_jiffies(VMSWAP_RING_HEARTBEAT_MS));
	memalloc_noio_restore(noio);
}

/* --- Detach. */

static int posts_settled(struct vmswap_device *dev)
{
	return READ_ONCE(dev->state) >= VMSWAP_DEAD ||
	       vmswap_posts_idle(dev) ? 0 : -EAGAIN;
}

static int requests_settled(struct vmswap_device *dev)
{
	return vmswap_requests_idle(dev) ? 0 : -EAGAIN;
}

static void removing_set(struct vmswap_device *dev)
{
	spin_lock_irq(&dev->posts.lock);
	spin_lock(&dev->requests.lock);
	WRITE_ONCE(dev->removing, true);
	spin_unlock(&dev->requests.lock);
	spin_unlock_irq(&dev->posts.lock);
}

/*
 * The disk goes, and then the session.  What is open is waited for, as long as
 * the host lives; if it is away for vmswap_detach_seconds, the driver is DEAD
 * before.  Posts that are open then are not lost: the next server does them.
 * Without a disk nothing was ever published.  The interrupt and the works are
 * the caller's.
 */
void vmswap_detach(struct vmswap_device *dev)
{
	removing_set(dev);
	cancel_work_sync(&dev->disk_work);
	if (dev->disk_added) {
		del_gendisk(dev->disk);
		flush_work(&dev->frees);
		vmswap_wait(dev, VMSWAP_WAITS_ROOM, &dev->posts.room,
			    posts_settled(dev));
		vmswap_wait(dev, VMSWAP_WAITS_TAG, &dev->requests.wait,
			    requests_settled(dev));
	}
	state_set(dev, VMSWAP_REMOVED, VMSWAP_GUEST_DEAD);
	vmswap_ring_host(dev);
}
