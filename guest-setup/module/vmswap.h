/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmswap_ivshmem: a disk, for swap, that is memory of the host's.
 *
 * proto/PROTOCOL.md of vmswap is the contract with the host; its words are used
 * here (post, tag, slot, session, generation, open).  Each file owns a part:
 *
 *   main.c      the PCI device, its interrupt, the module's parameters
 *   session.c   states: attach, resync, quiesce, detach, once a second
 *   posts.c     the posts ring, staging slots, notes of frees
 *   requests.c  tags: requests, results, who waits for them
 *   cache.c     the host's cache of pages, hints
 *   disk.c      /dev/vmswapN: bios, rw_page, swap_slot_free_notify
 *   stats.c     /sys/block/vmswapN/vmswap/
 *
 * The host is not trusted: what it wrote is loaded once and checked; no word of
 * it is an address, a length or a bound unless it was checked against what this
 * driver holds itself.
 *
 * Locks, outermost first; both are taken with interrupts off, and nothing
 * sleeps or copies a page below them:
 *
 *   posts.lock     posts.*, and all that is published in the posts ring
 *   requests.lock  requests.*, and all that is published as a request
 *
 * Whoever publishes holds the lock of its ring and has passed
 * vmswap_gate_locked() since it took it; a state changes under both locks.  So
 * nothing is published once QUIESCED or DEAD was told to the host.
 *
 * No memory is allocated once the disk is there.
 */

#ifndef VMSWAP_H
#define VMSWAP_H

#include <linux/blkdev.h>
#include <linux/percpu.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "vmswap-ring.h"
#include "vmswap-ivshmem.h"

/* Pages of the ring and of this kernel are the same, and so are blocks. */
#define VMSWAP_PAGE VMSWAP_RING_PAGE_SIZE
#define VMSWAP_PAGE_SECTORS (VMSWAP_PAGE >> SECTOR_SHIFT)

enum vmswap_counter {
	VMSWAP_WRITES_POSTED,
	VMSWAP_WRITES_FILLED,
	VMSWAP_WRITES_REQUESTED,
	VMSWAP_WRITES_REFUSED,
	VMSWAP_READS_STAGING,
	VMSWAP_READS_CACHE,
	VMSWAP_READS_POOL,
	VMSWAP_FREES_POSTED,
	VMSWAP_FREES_NOTED,
	VMSWAP_FREES_GIVEN_UP,
	VMSWAP_DISCARDS_POSTED,
	VMSWAP_DISCARDS_REQUESTED,
	VMSWAP_WAITS_ROOM,
	VMSWAP_WAITS_TAG,
	VMSWAP_SPINS_WON,
	VMSWAP_SPINS_LOST,
	VMSWAP_DOORBELLS,
	VMSWAP_INTERRUPTS,
	VMSWAP_RESYNCS,
	VMSWAP_ERRORS,
	VMSWAP_COUNTERS
};

struct vmswap_counters {
	u64 values[VMSWAP_COUNTERS];
};

/*
 * The guest's own state.  DEAD is for good; REMOVED is DEAD without a region.
 */
enum vmswap_state {
	VMSWAP_STARTING,
	VMSWAP_LIVE,
	VMSWAP_QUIESCED,
	VMSWAP_DEAD,
	VMSWAP_REMOVED,
};

/* The region, and the division of it that was checked. */
struct vmswap_region {
	u8 *base;
	size_t size;
	struct vmswap_ring_header *header;
	struct vmswap_ring_geometry geometry;
	struct vmswap_ring_post *posts;
	__le32 *submits;
	__le32 *completes;
	__le64 *hints;
	struct vmswap_ring_request *requests;
	struct vmswap_ring_result *results;
	struct vmswap_ring_cache_set *cache;
	u8 *tag_pages;
	u8 *slots;
	u8 *cache_pages;
};

/* What was posted at a position: this driver's own copy. */
struct vmswap_note {
	u64 page;
	u32 arg;
	u32 older;	/* position of the post before it in its bucket */
	u8 op;
};

/* Pages that only a WRITE or DISCARD request may touch now. */
struct vmswap_exclusion {
	u64 page;
	u32 count;	/* 0: none */
};

struct vmswap_posts {
	spinlock_t lock;	/* all below, and dev->state: see above */
	u32 mask;
	u32 head;
	u32 tail;	/* as last seen */
	u32 retired;	/* slots of posts before it are free; <= tail */
	u32 reserved;	/* places that go with slots somebody fills */
	struct vmswap_note *notes;	/* per position & mask */
	u32 *buckets;	/* newest position, by hash of the page */
	unsigned int bucket_bits;

	u32 slots;
	u32 free_count;
	u32 *free_slots;	/* a stack */
	u32 *pins;	/* per slot: readers, and VMSWAP_PIN_DONE */

	struct vmswap_exclusion *exclusions;	/* per tag */
	u32 exclusions_open;

	unsigned long *freed;	/* notes of frees, a bit per page */
	u64 freed_bits;
	u64 freed_count;
	u64 freed_at;	/* where the next look starts */

	wait_queue_head_t room;
};

/* A bio that waits for requests: at most one per tag. */
struct vmswap_job {
	struct bio *bio;
	unsigned long start;
	atomic_t pending;	/* open requests, and one while it is submitted */
	blk_status_t status;
};

struct vmswap_tag {
	struct vmswap_job *job;	/* NULL: nobody waits */
	struct bvec_iter iter;	/* READ: where in the bio the page goes */
	u32 serial;
	u8 op;
	bool open;
};

struct vmswap_requests {
	spinlock_t lock;	/* all below, and dev->state: see above */
	u32 submit_head;
	u32 complete_tail;
	u32 count;	/* tags in the region */
	u32 open;
	struct vmswap_tag *tags;
	u32 free_count;
	u16 *free_tags;	/* a stack */
	struct vmswap_job *jobs;
	u32 free_job_count;
	u16 *free_jobs;
	int spin_score;	/* below 0: spinning does not pay */
	wait_queue_head_t wait;	/* for a tag, a job, the host, or the last one */
};

struct vmswap_device {
	struct pci_dev *pdev;
	void __iomem *registers;
	struct vmswap_region region;
	struct gendisk *disk;
	int id;
	bool disk_added;

	enum vmswap_state state;	/* both locks */
	bool removing;	/* both locks */
	const char *broken;	/* why, once the host's words are impossible */
	u64 pages;	/* of the device; only grows */
	u64 features;
	u32 session;	/* 0: nothing was asked */
	u32 generation;

	/* Of session.c's work alone. */
	u32 heartbeat;
	unsigned long heartbeat_at;
	bool away;
	u32 nudge_tail;
	u32 nudge_completes;
	unsigned long size_at;	/* when the size changed last */
	bool told_stuck;

	raw_spinlock_t hint_lock;	/* only ever tried */
	u32 hint_head;

	struct vmswap_posts posts;
	struct vmswap_requests requests;
	struct vmswap_counters __percpu *counters;

	struct workqueue_struct *queue;
	struct delayed_work look;
	struct work_struct frees;
	struct work_struct results;
	struct work_struct disk_work;
	wait_queue_head_t attached;
};

#define vmswap_count(dev, counter) this_cpu_inc((dev)->counters->values[counter])

/* The other side's words, and ours, in this CPU's order. */
static inline u32 vmswap_acquire32(const __le32 *word)
{
	return le32_to_cpu(virt_load_acquire(word)); /* pairs with its release */
}

static inline u32 vmswap_read32(const __le32 *word)
{
	return le32_to_cpu(READ_ONCE(*word));
}

static inline void vmswap_release32(__le32 *word, u32 value)
{
	virt_store_release(word, cpu_to_le32(value)); /* with its acquire */
}

static inline void vmswap_write32(__le32 *word, u32 value)
{
	WRITE_ONCE(*word, cpu_to_le32(value));
}

static inline u32 vmswap_part_count(const struct vmswap_device *dev,
				    enum vmswap_ring_part_name part)
{
	return dev->region.geometry.parts[part].count;
}

/*
 * Runs an attempt until it says something else than -EAGAIN, and sleeps in
 * between.  It is made in a state in which it must not sleep itself.  Waking up
 * now and then tells the kernel's watchdog that this is no deadlock.
 */
#define VMSWAP_WAIT_SLICE (30 * HZ)
#define vmswap_wait(dev, counter, head, attempt)			\
({									\
	int wait_result = (attempt);					\
									\
	if (wait_result == -EAGAIN) {					\
		DEFINE_WAIT(wait_entry);				\
									\
		vmswap_count(dev, counter);				\
		for (;;) {						\
			prepare_to_wait(head, &wait_entry,		\
					TASK_UNINTERRUPTIBLE);		\
			wait_result = (attempt);			\
			if (wait_result != -EAGAIN)			\
				break;					\
			io_schedule_timeout(VMSWAP_WAIT_SLICE);		\
		}							\
		finish_wait(head, &wait_entry);				\
	}								\
	wait_result;							\
})

/* main.c */
extern unsigned int vmswap_spin_us;
extern unsigned int vmswap_queue_depth;
extern unsigned int vmswap_detach_seconds;
extern bool vmswap_synchronous;

void vmswap_ring_host(struct vmswap_device *dev);
void vmswap_device_free(struct vmswap_device *dev);

/* session.c */
int vmswap_region_check(struct vmswap_device *dev);
void vmswap_session_ask(struct vmswap_device *dev);
int vmswap_gate_locked(struct vmswap_device *dev);
bool vmswap_host_full(struct vmswap_device *dev);
void vmswap_broken(struct vmswap_device *dev, const char *why);
bool vmswap_host_changed(struct vmswap_device *dev);
void vmswap_look(struct work_struct *work);
void vmswap_detach(struct vmswap_device *dev);

/* posts.c */
int vmswap_posts_init(struct vmswap_device *dev);
void vmswap_posts_exit(struct vmswap_device *dev);
void vmswap_posts_start(struct vmswap_device *dev, u32 tail);
void vmswap_tail_look(struct vmswap_device *dev);
void vmswap_posts_look(struct vmswap_device *dev);
bool vmswap_posts_idle(struct vmswap_device *dev);
int vmswap_slot_take(struct vmswap_device *dev);
void vmswap_slot_return(struct vmswap_device *dev, u32 slot);
u8 *vmswap_slot_page(struct vmswap_device *dev, u32 slot);
int vmswap_slot_post(struct vmswap_device *dev, u64 page, u32 slot);
int vmswap_free_post(struct vmswap_device *dev, u64 page, u32 count);
void vmswap_free_note(struct vmswap_device *dev, u64 page);
void vmswap_frees_work(struct work_struct *work);
bool vmswap_staging_read(struct vmswap_device *dev, u64 page, struct bio *bio,
			 struct bvec_iter iter);
int vmswap_exclusive_submit(struct vmswap_device *dev, u32 tag, u8 op,
			    u64 page, u32 count);
void vmswap_exclusion_end(struct vmswap_device *dev, u32 tag);

/* requests.c */
#define VMSWAP_ARM_TRIES 4

int vmswap_requests_init(struct vmswap_device *dev);
void vmswap_requests_exit(struct vmswap_device *dev);
void vmswap_requests_start(struct vmswap_device *dev);
int vmswap_job_take(struct vmswap_device *dev);
void vmswap_job_put(struct vmswap_device *dev, struct vmswap_job *job,
		    blk_status_t status);
int vmswap_tag_take(struct vmswap_device *dev);
void vmswap_tag_return(struct vmswap_device *dev, u32 tag);
u8 *vmswap_tag_page(struct vmswap_device *dev, u32 tag);
void vmswap_tag_aim(struct vmswap_device *dev, u32 tag, struct vmswap_job *job,
		    struct bvec_iter iter);
u32 vmswap_request_publish_locked(struct vmswap_device *dev, u32 tag, u8 op,
				  u8 flags, u64 page, u32 count, u32 after);
void vmswap_submit_notify(struct vmswap_device *dev, u32 now);
int vmswap_read_submit(struct vmswap_device *dev, u32 tag, u64 page, u8 flags);
bool vmswap_results_look(struct vmswap_device *dev, unsigned int most);
void vmswap_results_scan(struct vmswap_device *dev);
void vmswap_results_arm(struct vmswap_device *dev, unsigned int tries);
void vmswap_results_work(struct work_struct *work);
void vmswap_results_spin(struct vmswap_device *dev, struct vmswap_job *job);
void vmswap_requests_fail(struct vmswap_device *dev);
bool vmswap_requests_idle(struct vmswap_device *dev);

/* cache.c */
bool vmswap_cache_read(struct vmswap_device *dev, u64 page, struct bio *bio,
		       struct bvec_iter iter);

/* disk.c */
void vmswap_block_load(void *to, struct bio *bio, struct bvec_iter from);
void vmswap_block_store(struct bio *bio, struct bvec_iter to, const void *from);
void vmswap_block_fill(struct bio *bio, struct bvec_iter to, u32 value);
int vmswap_disk_add(struct vmswap_device *dev);
bool vmswap_disk_in_use(const struct vmswap_device *dev);
void vmswap_disk_size_tell(struct vmswap_device *dev);

/* stats.c */
extern const struct attribute_group *vmswap_disk_groups[];

#endif /* VMSWAP_H */
