// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: what the guest waits for, a tag each.
 *
 * Owns tags, the requests table, submits, completes, and the jobs: a job is a
 * bio of which at least one page is a request.
 *
 * Invariants, under requests.lock:
 *  - a tag is in free_tags, or somebody fills it, or it is open, or whoever
 *    claimed its result copies the page;
 *  - a result is claimed once: by whom finds the tag open with the host's serial
 *    equal to its own;
 *  - while a tag is open, complete_event is not behind complete_tail, or
 *    somebody spins, or is about to arm it.
 * Who waits for a tag holds at most a job, and who waits for a job holds nothing;
 * results are finished without either, so there is always progress.
 *
 * Contexts: anything.  Results are claimed in the interrupt, while spinning, and
 * in a work; pages are copied and bios ended outside the lock.
 */

#include <linux/mm.h>
#include <linux/nospec.h>

#include "vmswap.h"

/* Spinning that failed as often stops, but for one try in so many reads. */
#define VMSWAP_SPIN_BEST 8
#define VMSWAP_SPIN_WORST (-64)

u8 *vmswap_tag_page(struct vmswap_device *dev, u32 tag)
{
	return dev->region.tag_pages + (size_t)tag * VMSWAP_PAGE;
}

/* --- Tags and jobs. */

static int tag_pop(struct vmswap_device *dev)
{
	struct vmswap_requests *requests = &dev->requests;
	unsigned long flags;
	int result = -EAGAIN;

	spin_lock_irqsave(&requests->lock, flags);
	if (dev->state >= VMSWAP_DEAD)
		result = -EIO;
	else if (requests->free_count)
		result = requests->free_tags[--requests->free_count];
	spin_unlock_irqrestore(&requests->lock, flags);
	return result;
}

/* A tag, or -EAGAIN (none: all results are waited for), -EIO. */
int vmswap_tag_take(struct vmswap_device *dev)
{
	int tag = tag_pop(dev);

	if (tag == -EAGAIN) {
		vmswap_results_arm(dev, VMSWAP_ARM_TRIES);
		tag = tag_pop(dev);
	}
	return tag;
}

/* A tag that is not open any more, or never was. */
void vmswap_tag_return(struct vmswap_device *dev, u32 tag)
{
	struct vmswap_requests *requests = &dev->requests;
	unsigned long flags;

	spin_lock_irqsave(&requests->lock, flags);
	requests->tags[tag].job = NULL;
	requests->free_tags[requests->free_count++] = tag;
	spin_unlock_irqrestore(&requests->lock, flags);
	wake_up(&requests->wait);
}

/* Who waits for a tag, and where its page goes. */
void vmswap_tag_aim(struct vmswap_device *dev, u32 tag, struct vmswap_job *job,
		    struct bvec_iter iter)
{
	atomic_inc(&job->pending);
	dev->requests.tags[tag].job = job;
	dev->requests.tags[tag].iter = iter;
}

/* The number of a job, or -EAGAIN, -EIO. */
int vmswap_job_take(struct vmswap_device *dev)
{
	struct vmswap_requests *requests = &dev->requests;
	unsigned long flags;
	int result = -EAGAIN;

	spin_lock_irqsave(&requests->lock, flags);
	if (dev->state >= VMSWAP_DEAD)
		result = -EIO;
	else if (requests->free_job_count)
		result = requests->free_jobs[--requests->free_job_count];
	spin_unlock_irqrestore(&requests->lock, flags);
	return result;
}

/* One page of a job is done, or its submission is; the last one ends the bio. */
void vmswap_job_put(struct vmswap_device *dev, struct vmswap_job *job,
		    blk_status_t status)
{
	struct vmswap_requests *requests = &dev->requests;
	struct bio *bio = job->bio;
	unsigned long start = job->start;
	unsigned long flags;

	if (status)
		WRITE_ONCE(job->status, status);
	if (!atomic_dec_and_test(&job->pending))
		return;
	bio->bi_status = READ_ONCE(job->status);
	spin_lock_irqsave(&requests->lock, flags);
	requests->free_jobs[requests->free_job_count++] = job - requests->jobs;
	spin_unlock_irqrestore(&requests->lock, flags);
	wake_up(&requests->wait);
	bio_end_io_acct(bio, start);
	bio_endio(bio);
}

/* --- Out. */

/* Returns where submit_head is then, for vmswap_submit_notify(). */
u32 vmswap_request_publish_locked(struct vmswap_device *dev, u32 tag, u8 op,
				  u8 flags, u64 page, u32 count, u32 after)
{
	struct vmswap_requests *requests = &dev->requests;
	struct vmswap_ring_request *request = &dev->region.requests[tag];
	u32 places = vmswap_part_count(dev, VMSWAP_RING_SUBMITS);
	struct vmswap_tag *note = &requests->tags[tag];

	request->page = cpu_to_le64(page);
	request->count = cpu_to_le32(count);
	request->after = cpu_to_le32(after);
	request->op = op;
	request->flags = flags;
	note->op = op;
	note->open = true;
	requests->open++;
	vmswap_release32(&request->serial, ++note->serial);
	vmswap_write32(&dev->region.submits[requests->submit_head &
					    (places - 1)], tag);
	vmswap_release32(&dev->region.header->submit_head,
			 ++requests->submit_head);
	return requests->submit_head;
}

/* After a request, the last one before position now. */
void vmswap_submit_notify(struct vmswap_device *dev, u32 now)
{
	u32 event;

	virt_mb(); /* submit_head before the event: pairs with a host's falling asleep */
	event = vmswap_read32(&dev->region.header->submit_event);
	if (vmswap_ring_need_event(event, now, now - 1))
		vmswap_ring_host(dev);
}

int vmswap_read_submit(struct vmswap_device *dev, u32 tag, u64 page, u8 flags)
{
	struct vmswap_requests *requests = &dev->requests;
	unsigned long irq_flags;
	int result;
	u32 now = 0;

	spin_lock_irqsave(&requests->lock, irq_flags);
	result = vmswap_gate_locked(dev);
	if (!result)
		now = vmswap_request_publish_locked(dev, tag,
						    VMSWAP_REQUEST_READ, flags,
						    page, 1, 0);
	spin_unlock_irqrestore(&requests->lock, irq_flags);
	if (!result)
		vmswap_submit_notify(dev, now);
	return result;
}

/* --- And back. */

static blk_status_t status_of(u32 status)
{
	switch (status) {
	case VMSWAP_STATUS_OK:
		return BLK_STS_OK;
	case VMSWAP_STATUS_FULL:
		return BLK_STS_NOSPC;
	default:
		return BLK_STS_IOERR;
	}
}

/* Is there a result for this tag?  Then it is the caller's to finish. */
static bool result_claim_locked(struct vmswap_device *dev, u32 tag)
{
	struct vmswap_requests *requests = &dev->requests;
	struct vmswap_tag *note = &requests->tags[tag];

	if (!note->open ||
	    vmswap_acquire32(&dev->region.results[tag].serial) != note->serial)
		return false;
	note->open = false;
	requests->open--;
	return true;
}

static void tag_finish(struct vmswap_device *dev, u32 tag, blk_status_t status)
{
	struct vmswap_tag *note = &dev->requests.tags[tag];
	struct vmswap_job *job = note->job;

	if (!status && note->op == VMSWAP_REQUEST_READ && job)
		vmswap_block_store(job->bio, note->iter,
				   vmswap_tag_page(dev, tag));
	if (note->op != VMSWAP_REQUEST_READ)
		vmswap_exclusion_end(dev, tag);
	if (status == BLK_STS_NOSPC)
		vmswap_count(dev, VMSWAP_WRITES_REFUSED);
	else if (status)
		vmswap_count(dev, VMSWAP_ERRORS);
	vmswap_tag_return(dev, tag);
	if (job)
		vmswap_job_put(dev, job, status);
}

static void result_finish(struct vmswap_device *dev, u32 tag)
{
	u32 status = vmswap_read32(&dev->region.results[tag].status);

	tag_finish(dev, tag, status_of(status));
}

/* Looks at every tag: after a resync, or when completes went too far. */
void vmswap_results_scan(struct vmswap_device *dev)
{
	struct vmswap_requests *requests = &dev->requests;
	unsigned long flags;
	bool claimed;
	u32 tag;

	for (tag = 0; tag < requests->count; tag++) {
		spin_lock_irqsave(&requests->lock, flags);
		claimed = result_claim_locked(dev, tag);
		spin_unlock_irqrestore(&requests->lock, flags);
		if (claimed)
			result_finish(dev, tag);
	}
}

/* Takes a few tags that completes names; more: there may be others. */
static unsigned int results_claim(struct vmswap_device *dev, u16 *claimed,
				  unsigned int most, unsigned int *looked,
				  bool *wild)
{
	struct vmswap_requests *requests = &dev->requests;
	u32 places = vmswap_part_count(dev, VMSWAP_RING_COMPLETES);
	unsigned int n = 0;
	unsigned long flags;
	u32 head, tag;

	spin_lock_irqsave(&requests->lock, flags);
	head = vmswap_acquire32(&dev->region.header->complete_head);
	if (head - requests->complete_tail > places) {
		WRITE_ONCE(requests->complete_tail, head);
		*wild = true;
	}
	for (*looked = 0; requests->complete_tail != head && *looked < most;
	     (*looked)++) {
		tag = vmswap_read32(&dev->region.completes[requests->complete_tail &
							   (places - 1)]);
		WRITE_ONCE(requests->complete_tail,
			   requests->complete_tail + 1);
		if (tag >= requests->count)
			continue;
		tag = array_index_nospec(tag, requests->count);
		if (result_claim_locked(dev, tag))
			claimed[n++] = tag;
	}
	spin_unlock_irqrestore(&requests->lock, flags);
	return n;
}

/*
 * Finishes what completes names, at most so many; returns whether there may be
 * more.
 */
bool vmswap_results_look(struct vmswap_device *dev, unsigned int most)
{
	u16 claimed[16];
	unsigned int n, asked, looked, i;
	bool wild = false;

	while (most) {
		asked = min_t(unsigned int, most, ARRAY_SIZE(claimed));
		n = results_claim(dev, claimed, asked, &looked, &wild);
		for (i = 0; i < n; i++)
			result_finish(dev, claimed[i]);
		if (wild) {
			vmswap_results_scan(dev);
			return false;
		}
		if (looked < asked)
			return false;
		most -= looked;
	}
	return true;
}

/*
 * While something is open, asks to be interrupted for the next result.  Results
 * that come in all the time are left to a work after so many tries.
 */
void vmswap_results_arm(struct vmswap_device *dev, unsigned int tries)
{
	struct vmswap_requests *requests = &dev->requests;
	unsigned long flags;
	bool again;

	do {
		vmswap_results_look(dev, VMSWAP_RING_BATCH);
		again = false;
		spin_lock_irqsave(&requests->lock, flags);
		if (requests->open && dev->state < VMSWAP_DEAD) {
			vmswap_write32(&dev->region.header->complete_event,
				       requests->complete_tail);
			virt_mb(); /* the event before the second look */
			again = vmswap_acquire32(&dev->region.header->complete_head) !=
				requests->complete_tail;
		}
		spin_unlock_irqrestore(&requests->lock, flags);
	} while (again && --tries);
	if (again)
		queue_work(dev->queue, &dev->results);
}

void vmswap_results_work(struct work_struct *work)
{
	struct vmswap_device *dev =
		container_of(work, struct vmswap_device, results);

	vmswap_results_arm(dev, VMSWAP_ARM_TRIES);
}

/* --- Waiting for a result without sleeping. */

static bool spin_pays(struct vmswap_requests *requests)
{
	int score = READ_ONCE(requests->spin_score);

	if (score < 0)
		WRITE_ONCE(requests->spin_score, score + 1);
	return score >= 0;
}

static void spin_learn(struct vmswap_device *dev, bool won)
{
	struct vmswap_requests *requests = &dev->requests;
	int score = READ_ONCE(requests->spin_score);

	vmswap_count(dev, won ? VMSWAP_SPINS_WON : VMSWAP_SPINS_LOST);
	if (won)
		score = min(score + 1, VMSWAP_SPIN_BEST);
	else
		score = score > 0 ? score / 2 - 1 : VMSWAP_SPIN_WORST;
	WRITE_ONCE(requests->spin_score, score);
}

/*
 * Waits a little for the requests of a job, of which the caller holds a
 * reference.
 */
void vmswap_results_spin(struct vmswap_device *dev, struct vmswap_job *job)
{
	struct vmswap_requests *requests = &dev->requests;
	unsigned int most = READ_ONCE(vmswap_spin_us);
	ktime_t end;

	if (!most || !spin_pays(requests))
		return;
	end = ktime_add_us(ktime_get(), most);
	while (atomic_read(&job->pending) > 1) {
		if (vmswap_read32(&dev->region.header->complete_head) !=
		    READ_ONCE(requests->complete_tail))
			vmswap_results_look(dev, VMSWAP_RING_BATCH);
		if (need_resched() || ktime_after(ktime_get(), end))
			break;
		cpu_relax();
	}
	spin_learn(dev, atomic_read(&job->pending) == 1);
}

/* --- Beginning and end. */

/* The driver is DEAD: nothing that is open will be answered. */
void vmswap_requests_fail(struct vmswap_device *dev)
{
	struct vmswap_requests *requests = &dev->requests;
	unsigned long flags;
	bool open;
	u32 tag;

	for (tag = 0; tag < requests->count; tag++) {
		spin_lock_irqsave(&requests->lock, flags);
		open = requests->tags[tag].open;
		if (open) {
			requests->tags[tag].open = false;
			requests->open--;
		}
		spin_unlock_irqrestore(&requests->lock, flags);
		if (open)
			tag_finish(dev, tag, BLK_STS_IOERR);
	}
	wake_up(&requests->wait);
}

/* Has every bio ended? */
bool vmswap_requests_idle(struct vmswap_device *dev)
{
	struct vmswap_requests *requests = &dev->requests;
	unsigned long flags;
	bool idle;

	vmswap_results_arm(dev, VMSWAP_ARM_TRIES);
	spin_lock_irqsave(&requests->lock, flags);
	idle = !requests->open && requests->free_job_count == requests->count;
	spin_unlock_irqrestore(&requests->lock, flags);
	return idle;
}

/* A new session: nothing is open. */
void vmswap_requests_start(struct vmswap_device *dev)
{
	struct vmswap_requests *requests = &dev->requests;
	struct vmswap_region *region = &dev->region;
	unsigned int depth = vmswap_queue_depth;
	u32 i;

	requests->submit_head = vmswap_read32(&region->header->submit_head);
	requests->complete_tail =
		vmswap_acquire32(&region->header->complete_head);
	for (i = 0; i < requests->count; i++) {
		requests->tags[i].serial =
			vmswap_acquire32(&region->results[i].serial);
		vmswap_write32(&region->requests[i].serial,
			       requests->tags[i].serial);
		requests->free_tags[i] = requests->count - 1 - i;
		requests->free_jobs[i] = requests->count - 1 - i;
	}
	requests->free_job_count = requests->count;
	requests->free_count = requests->count;
	if (depth && depth < requests->count) {
		/* The others stay at the bottom, out of reach. */
		memmove(requests->free_tags,
			requests->free_tags + requests->count - depth,
			depth * sizeof(*requests->free_tags));
		requests->free_count = depth;
	}
}

int vmswap_requests_init(struct vmswap_device *dev)
{
	struct vmswap_requests *requests = &dev->requests;
	u32 count = vmswap_part_count(dev, VMSWAP_RING_REQUESTS);

	spin_lock_init(&requests->lock);
	init_waitqueue_head(&requests->wait);
	requests->count = count;
	requests->tags = kvcalloc(count, sizeof(*requests->tags), GFP_KERNEL);
	requests->free_tags = kvcalloc(count, sizeof(*requests->free_tags),
				       GFP_KERNEL);
	requests->jobs = kvcalloc(count, sizeof(*requests->jobs), GFP_KERNEL);
	requests->free_jobs = kvcalloc(count, sizeof(*requests->free_jobs),
				       GFP_KERNEL);
	if (!requests->tags || !requests->free_tags || !requests->jobs ||
	    !requests->free_jobs)
		return -ENOMEM;
	return 0;
}

void vmswap_requests_exit(struct vmswap_device *dev)
{
	struct vmswap_requests *requests = &dev->requests;

	kvfree(requests->tags);
	kvfree(requests->free_tags);
	kvfree(requests->jobs);
	kvfree(requests->free_jobs);
}
