-- What each database user of igsearch may do; the one place where that is written down.
--
--     mysql igsearch < deploy/grants.sql
--
-- as root of MySQL 8 or MariaDB, once the tables are there (db_init.sql, or `igsearch init-db`), and again after an
-- upgrade that brings a table. Another database: name it in the place of igsearch. docker-compose.yml does all this by
-- deploy/mysql/20-users.sh. By hand, the users come first; in the place of % may stand the host they come from:
--
--     CREATE USER 'igsearch_indexer'@'%' IDENTIFIED BY '...';
--     CREATE USER 'igsearch_bot'@'%' IDENTIFIED BY '...';
--     CREATE USER 'igsearch_migration'@'%' IDENTIFIED BY '...';
--
-- The writer's lock (GET_LOCK) needs no right.

-- `igsearch watch`, `index` and `forget`: every row, no table.
GRANT SELECT, INSERT, UPDATE, DELETE ON * TO 'igsearch_indexer'@'%';

-- `igsearch telegram` and `discord`, `search`, `stats` and `health`: reads everything, and writes what bots keep.
GRANT SELECT ON * TO 'igsearch_bot'@'%';
GRANT INSERT, UPDATE, DELETE ON replies TO 'igsearch_bot'@'%';
GRANT INSERT, UPDATE, DELETE ON reply_matches TO 'igsearch_bot'@'%';
GRANT INSERT, UPDATE, DELETE ON reports TO 'igsearch_bot'@'%';
GRANT INSERT, UPDATE, DELETE ON front_ends TO 'igsearch_bot'@'%';

-- `igsearch init-db`: makes and changes tables, with what is in them.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON * TO 'igsearch_migration'@'%';
