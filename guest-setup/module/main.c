// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PCI device: 1af4:1110 revision 1 with a region of vmswap's behind BAR 2.
 *
 * Owns the device from probe to remove; a disk that is still open keeps struct
 * vmswap_device (without its region) until it is closed.  Lock: none of its own.
 * Contexts: probe and remove may sleep; the interrupt handler hands what takes
 * long to works.
 *
 * What goes, in this order, and why nothing comes back:
 *
 *   1. removing       under the locks: no look that finds an answer from the host
 *                     starts the disk after that (attach_publish)
 *   2. disk_work      cancelled, or over: there is a disk by now, or never
 *   3. the disk       del_gendisk: nobody submits a bio or reads a file in sysfs
 *   4. what is open   waited for; look, results and the interrupt still serve it
 *   5. REMOVED        under the locks, and for good: no post, no request, no
 *                     doorbell, and a free of a page that still counts as swap
 *                     (the one caller that is left) queues no frees
 *   6. the interrupt  which queues look, results and frees
 *   7. look           one that began before 5 may queue results and frees
 *   8. results, frees they may queue look once more
 *   9. look           which saw REMOVED, and queues nothing
 *  10. queue, region  and the device, with the last user of the disk
 *
 * vmswap_detach() is 1 to 5, vmswap_remove() the rest.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pm.h>

#include "vmswap.h"

/* More would hold a CPU for longer than a sleep costs. */
#define VMSWAP_SPIN_US_MAX 1000
/* A day; in jiffies it is far from the end of an unsigned int. */
#define VMSWAP_DETACH_SECONDS_MAX 86400

static int bounded_set(const char *value, const struct kernel_param *param,
		       unsigned int most)
{
	int error = param_set_uint_minmax(value, param, 0, most);

	if (error)
		pr_err("%s is a number from 0 to %u\n", param->name, most);
	return error;
}

static int spin_us_set(const char *value, const struct kernel_param *param)
{
	return bounded_set(value, param, VMSWAP_SPIN_US_MAX);
}

static int detach_seconds_set(const char *value,
			      const struct kernel_param *param)
{
	return bounded_set(value, param, VMSWAP_DETACH_SECONDS_MAX);
}

static const struct kernel_param_ops spin_us_ops = {
	.set = spin_us_set,
	.get = param_get_uint,
};

static const struct kernel_param_ops detach_seconds_ops = {
	.set = detach_seconds_set,
	.get = param_get_uint,
};

unsigned int vmswap_spin_us = 20;
module_param_cb(spin_us, &spin_us_ops, &vmswap_spin_us, 0644);
__MODULE_PARM_TYPE(spin_us, "uint");
MODULE_PARM_DESC(spin_us, "microseconds to wait for a page before sleeping, 1000 at most; 0: sleep at once (default 20)");

unsigned int vmswap_queue_depth;
module_param_named(queue_depth, vmswap_queue_depth, uint, 0444);
MODULE_PARM_DESC(queue_depth, "requests that may be open; 0: as many as the host has tags (default 0)");

bool vmswap_synchronous = true;
module_param_named(synchronous, vmswap_synchronous, bool, 0444);
MODULE_PARM_DESC(synchronous, "have swap read single pages, without readahead of its own (default Y)");

unsigned int vmswap_detach_seconds = 30;
module_param_cb(detach_seconds, &detach_seconds_ops, &vmswap_detach_seconds,
		0644);
__MODULE_PARM_TYPE(detach_seconds, "uint");
MODULE_PARM_DESC(detach_seconds, "how long a host must be away before removal of the device stops waiting for it, 86400 at most (default 30)");

/* How long probe waits for a host; if it comes later, so does the disk. */
#define VMSWAP_ATTACH_WAIT (2 * HZ)

static DEFINE_IDA(vmswap_ids);

void vmswap_ring_host(struct vmswap_device *dev)
{
	vmswap_count(dev, VMSWAP_DOORBELLS);
	iowrite32(VMSWAP_IVSHMEM_RING_HOST,
		  dev->registers + VMSWAP_IVSHMEM_REGISTER_DOORBELL);
}

static irqreturn_t vmswap_interrupt(int irq, void *data)
{
	struct vmswap_device *dev = data;

	vmswap_count(dev, VMSWAP_INTERRUPTS);
	/* Before anything was asked, no word of the host's is an answer. */
	if (!smp_load_acquire(&dev->session)) /* pairs with its release */
		return IRQ_HANDLED;
	if (vmswap_host_changed(dev))
		mod_delayed_work(dev->queue, &dev->look, 0);
	if (READ_ONCE(dev->state) != VMSWAP_STARTING) {
		vmswap_results_arm(dev, 1);
		vmswap_tail_look(dev);
	}
	return IRQ_HANDLED;
}

static void disk_work(struct work_struct *work)
{
	struct vmswap_device *dev =
		container_of(work, struct vmswap_device, disk_work);
	int error = vmswap_disk_add(dev);

	if (error) {
		dev_err(&dev->pdev->dev, "no disk: error %d\n", error);
		return;
	}
	WRITE_ONCE(dev->disk_added, true);
	vmswap_disk_size_tell(dev); /* it may have grown meanwhile */
	dev_info(&dev->pdev->dev, "%s: %llu MiB, session %08x\n",
		 dev->disk->disk_name,
		 dev->pages >> (20 - ilog2(VMSWAP_PAGE)), dev->session);
}

/* --- Setting up: each has its undo, in vmswap_probe(). */

static int registers_map(struct vmswap_device *dev)
{
	struct pci_dev *pdev = dev->pdev;
	int error;

	error = pcim_enable_device(pdev);
	if (error)
		return error;
	dev->registers = pcim_iomap(pdev, VMSWAP_IVSHMEM_BAR_REGISTERS, 0);
	if (!dev->registers)
		return -ENOMEM;
	if (ioread32(dev->registers + VMSWAP_IVSHMEM_REGISTER_POSITION) !=
	    VMSWAP_IVSHMEM_GUEST)
		return -ENODEV;
	return 0;
}

/* Some memory is ours if it begins with the magic; else it stays unclaimed. */
static int region_map(struct vmswap_device *dev)
{
	struct pci_dev *pdev = dev->pdev;
	struct vmswap_region *region = &dev->region;
	u8 magic[8];

	region->size = pci_resource_len(pdev, VMSWAP_IVSHMEM_BAR_MEMORY);
	if (!vmswap_ring_size_is_right(region->size))
		return -ENODEV;
	region->base = devm_memremap(&pdev->dev,
				     pci_resource_start(pdev, VMSWAP_IVSHMEM_BAR_MEMORY),
				     region->size, MEMREMAP_WB);
	if (IS_ERR(region->base))
		return PTR_ERR(region->base);
	region->header = (struct vmswap_ring_header *)region->base;
	memcpy(magic, region->header->magic, sizeof(magic));
	if (memcmp(magic, VMSWAP_RING_MAGIC, sizeof(magic)))
		return -ENODEV;
	virt_rmb(); /* the magic before all that it stands for */
	return vmswap_region_check(dev);
}

static int interrupt_setup(struct vmswap_device *dev)
{
	struct pci_dev *pdev = dev->pdev;
	int error;

	pci_set_master(pdev);
	error = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	if (error < 0) {
		dev_err(&pdev->dev,
			"no MSI-X vector: is it an ivshmem-doorbell device, with vectors=1 or more?\n");
		return error;
	}
	error = pci_request_irq(pdev, VMSWAP_IVSHMEM_VECTOR, vmswap_interrupt,
				NULL, dev, "vmswap%d", dev->id);
	if (error)
		pci_free_irq_vectors(pdev);
	return error;
}

static void interrupt_undo(struct vmswap_device *dev)
{
	pci_free_irq(dev->pdev, VMSWAP_IVSHMEM_VECTOR, dev);
	pci_free_irq_vectors(dev->pdev);
}

static struct vmswap_device *device_alloc(struct pci_dev *pdev)
{
	struct vmswap_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return NULL;
	dev->pdev = pdev;
	dev->id = -1;
	dev->size_at = jiffies - HZ;
	raw_spin_lock_init(&dev->hint_lock);
	init_waitqueue_head(&dev->attached);
	INIT_DELAYED_WORK(&dev->look, vmswap_look);
	INIT_WORK(&dev->frees, vmswap_frees_work);
	INIT_WORK(&dev->results, vmswap_results_work);
	INIT_WORK(&dev->disk_work, disk_work);
	return dev;
}

/* Whatever there is of it. */
void vmswap_device_free(struct vmswap_device *dev)
{
	vmswap_requests_exit(dev);
	vmswap_posts_exit(dev);
	free_percpu(dev->counters);
	if (dev->id >= 0)
		ida_free(&vmswap_ids, dev->id);
	kfree(dev);
}

static int device_init(struct vmswap_device *dev)
{
	int error;

	dev->id = ida_alloc(&vmswap_ids, GFP_KERNEL);
	if (dev->id < 0)
		return dev->id;
	dev->counters = alloc_percpu(struct vmswap_counters);
	if (!dev->counters)
		return -ENOMEM;
	error = vmswap_posts_init(dev);
	if (error)
		return error;
	error = vmswap_requests_init(dev);
	if (error)
		return error;
	dev->queue = alloc_workqueue("vmswap%d", WQ_MEM_RECLAIM | WQ_HIGHPRI, 0,
				     dev->id);
	return dev->queue ? 0 : -ENOMEM;
}

static void attach_wait(struct vmswap_device *dev)
{
	wait_event_timeout(dev->attached,
			   READ_ONCE(dev->state) != VMSWAP_STARTING,
			   VMSWAP_ATTACH_WAIT);
	if (READ_ONCE(dev->state) == VMSWAP_STARTING)
		dev_warn(&dev->pdev->dev,
			 "the host does not answer yet: its disk will come when it does\n");
	else
		flush_work(&dev->disk_work);
}

static int vmswap_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct vmswap_device *dev;
	int error;

	if (pdev->revision != VMSWAP_IVSHMEM_PCI_REVISION)
		return -ENODEV;
	dev = device_alloc(pdev);
	if (!dev)
		return -ENOMEM;
	error = registers_map(dev);
	if (error)
		goto free;
	error = region_map(dev);
	if (error)
		goto free;
	error = pci_request_region(pdev, VMSWAP_IVSHMEM_BAR_MEMORY, "vmswap");
	if (error)
		goto free;
	error = device_init(dev);
	if (error)
		goto queue;
	error = interrupt_setup(dev);
	if (error)
		goto queue;
	pci_set_drvdata(pdev, dev);
	vmswap_session_ask(dev);
	attach_wait(dev);
	return 0;
queue:
	if (dev->queue)
		destroy_workqueue(dev->queue);
	pci_release_region(pdev, VMSWAP_IVSHMEM_BAR_MEMORY);
free:
	vmswap_device_free(dev);
	return error;
}

static void vmswap_remove(struct pci_dev *pdev)
{
	struct vmswap_device *dev = pci_get_drvdata(pdev);
	struct gendisk *disk;
	bool added;

	vmswap_detach(dev);
	disk = dev->disk;
	added = dev->disk_added;
	interrupt_undo(dev);
	cancel_delayed_work_sync(&dev->look);
	cancel_work_sync(&dev->results);
	cancel_work_sync(&dev->frees);
	cancel_delayed_work_sync(&dev->look);
	destroy_workqueue(dev->queue);
	pci_release_region(pdev, VMSWAP_IVSHMEM_BAR_MEMORY);
	/* The last user of the disk frees the device. */
	if (disk)
		put_disk(disk);
	if (!added)
		vmswap_device_free(dev);
}

/*
 * While the system sleeps the region is not there: QEMU takes the device's
 * memory away, and gives it back when the PCI core says where.  And a system that
 * was written to a disk finds a host that has gone on when it is back.  So it must
 * not sleep while swap, or anything else, is on the disk; an idle device is not
 * looked at meanwhile.
 */
static int vmswap_suspend(struct device *device)
{
	struct vmswap_device *dev = dev_get_drvdata(device);

	flush_work(&dev->disk_work);
	if (vmswap_disk_in_use(dev)) {
		dev_err(device,
			"the system can neither suspend nor hibernate while %s is in use: swapoff first\n",
			dev->disk->disk_name);
		return -EBUSY;
	}
	/* The interrupt, and then the works, of which each may queue look. */
	disable_irq(pci_irq_vector(dev->pdev, VMSWAP_IVSHMEM_VECTOR));
	cancel_delayed_work_sync(&dev->look);
	flush_work(&dev->frees);
	flush_work(&dev->results);
	cancel_delayed_work_sync(&dev->look);
	return 0;
}

static int vmswap_resume(struct device *device)
{
	struct vmswap_device *dev = dev_get_drvdata(device);

	enable_irq(pci_irq_vector(dev->pdev, VMSWAP_IVSHMEM_VECTOR));
	queue_delayed_work(dev->queue, &dev->look, 0);
	return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(vmswap_pm, vmswap_suspend, vmswap_resume);

static const struct pci_device_id vmswap_pci_ids[] = {
	{ PCI_DEVICE(VMSWAP_IVSHMEM_PCI_VENDOR, VMSWAP_IVSHMEM_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, vmswap_pci_ids);

static struct pci_driver vmswap_driver = {
	.name = "vmswap_ivshmem",
	.id_table = vmswap_pci_ids,
	.probe = vmswap_probe,
	.remove = vmswap_remove,
	.driver.pm = pm_sleep_ptr(&vmswap_pm),
};
module_pci_driver(vmswap_driver);

MODULE_DESCRIPTION("Swap on memory of the host, over ivshmem");
MODULE_AUTHOR("The vmswap developers");
MODULE_VERSION("0.1.0");
MODULE_LICENSE("GPL");
