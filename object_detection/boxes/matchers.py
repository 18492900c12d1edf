"""Which groundtruth box an anchor answers for."""
import tensorflow as tf

BACKGROUND, IGNORED = -1, -2


class ArgmaxMatcher:
    """Each anchor takes its most similar groundtruth box (the first of equals), if it is similar enough.

    Args:
        matched_threshold: at least this similar is a match. None: every anchor matches.
        unmatched_threshold: less similar than this is background; between the two the anchor is ignored. Not above
            matched_threshold.
        negatives_lower_than_unmatched: False swaps background and ignored.
        force_match_for_each_row: the anchor most similar to a groundtruth box (the first of equals) is its match
            whatever the similarity; where several boxes claim one anchor the first box has it.
    """

    def __init__(self, matched_threshold=.5, unmatched_threshold=.5, negatives_lower_than_unmatched=True,
                 force_match_for_each_row=False):
        self._matched_threshold, self._unmatched_threshold = matched_threshold, unmatched_threshold
        self._far, self._near = (BACKGROUND, IGNORED) if negatives_lower_than_unmatched else (IGNORED, BACKGROUND)
        self._force_match = force_match_for_each_row

    def match(self, similarity, valid):
        """Match the anchors of a batch.

        Args:
            similarity: float32 [B, N, A], N >= 1 groundtruth boxes by A anchors.
            valid: bool [B, N]; others (padding, boxes of weight 0) are not forced upon an anchor.
        Returns:
            int32 [B, A]: the groundtruth box, BACKGROUND or IGNORED.
        """
        matches = tf.argmax(similarity, 1, tf.int32)
        if self._matched_threshold is not None:
            best = tf.reduce_max(similarity, 1)
            unmatched = tf.where(best < self._unmatched_threshold, self._far, self._near)
            matches = tf.where(best < self._matched_threshold, unmatched, matches)
        if not self._force_match:
            return matches
        batch, boxes, anchors = tf.unstack(tf.shape(similarity))
        claimed = tf.argmax(similarity, 2, tf.int32) + tf.range(batch)[:, tf.newaxis] * anchors
        claimant = tf.where(valid, tf.range(boxes), boxes)
        first = tf.math.unsorted_segment_min(tf.reshape(claimant, [-1]), tf.reshape(claimed, [-1]), batch * anchors)
        first = tf.reshape(first, [batch, anchors])  # a huge number where nobody claims
        return tf.where(first < boxes, first, matches)
