/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What the hooks of virtio_net.toml call. Included into virtio_net.c behind struct virtnet_info and netmap's own header, whose
 * functions fill, drain and attach the virtqueues.
 */

/* Whether the virtqueues hold netmap's buffers now, and none of the driver's. */
static bool netmap_owns_queues(struct virtnet_info *vi)
{
	return NM_NA_VALID(vi->dev) && nm_native_on(NA(vi->dev));
}

/*
 * For ndo_open. The buffers of a port whose link went down and comes up again are still posted, in the order of its rings;
 * posting them a second time would break that order.
 */
static void netmap_fill_queues(struct virtnet_info *vi)
{
	struct virtqueue *vq = vi->rq[0].vq;

	if (netmap_owns_queues(vi) && vq->num_free == virtqueue_get_vring_size(vq))
		virtio_netmap_init_buffers(vi);
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
 * For remove. A port may be open: its rings are stopped first, then its buffers are taken back, so that the driver never sees
 * them and the device never writes to them again. Without an open port the buffers are the driver's, which frees them itself.
 */
static void netmap_release(struct virtnet_info *vi)
{
	struct netmap_adapter *adapter = NA(vi->dev);
	bool mine = netmap_owns_queues(vi);

	netmap_detach(vi->dev);
	if (!mine)
		return;
	netmap_disable_all_rings(vi->dev);
	virtio_netmap_clean_used_rings(vi, adapter);
	virtio_netmap_reclaim_unused(vi);
}
