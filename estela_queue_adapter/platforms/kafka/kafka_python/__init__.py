"""Messages by kafka-python: the client unless QUEUE_PLATFORM_CLIENT says another."""
