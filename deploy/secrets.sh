#!/bin/sh
# Create the secrets that docker-compose.yml passes to its services, in secrets/ beside it. Existing ones are kept.
#
# The folder is closed to everybody else on this machine. The files in it are open, since a container sees them with the
# rights that they have here, and its users are not you: MySQL is 999, igsearch is 10001.
set -eu
umask 077

home=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=$home/secrets

main() {
    mkdir -p -- "$folder"
    chmod 700 -- "$folder"
    for role in root indexer bot migration; do
        keep_or_make "mysql_${role}_password" random
    done
    for role in indexer bot migration; do
        keep_or_make "database_url_$role" database_url "$role"
    done
    keep_or_make telegram_webhook_secret random
    keep_or_make telegram_token nothing
    keep_or_make discord_token nothing
    say_what_is_next
}

# keep_or_make NAME COMMAND [ARGUMENT...]: unless the file exists, fill it with the output of a command.
keep_or_make() {
    file=$folder/$1
    shift
    if ! [ -e "$file" ]; then
        "$@" >"$file.new"
        mv -- "$file.new" "$file"
    fi
    chmod 644 -- "$file"
}

random() {
    od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'
}

database_url() {
    password=$(cat -- "$folder/mysql_${1}_password")
    case $password in
        *[!A-Za-z0-9._~-]*)
            echo "secrets.sh: write secrets/database_url_$1 yourself, with your password percent-encoded:" \
                "mysql://igsearch_$1:PASSWORD@mysql:3306/igsearch" >&2
            exit 1
            ;;
    esac
    printf 'mysql://igsearch_%s:%s@mysql:3306/igsearch' "$1" "$password"
}

nothing() {
    :
}

say_what_is_next() {
    cat <<END
The secrets are in $folder; keep a copy of them with your backups.
Next, in $home:
  1. cp .env.example .env    and name the bots in it: COMPOSE_PROFILES=telegram,discord
  2. write the token of each into secrets/telegram_token and secrets/discord_token
  3. docker compose up -d
END
}

main
