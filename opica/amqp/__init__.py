"""AMQP, for who speaks it: the bridge, the gateway. The only place beside bridge/ that knows pika."""
