"""Matching of anchors to the groundtruth boxes that they should predict."""
import tensorflow as tf

BACKGROUND, IGNORED = -1, -2


class ArgmaxMatcher:
    """Match each anchor to its most similar groundtruth box (the first of equals) by these rules:

    1. A similarity of at least matched_threshold makes the anchor positive: it should predict this box.
    2. A similarity below unmatched_threshold makes it background.
    3. An anchor in between is ignored: it adds nothing to the loss.
    4. With force_match_for_each_row, the anchor most similar to a groundtruth box (the first of equals) is positive for
       this box, whatever the similarity. If several boxes claim an anchor, the first of them gets it.

    Args:
        matched_threshold: for rule 1. None: every anchor is positive.
        unmatched_threshold: for rule 2; at most matched_threshold. None only if that is None.
        negatives_lower_than_unmatched: False swaps rules 2 and 3: anchors below unmatched_threshold are ignored, those
            in between are background.
        force_match_for_each_row: apply rule 4.
    """

    def __init__(self, matched_threshold: float | None = .5, unmatched_threshold: float | None = .5,
                 negatives_lower_than_unmatched: bool = True, force_match_for_each_row: bool = False) -> None:
        self._matched_threshold, self._unmatched_threshold = matched_threshold, unmatched_threshold
        self._below, self._between = BACKGROUND, IGNORED
        if not negatives_lower_than_unmatched:
            self._below, self._between = IGNORED, BACKGROUND
        self._force_match = force_match_for_each_row

    def match(self, similarity: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
        """Match the anchors of a batch.

        Args:
            similarity: float32 [B, N, A] of N >= 1 groundtruth boxes and A anchors.
            valid: bool [B, N], the groundtruth boxes that rule 4 applies to: no padding, and no weight of 0.
        Returns:
            int32 [B, A]: the index of a groundtruth box, BACKGROUND or IGNORED.
        """
        matches = tf.argmax(similarity, 1, tf.int32)
        if self._matched_threshold is not None:
            highest = tf.reduce_max(similarity, 1)
            unmatched = tf.where(highest < self._unmatched_threshold, self._below, self._between)
            matches = tf.where(highest < self._matched_threshold, unmatched, matches)
        return self._with_forced_matches(matches, similarity, valid) if self._force_match else matches

    def _with_forced_matches(self, matches, similarity, valid):
        """Apply rule 4 to matches [B, A]."""
        batch, boxes, anchors = tf.unstack(tf.shape(similarity))
        claimed = tf.argmax(similarity, 2, tf.int32) + tf.range(batch)[:, tf.newaxis] * anchors
        claimant = tf.where(valid, tf.range(boxes), boxes)
        first = tf.math.unsorted_segment_min(tf.reshape(claimant, [-1]), tf.reshape(claimed, [-1]), batch * anchors)
        first = tf.reshape(first, [batch, anchors])  # a huge number for anchors that no box claims
        return tf.where(first < boxes, first, matches)
