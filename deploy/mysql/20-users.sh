#!/bin/bash
# Create the database users of igsearch and grant them their rights. Run it again after an upgrade that adds a table, or
# with other passwords in secrets/: `docker compose exec mysql /docker-entrypoint-initdb.d/20-users.sh`.
#
# The entrypoint of the mysql image runs it when the volume is new, after 10-schema.sql: rights on a table need the table.
set -euo pipefail

SECRETS=${SECRETS:-/run/secrets}
GRANTS=${GRANTS:-/usr/local/share/igsearch/grants.sql}
MYSQL_DATABASE=${MYSQL_DATABASE:-igsearch}

main() {
    {
        user_sql indexer
        user_sql bot
        user_sql migration
        cat -- "$GRANTS"
    } | as_root
}

user_sql() {
    local password
    password=$(quoted "$(<"$SECRETS/mysql_$1_password")")
    echo "CREATE USER IF NOT EXISTS 'igsearch_$1'@'%' IDENTIFIED BY $password;"
    echo "ALTER USER 'igsearch_$1'@'%' IDENTIFIED BY $password;"
}

# quoted TEXT: print it as an SQL string.
quoted() {
    local text=${1//\\/\\\\}
    printf "'%s'" "${text//\'/\'\'}"
}

# The password is passed through a pipe, so that neither the process list nor the environment shows it.
as_root() {
    mysql --defaults-extra-file=<(root_login) --protocol=socket --database="$MYSQL_DATABASE"
}

root_login() {
    local password
    password=$(<"$SECRETS/mysql_root_password")
    printf '[client]\nuser=root\npassword="%s"\n' "$password"
    printf '%s\n' "${SOCKET:+socket=$SOCKET}"
}

main
