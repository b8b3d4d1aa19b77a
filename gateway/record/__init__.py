"""The recorder: what the line says over AMQP, into the dashboard's store."""
