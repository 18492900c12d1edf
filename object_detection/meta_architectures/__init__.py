"""The classes of models under the reference's names: ssd_meta_arch, faster_rcnn_meta_arch, center_net_meta_arch."""
