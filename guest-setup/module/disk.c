// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disk: what the block layer and swap see.
 *
 * It takes bios, not requests of blk-mq, as zram and brd do: a posted write and
 * most reads are one copy, done before submit_bio returns, and a request would
 * have to be allocated, started and ended for that.  And writes that wait for
 * room would sit on the tags that reads need, which must go on (they are served
 * from posts and the cache while the host is away).  What the host is asked for
 * is asynchronous all the same: a job ends the bio from the interrupt.
 *
 * Lock: none of its own.  Contexts: submit_bio may sleep (for room, a tag, or
 * the host) and may be reclaiming memory, so it allocates none; rw_page and
 * swap_slot_free_notify do not sleep.
 */

#include <linux/bio.h>
#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "vmswap.h"

/* Reads and writes are not split smaller than this, by those who ask. */
#define VMSWAP_MAX_SECTORS (SZ_1M >> SECTOR_SHIFT)
#define VMSWAP_MAX_DISCARD (rounddown((unsigned int)UINT_MAX, SZ_1M) >> SECTOR_SHIFT)

/* A bio on its way through submit_bio. */
struct vmswap_io {
	struct vmswap_device *dev;
	struct bio *bio;
	struct vmswap_job *job;	/* once anything is waited for */
	unsigned long start;
};

/* --- Blocks: 4096 bytes of a bio, in as many pieces as it likes. */

#define vmswap_block_pieces(bio, iter, bv, done)				\
	for ((done) = 0;						\
	     (done) < VMSWAP_PAGE &&					\
	     ((bv) = bio_iter_iovec(bio, iter),				\
	      (bv).bv_len = min_t(unsigned int, (bv).bv_len,		\
				  VMSWAP_PAGE - (done)), 1);		\
	     (done) += (bv).bv_len,					\
	     bio_advance_iter_single(bio, &(iter), (bv).bv_len))

void vmswap_block_load(void *to, struct bio *bio, struct bvec_iter from)
{
	struct bio_vec bv;
	unsigned int done;

	vmswap_block_pieces(bio, from, bv, done)
		memcpy_from_bvec(to + done, &bv);
}

void vmswap_block_store(struct bio *bio, struct bvec_iter to, const void *from)
{
	struct bio_vec bv;
	unsigned int done;

	vmswap_block_pieces(bio, to, bv, done)
		memcpy_to_bvec(&bv, from + done);
}

void vmswap_block_fill(struct bio *bio, struct bvec_iter to, u32 value)
{
	struct bio_vec bv;
	unsigned int done, i;

	vmswap_block_pieces(bio, to, bv, done) {
		u8 *piece = bvec_kmap_local(&bv);

		for (i = 0; i < bv.bv_len; i++)
			piece[i] = ((u8 *)&value)[(done + i) % sizeof(value)];
		flush_dcache_page(bv.bv_page);
		kunmap_local(piece);
	}
}

/* --- What may have to wait. */

static int io_job(struct vmswap_io *io)
{
	struct vmswap_device *dev = io->dev;
	int number;

	if (io->job)
		return 0;
	number = vmswap_wait(dev, VMSWAP_WAITS_TAG, &dev->requests.wait,
			     vmswap_job_take(dev));
	if (number < 0)
		return number;
	io->job = &dev->requests.jobs[number];
	io->job->bio = io->bio;
	io->job->start = io->start;
	io->job->status = BLK_STS_OK;
	atomic_set(&io->job->pending, 1);
	return 0;
}

/* A tag for the job of this bio, or an error. */
static int io_tag(struct vmswap_io *io)
{
	struct vmswap_device *dev = io->dev;
	int result = io_job(io);

	if (result)
		return result;
	return vmswap_wait(dev, VMSWAP_WAITS_TAG, &dev->requests.wait,
			   vmswap_tag_take(dev));
}

/* What was not published after all: the tag, and its share of the job. */
static int io_tag_undo(struct vmswap_io *io, u32 tag, int error)
{
	vmswap_tag_return(io->dev, tag);
	atomic_dec(&io->job->pending);
	return error;
}

static int exclusive_request(struct vmswap_io *io, u8 op, u64 page, u32 count,
			     struct bvec_iter iter)
{
	struct vmswap_device *dev = io->dev;
	int tag = io_tag(io);
	int result;

	if (tag < 0)
		return tag;
	if (op == VMSWAP_REQUEST_WRITE)
		vmswap_block_load(vmswap_tag_page(dev, tag), io->bio, iter);
	vmswap_tag_aim(dev, tag, io->job, iter);
	result = vmswap_wait(dev, VMSWAP_WAITS_ROOM, &dev->posts.room,
			     vmswap_exclusive_submit(dev, tag, op, page, count));
	return result ? io_tag_undo(io, tag, result) : 0;
}

static int block_write(struct vmswap_io *io, u64 page, struct bvec_iter iter)
{
	struct vmswap_device *dev = io->dev;
	int slot, result;

	slot = vmswap_wait(dev, VMSWAP_WAITS_ROOM, &dev->posts.room,
			   vmswap_slot_take(dev));
	result = slot;
	if (slot >= 0) {
		vmswap_block_load(vmswap_slot_page(dev, slot), io->bio, iter);
		result = vmswap_wait(dev, VMSWAP_WAITS_ROOM, &dev->posts.room,
				     vmswap_slot_post(dev, page, slot));
		if (result)
			vmswap_slot_return(dev, slot);
	}
	if (result != -ENOSPC)
		return result < 0 ? result : 0;
	/* The pool is full: the host says for each page whether it fits. */
	vmswap_count(dev, VMSWAP_WRITES_REQUESTED);
	return exclusive_request(io, VMSWAP_REQUEST_WRITE, page, 1, iter);
}

static int block_read(struct vmswap_io *io, u64 page, struct bvec_iter iter)
{
	struct vmswap_device *dev = io->dev;
	u8 flags = io->bio->bi_opf & REQ_RAHEAD ? VMSWAP_REQUEST_AHEAD : 0;
	int tag, result;

	if (vmswap_staging_read(dev, page, io->bio, iter) ||
	    vmswap_cache_read(dev, page, io->bio, iter))
		return 0;
	tag = io_tag(io);
	if (tag < 0)
		return tag;
	vmswap_tag_aim(dev, tag, io->job, iter);
	result = vmswap_wait(dev, VMSWAP_WAITS_TAG, &dev->requests.wait,
			     vmswap_read_submit(dev, tag, page, flags));
	if (result)
		return io_tag_undo(io, tag, result);
	vmswap_count(dev, VMSWAP_READS_POOL);
	return 0;
}

static int io_discard(struct vmswap_io *io, u64 page, u32 count)
{
	struct vmswap_device *dev = io->dev;
	int result;

	result = vmswap_wait(dev, VMSWAP_WAITS_ROOM, &dev->posts.room,
			     vmswap_free_post(dev, page, count));
	if (result == -ENOSPC) {
		vmswap_count(dev, VMSWAP_DISCARDS_REQUESTED);
		return exclusive_request(io, VMSWAP_REQUEST_DISCARD, page,
					 count, io->bio->bi_iter);
	}
	if (!result)
		vmswap_count(dev, VMSWAP_DISCARDS_POSTED);
	return result;
}

/* Reads or writes page by page, until one fails. */
static int io_blocks(struct vmswap_io *io, u64 page, u32 count, bool write)
{
	struct bvec_iter iter = io->bio->bi_iter;
	int result = 0;

	while (count-- && !result) {
		if (write)
			result = block_write(io, page, iter);
		else
			result = block_read(io, page, iter);
		bio_advance_iter(io->bio, &iter, VMSWAP_PAGE);
		page++;
	}
	return result;
}

static int io_run(struct vmswap_io *io)
{
	struct vmswap_device *dev = io->dev;
	sector_t sector = io->bio->bi_iter.bi_sector;
	unsigned int size = io->bio->bi_iter.bi_size;
	u64 page = sector / VMSWAP_PAGE_SECTORS;
	u32 count = size / VMSWAP_PAGE;

	if (sector % VMSWAP_PAGE_SECTORS || size % VMSWAP_PAGE)
		return -EIO;
	if (!count)
		return 0;
	if (!vmswap_ring_range_is_right(page, count, READ_ONCE(dev->pages)) ||
	    READ_ONCE(dev->state) >= VMSWAP_DEAD)
		return -EIO;
	switch (bio_op(io->bio)) {
	case REQ_OP_READ:
		return io_blocks(io, page, count, false);
	case REQ_OP_WRITE:
		return io_blocks(io, page, count, true);
	case REQ_OP_DISCARD:
		return io_discard(io, page, count);
	case REQ_OP_WRITE_ZEROES:
		/* Unlike a FREE that is open, it says when zeroes are read. */
		vmswap_count(dev, VMSWAP_DISCARDS_REQUESTED);
		return exclusive_request(io, VMSWAP_REQUEST_DISCARD, page,
					 count, io->bio->bi_iter);
	default:
		return -EOPNOTSUPP;
	}
}

/* What is open is waited for: by spinning, if somebody needs it at once. */
static void io_wait(struct vmswap_io *io)
{
	struct bio *bio = io->bio;

	if (atomic_read(&io->job->pending) == 1)
		return;
	if (bio_op(bio) == REQ_OP_READ && !(bio->bi_opf & REQ_RAHEAD))
		vmswap_results_spin(io->dev, io->job);
	if (atomic_read(&io->job->pending) > 1)
		vmswap_results_arm(io->dev, VMSWAP_ARM_TRIES);
}

static void vmswap_submit_bio(struct bio *bio)
{
	struct vmswap_io io = {
		.dev = bio->bi_bdev->bd_disk->private_data,
		.bio = bio,
	};
	blk_status_t status;

	io.start = bio_start_io_acct(bio);
	status = errno_to_blk_status(io_run(&io));
	if (io.job) {
		io_wait(&io);
		vmswap_job_put(io.dev, io.job, status);
		return;
	}
	bio->bi_status = status;
	bio_end_io_acct(bio, io.start);
	bio_endio(bio);
}

/* --- Swap. */

static void vmswap_slot_free_notify(struct block_device *bdev,
				    unsigned long page)
{
	struct vmswap_device *dev = bdev->bd_disk->private_data;

	vmswap_free_note(dev, page);
}

static void vmswap_free_disk(struct gendisk *disk)
{
	vmswap_device_free(disk->private_data);
}

#ifdef VMSWAP_HAS_RW_PAGE
static int page_write(struct vmswap_device *dev, u64 page, struct bio *bio)
{
	int slot = vmswap_slot_take(dev);
	int result;

	if (slot < 0)
		return slot;
	vmswap_block_load(vmswap_slot_page(dev, slot), bio, bio->bi_iter);
	result = vmswap_slot_post(dev, page, slot);
	if (result)
		vmswap_slot_return(dev, slot);
	return result;
}

/*
 * One page, if that takes no more than a copy; an error sends the caller to
 * submit_bio, where it can wait.
 */
static int vmswap_rw_page(struct block_device *bdev, sector_t sector,
			  struct page *page, enum req_op op)
{
	struct vmswap_device *dev = bdev->bd_disk->private_data;
	u64 number = sector / VMSWAP_PAGE_SECTORS;
	struct bio_vec bv;
	struct bio bio;

	if (PageTransHuge(page) || number >= READ_ONCE(dev->pages) ||
	    READ_ONCE(dev->state) >= VMSWAP_DEAD)
		return -EOPNOTSUPP;
	/* No bio for the block layer: a list of one page. */
	bio_init(&bio, NULL, &bv, 1, op);
	__bio_add_page(&bio, page, PAGE_SIZE, 0);
	if (op_is_write(op)) {
		if (page_write(dev, number, &bio))
			return -EAGAIN;
	} else if (!vmswap_staging_read(dev, number, &bio, bio.bi_iter) &&
		   !vmswap_cache_read(dev, number, &bio, bio.bi_iter)) {
		return -EAGAIN;
	}
	vmswap_page_account(bdev, op);
	vmswap_page_end(page, op);
	return 0;
}

static const struct block_device_operations vmswap_rw_page_operations = {
	.owner = THIS_MODULE,
	.submit_bio = vmswap_submit_bio,
	.rw_page = vmswap_rw_page,
	.swap_slot_free_notify = vmswap_slot_free_notify,
	.free_disk = vmswap_free_disk,
};
#endif

/* --- Beginning and end. */

static const struct block_device_operations vmswap_operations = {
	.owner = THIS_MODULE,
	.submit_bio = vmswap_submit_bio,
	.swap_slot_free_notify = vmswap_slot_free_notify,
	.free_disk = vmswap_free_disk,
};

/* The device is the disk's from then on. */
int vmswap_disk_add(struct vmswap_device *dev)
{
	const struct vmswap_limits limits = {
		.block = VMSWAP_PAGE,
		.max_sectors = VMSWAP_MAX_SECTORS,
		.max_discard = VMSWAP_MAX_DISCARD,
		.max_zeroes = VMSWAP_MAX_DISCARD,
		.synchronous = vmswap_synchronous,
	};
	struct gendisk *disk = vmswap_disk_alloc(&limits);

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->fops = &vmswap_operations;
#ifdef VMSWAP_HAS_RW_PAGE
	if (vmswap_synchronous)
		disk->fops = &vmswap_rw_page_operations;
#endif
	disk->flags |= GENHD_FL_NO_PART;
	disk->private_data = dev;
	snprintf(disk->disk_name, DISK_NAME_LEN, "vmswap%d", dev->id);
	set_capacity(disk, dev->pages * VMSWAP_PAGE_SECTORS);
	dev->disk = disk;
	return device_add_disk(&dev->pdev->dev, disk, vmswap_disk_groups);
}

/* Whoever comes last, whether it grows or is added, leaves the size of now. */
void vmswap_disk_size_tell(struct vmswap_device *dev)
{
	u64 pages;

	smp_mb(); /* what the caller has stored, before these loads */
	if (!READ_ONCE(dev->disk_added))
		return;
	do {
		pages = READ_ONCE(dev->pages);
		set_capacity_and_notify(dev->disk, pages * VMSWAP_PAGE_SECTORS);
		smp_mb(); /* the capacity, before the second look */
	} while (pages != READ_ONCE(dev->pages));
}

/* Swaps somebody on it, say? */
bool vmswap_disk_in_use(const struct vmswap_device *dev)
{
	return READ_ONCE(dev->disk_added) && disk_openers(dev->disk);
}
