"""Networks that turn images into feature maps of rising stride. They know nothing of detection."""
