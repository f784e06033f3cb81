// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /sys/block/vmswapN/vmswap/ shows: one value per file.
 *
 * Owns nothing.  The files are there from the disk's addition to its deletion, so
 * the region is, too.  Contexts: a reader's.  Counters are summed up without a
 * lock: each is right, the moment is not exactly the same.
 */

#include <linux/device.h>
#include <linux/sysfs.h>

#include "vmswap.h"

static struct vmswap_device *device_of(struct device *device)
{
	return dev_to_disk(device)->private_data;
}

static u64 counter_sum(const struct vmswap_device *dev,
		       enum vmswap_counter counter)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(dev->counters, cpu)->values[counter];
	return sum;
}

/* name##_show, and the attribute. */
#define VALUE(name, expression)						\
static ssize_t name##_show(struct device *device,			\
			   struct device_attribute *attribute,		\
			   char *buf)					\
{									\
	struct vmswap_device *dev = device_of(device);			\
									\
	return sysfs_emit(buf, "%llu\n", (u64)(expression));		\
}									\
static DEVICE_ATTR_RO(name)
#define COUNTER(name, counter) VALUE(name, counter_sum(dev, counter))

COUNTER(writes_posted, VMSWAP_WRITES_POSTED);
COUNTER(writes_filled, VMSWAP_WRITES_FILLED);
COUNTER(writes_requested, VMSWAP_WRITES_REQUESTED);
COUNTER(writes_refused, VMSWAP_WRITES_REFUSED);
COUNTER(reads_staging, VMSWAP_READS_STAGING);
COUNTER(reads_cache, VMSWAP_READS_CACHE);
COUNTER(reads_pool, VMSWAP_READS_POOL);
COUNTER(frees_posted, VMSWAP_FREES_POSTED);
COUNTER(frees_noted, VMSWAP_FREES_NOTED);
COUNTER(frees_given_up, VMSWAP_FREES_GIVEN_UP);
COUNTER(discards_posted, VMSWAP_DISCARDS_POSTED);
COUNTER(discards_requested, VMSWAP_DISCARDS_REQUESTED);
COUNTER(waits_room, VMSWAP_WAITS_ROOM);
COUNTER(waits_tag, VMSWAP_WAITS_TAG);
COUNTER(spins_won, VMSWAP_SPINS_WON);
COUNTER(spins_lost, VMSWAP_SPINS_LOST);
COUNTER(doorbells, VMSWAP_DOORBELLS);
COUNTER(interrupts, VMSWAP_INTERRUPTS);
COUNTER(resyncs, VMSWAP_RESYNCS);
COUNTER(errors, VMSWAP_ERRORS);
VALUE(posts_open, READ_ONCE(dev->posts.head) -
		  vmswap_read32(&dev->region.header->post_tail));
VALUE(requests_open, READ_ONCE(dev->requests.open));
VALUE(frees_pending, READ_ONCE(dev->posts.freed_count));
VALUE(generation, READ_ONCE(dev->generation));
VALUE(host_away, READ_ONCE(dev->away));
VALUE(host_full, vmswap_host_full(dev));
VALUE(bad_posts, vmswap_read32(&dev->region.header->bad_posts));
VALUE(lost_posts, vmswap_read32(&dev->region.header->lost_posts));

static ssize_t state_show(struct device *device,
			  struct device_attribute *attribute, char *buf)
{
	static const char * const names[] = {
		[VMSWAP_STARTING] = "starting",
		[VMSWAP_LIVE] = "live",
		[VMSWAP_QUIESCED] = "quiesced",
		[VMSWAP_DEAD] = "dead",
		[VMSWAP_REMOVED] = "removed",
	};

	return sysfs_emit(buf, "%s\n",
			  names[READ_ONCE(device_of(device)->state)]);
}
static DEVICE_ATTR_RO(state);

/* The host's name of it: at most 63 bytes, of which only plain ones are shown. */
static ssize_t volume_show(struct device *device,
			   struct device_attribute *attribute, char *buf)
{
	struct vmswap_device *dev = device_of(device);
	char name[sizeof(dev->region.header->volume)];
	char *c;

	memcpy(name, dev->region.header->volume, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (c = name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return sysfs_emit(buf, "%s\n", name);
}
static DEVICE_ATTR_RO(volume);

static struct attribute *vmswap_attributes[] = {
	&dev_attr_state.attr,
	&dev_attr_volume.attr,
	&dev_attr_writes_posted.attr,
	&dev_attr_writes_filled.attr,
	&dev_attr_writes_requested.attr,
	&dev_attr_writes_refused.attr,
	&dev_attr_reads_staging.attr,
	&dev_attr_reads_cache.attr,
	&dev_attr_reads_pool.attr,
	&dev_attr_frees_posted.attr,
	&dev_attr_frees_noted.attr,
	&dev_attr_frees_given_up.attr,
	&dev_attr_discards_posted.attr,
	&dev_attr_discards_requested.attr,
	&dev_attr_waits_room.attr,
	&dev_attr_waits_tag.attr,
	&dev_attr_spins_won.attr,
	&dev_attr_spins_lost.attr,
	&dev_attr_doorbells.attr,
	&dev_attr_interrupts.attr,
	&dev_attr_resyncs.attr,
	&dev_attr_errors.attr,
	&dev_attr_posts_open.attr,
	&dev_attr_requests_open.attr,
	&dev_attr_frees_pending.attr,
	&dev_attr_generation.attr,
	&dev_attr_host_away.attr,
	&dev_attr_host_full.attr,
	&dev_attr_bad_posts.attr,
	&dev_attr_lost_posts.attr,
	NULL
};

static const struct attribute_group vmswap_group = {
	.name = "vmswap",
	.attrs = vmswap_attributes,
};

const struct attribute_group *vmswap_disk_groups[] = { &vmswap_group, NULL };
