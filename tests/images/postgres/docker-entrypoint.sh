#!/usr/bin/env bash
# Make the database cluster on the first start, then become the server (or whatever else is asked for).
#
# As in the published image: settings come as POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and POSTGRES_INITDB_ARGS (or
# as files, POSTGRES_PASSWORD_FILE and so on), arguments alone are the server's, and while the cluster is being made a
# server already answers on the socket, but on no port.
set -euo pipefail

setting() {
    local name=$1 fallback=${2:-} file=${1}_FILE
    if [ -n "${!file:-}" ]; then
        cat "${!file}"
    else
        printf '%s' "${!name:-$fallback}"
    fi
}

make_cluster() {
    local user password database method script
    user=$(setting POSTGRES_USER postgres)
    password=$(setting POSTGRES_PASSWORD)
    database=$(setting POSTGRES_DB "$user")
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "$password" ] && [ "$method" != trust ]; then
        echo >&2 "Error: Database is uninitialized and superuser password is not specified."
        echo >&2 "       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser."
        exit 1
    fi

    # Without an encoding the C locale makes a cluster of SQL_ASCII, whose strings reach Python as bytes.
    # shellcheck disable=SC2086
    initdb --username="$user" --pwfile=<(printf '%s\n' "$password") --encoding=UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host="$method" ${POSTGRES_INITDB_ARGS:-} >/dev/null
    printf 'host all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"

    pg_ctl start --wait --silent --options="-c listen_addresses=''" >/dev/null
    if [ "$database" != postgres ]; then
        psql --quiet --username="$user" --dbname=postgres --set=name="$database" <<<'CREATE DATABASE :"name";'
    fi
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh) bash "$script" ;;
            *.sql) psql --quiet --set=ON_ERROR_STOP=1 --username="$user" --dbname="$database" --file="$script" ;;
        esac
    done
    pg_ctl stop --wait --silent --mode=fast
}

if [ "${1:0:1}" = - ]; then
    set -- postgres "$@"
fi
if [ "$1" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        install -d -o postgres -g postgres -m 700 "$PGDATA"
        find "$PGDATA" ! -user postgres -exec chown postgres:postgres {} +
        exec setpriv --reuid=postgres --regid=postgres --init-groups "${BASH_SOURCE[0]}" "$@"
    fi
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        make_cluster
        echo "PostgreSQL init process complete; ready for start up."
    fi
fi
exec "$@"
