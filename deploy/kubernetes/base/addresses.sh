#!/bin/sh
# addresses.sh FROM TO: addresses of broker and databases with user and password, made of what their operators made, into
# files. In variables they would show in every dump of the environment. Nobody but us can read them, and they end with the pod.
set -eu
umask 077
from=$1 to=$2

if [ -d "$from/rabbitmq" ]; then
    user=$(cat "$from/rabbitmq/username") password=$(cat "$from/rabbitmq/password")
    printf 'amqps://%s:%s@rabbitmq:5671/' "$user" "$password" >"$to/amqp"
fi
if [ -d "$from/postgres" ]; then
    user=$(cat "$from/postgres/username") password=$(cat "$from/postgres/password")
    checked="sslmode=verify-full&sslrootcert=/run/tls/postgres/ca.crt"
    for name in opica bridge; do # the dashboard's, and the bridges' record of answers: both have a table `answers`
        printf 'postgresql+psycopg://%s:%s@postgres-rw:5432/%s?%s' "$user" "$password" "$name" "$checked" >"$to/$name"
    done
fi
