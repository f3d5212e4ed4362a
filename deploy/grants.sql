-- The rights of each database user of igsearch; the only place where they are written down.
--
--     mysql igsearch < deploy/grants.sql
--
-- as root of MySQL 8 or MariaDB, once the tables exist (db_init.sql, or `igsearch init-db`), and again after an upgrade
-- that adds a table. If your database has another name, use it instead of igsearch. docker-compose.yml does all this with
-- deploy/mysql/20-users.sh. By hand, create the users first; instead of % you may name the host they connect from:
--
--     CREATE USER 'igsearch_indexer'@'%' IDENTIFIED BY '...';
--     CREATE USER 'igsearch_bot'@'%' IDENTIFIED BY '...';
--     CREATE USER 'igsearch_migration'@'%' IDENTIFIED BY '...';
--
-- The writer's lock (GET_LOCK) needs no right.

-- `igsearch watch`, `index` and `forget`: read and write every row, change no table.
GRANT SELECT, INSERT, UPDATE, DELETE ON * TO 'igsearch_indexer'@'%';

-- `igsearch telegram` and `discord`, `search`, `stats` and `health`: read everything, write what bots keep.
GRANT SELECT ON * TO 'igsearch_bot'@'%';
GRANT INSERT, UPDATE, DELETE ON replies TO 'igsearch_bot'@'%';
GRANT INSERT, UPDATE, DELETE ON reply_matches TO 'igsearch_bot'@'%';
GRANT INSERT, UPDATE, DELETE ON reports TO 'igsearch_bot'@'%';
GRANT INSERT, UPDATE, DELETE ON front_ends TO 'igsearch_bot'@'%';

-- `igsearch init-db`: create and change tables, with their rows.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON * TO 'igsearch_migration'@'%';
