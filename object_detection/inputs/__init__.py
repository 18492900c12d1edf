"""Records to augmented, batched tensors."""
