/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that differs between the kernels this driver is built for: 6.1 and its
 * stable updates, and 6.11 and later.  Nothing else looks at the version.
 *
 * How swap learns that a device is worth reading page by page, past readahead
 * and the swap cache, changed from an operation (rw_page) to a feature.
 */

#ifndef VMSWAP_COMPAT_H
#define VMSWAP_COMPAT_H

#include <linux/blkdev.h>
#include <linux/pagemap.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0) ||	\
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0) &&	\
	 LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0))
#error "vmswap_ivshmem is for Linux 6.1 and for 6.11 and later"
#endif

/* What the queue of a disk is told, whatever the kernel calls it. */
struct vmswap_limits {
	unsigned int block;		/* bytes */
	unsigned int max_sectors;	/* of a read or write */
	unsigned int max_discard;	/* sectors */
	unsigned int max_zeroes;	/* sectors */
	bool synchronous;
};

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)

#define VMSWAP_HAS_RW_PAGE 1

static inline struct gendisk *
vmswap_disk_alloc(const struct vmswap_limits *limits)
{
	struct gendisk *disk = blk_alloc_disk(NUMA_NO_NODE);
	struct request_queue *q;

	if (!disk)
		return ERR_PTR(-ENOMEM);
	q = disk->queue;
	blk_queue_logical_block_size(q, limits->block);
	blk_queue_physical_block_size(q, limits->block);
	blk_queue_io_min(q, limits->block);
	blk_queue_io_opt(q, limits->block);
	blk_queue_max_hw_sectors(q, limits->max_sectors);
	blk_queue_max_discard_sectors(q, limits->max_discard);
	blk_queue_max_write_zeroes_sectors(q, limits->max_zeroes);
	q->limits.discard_granularity = limits->block;
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, q);
	return disk;
}

/* The end of what rw_page started. */
static inline void vmswap_page_end(struct page *page, enum req_op op)
{
	page_endio(page, op_is_write(op), 0);
}

/* Counts a page that no bio carried. */
static inline void vmswap_page_account(struct block_device *bdev,
				       enum req_op op)
{
	unsigned long start;

	start = bdev_start_io_acct(bdev, PAGE_SECTORS, op, jiffies);
	bdev_end_io_acct(bdev, op, start);
}

#else

static inline struct gendisk *
vmswap_disk_alloc(const struct vmswap_limits *limits)
{
	struct queue_limits lim = {
		.logical_block_size = limits->block,
		.physical_block_size = limits->block,
		.io_min = limits->block,
		.io_opt = limits->block,
		.max_hw_sectors = limits->max_sectors,
		.max_hw_discard_sectors = limits->max_discard,
		.discard_granularity = limits->block,
		.max_write_zeroes_sectors = limits->max_zeroes,
		/* Neither rotational, nor a source of entropy. */
		.features = limits->synchronous ? BLK_FEAT_SYNCHRONOUS : 0,
	};

	return blk_alloc_disk(&lim, NUMA_NO_NODE);
}

#endif

#endif /* VMSWAP_COMPAT_H */
