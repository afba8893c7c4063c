/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What the hooks of virtio_net.toml call. Included into virtio_net.c behind struct virtnet_info and netmap's own header, whose
 * functions sync, fill, drain and attach the virtqueues.
 *
 * A virtqueue's buffers may only be taken back from a device that was reset (VIRTIO 1.2, 3.3.1): it may have read ahead, and then
 * skips as many of the next port's frames. netmap's header takes them back from the running device. Here a port is opened and
 * closed by the way a guest is suspended and resumed, which every kernel has, and which resets the device.
 */
#include <linux/virtio_config.h>

#ifndef CONFIG_PM_SLEEP
#error "this kernel cannot suspend a virtio device, so netmap's buffers cannot be taken back from one: CONFIG_PM_SLEEP"
#endif

static void virtnet_set_rx_mode(struct net_device *dev);
static int virtnet_set_mac_address(struct net_device *dev, void *address);

/* Whether the virtqueues hold netmap's buffers now, and none of the driver's. */
static bool netmap_owns_queues(struct virtnet_info *vi)
{
	return NM_NA_VALID(vi->dev) && nm_native_on(NA(vi->dev));
}

/* The virtqueues are empty when a port opens. They are not when its link went down and comes up: all is still in place then. */
static void netmap_fill_queues(struct virtnet_info *vi)
{
	struct virtqueue *vq = vi->rq[0].vq;

	if (!netmap_owns_queues(vi) || vq->num_free != virtqueue_get_vring_size(vq))
		return;
	virtio_netmap_init_sgs(vi);
	virtio_netmap_init_buffers(vi);
}

/* After the device was reset, before the driver frees what is left as its own. */
static void netmap_take_back(struct virtnet_info *vi)
{
	if (netmap_owns_queues(vi))
		virtio_netmap_reclaim_unused(vi);
}

/* For the poll of receive queue `ring`: true when netmap has dealt with it and `*done` is what to return. */
static bool netmap_poll_rx(struct virtnet_info *vi, struct napi_struct *napi, int ring, int budget, int *done)
{
	unsigned int work_done = 0;
	int irq;

	if (!netmap_owns_queues(vi))
		return false;
	irq = netmap_rx_irq(vi->dev, ring, &work_done);
	if (irq == NM_IRQ_PASS)
		return false;
	*done = irq == NM_IRQ_RESCHED ? budget : 0;
	if (irq != NM_IRQ_RESCHED)
		napi_complete_done(napi, 0);
	return true;
}

/*
 * The rings a port has. A buffer of netmap's takes two descriptors, header and frame. Receive queues that carry a context with each
 * buffer have no indirect descriptors, so half as many buffers fit; a port with more slots than that would find the frames of one
 * slot in another's buffer, since buffers come back in the order they were posted.
 */
static int netmap_queue_sizes(struct netmap_adapter *adapter, struct nm_config_info *info)
{
	struct virtnet_info *vi = netdev_priv(adapter->ifp);
	bool with_context = vi->mergeable_rx_bufs || !vi->big_packets;
	int error = nm_os_config(adapter, info);

	if (!error && (with_context || !virtio_has_feature(vi->vdev, VIRTIO_RING_F_INDIRECT_DESC)))
		info->num_rx_descs /= 2;
	return error;
}

/* A device that was reset has forgotten its filters. */
static void netmap_restore_filters(struct virtnet_info *vi)
{
	struct net_device *dev = vi->dev;
	struct sockaddr address = { .sa_family = dev->type };

	memcpy(address.sa_data, dev->dev_addr, ETH_ALEN);
	if (virtio_has_feature(vi->vdev, VIRTIO_NET_F_CTRL_MAC_ADDR))
		virtnet_set_mac_address(dev, &address);
	if (!netif_running(dev))
		return;
	netif_addr_lock_bh(dev);
	virtnet_set_rx_mode(dev);
	netif_addr_unlock_bh(dev);
}

/* nm_register, called with the lock of all interfaces, which suspending takes itself. */
static int netmap_switch(struct netmap_adapter *adapter, int on)
{
	struct virtnet_info *vi = netdev_priv(adapter->ifp);
	unsigned int all = 0, changing = 0;
	enum txrx t;
	int error, i;

	for_rx_tx(t) {
		for (i = 0; i < nma_get_nrings(adapter, t); i++) {
			struct netmap_kring *ring = NMR(adapter, t)[i];

			all++;
			changing += on ? nm_kring_pending_on(ring) : nm_kring_pending_off(ring);
		}
	}
	if (changing && changing != all) {
		nm_prerr("%s: all rings are opened together, or none", adapter->name);
		return EINVAL;
	}
	if (changing) {
		rtnl_unlock();
		error = virtio_device_freeze(vi->vdev);
		rtnl_lock();
		if (error)
			return -error;
	}
	if (on) {
		struct netmap_virtio_adapter *shared = (struct netmap_virtio_adapter *)adapter;

		memset(&shared->shared_txvhdr, 0, sizeof(shared->shared_txvhdr));
		memset(&shared->shared_rxvhdr, 0, sizeof(shared->shared_rxvhdr));
		netmap_krings_mode_commit(adapter, on);
		nm_set_native_flags(adapter);
	} else {
		nm_clear_native_flags(adapter);
		netmap_krings_mode_commit(adapter, on);
	}
	if (!changing)
		return 0;
	rtnl_unlock();
	error = virtio_device_restore(vi->vdev);
	rtnl_lock();
	if (error) {
		nm_prerr("%s: the device does not come back: %d", adapter->name, error);
		if (on)
			nm_clear_native_flags(adapter);
		return -error;
	}
	netmap_restore_filters(vi);
	return 0;
}

static void netmap_adopt(struct virtnet_info *vi)
{
	struct netmap_hw_adapter *adapter;

	virtio_netmap_attach(vi);
	if (!NM_NA_VALID(vi->dev))
		return;
	adapter = (struct netmap_hw_adapter *)NA(vi->dev);
	adapter->nm_hw_register = netmap_switch;
	adapter->up.nm_config = netmap_queue_sizes;
}

/*
 * For remove. A port may be open: its rings are stopped, the device is reset and netmap's buffers are taken back before anyone else
 * sees them. The broken queues answer the commands that taking the interface down still sends.
 */
static void netmap_release(struct virtnet_info *vi)
{
	bool mine = netmap_owns_queues(vi);

	netmap_detach(vi->dev);
	if (!mine)
		return;
	netmap_disable_all_rings(vi->dev);
	virtio_break_device(vi->vdev);
	vi->vdev->config->reset(vi->vdev);
	virtio_netmap_reclaim_unused(vi);
}
