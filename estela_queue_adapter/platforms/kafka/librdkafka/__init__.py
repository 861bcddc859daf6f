"""Messages by librdkafka (the package confluent-kafka). Imported only if QUEUE_PLATFORM_CLIENT says so."""
