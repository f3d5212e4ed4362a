-- The whole schema of igsearch for an empty MySQL or MariaDB database, made from the migrations by `make db_init.sql`.
-- `igsearch init-db` does the same, and upgrades.

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE checkpoint (
    id INTEGER NOT NULL, 
    database_id VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    revision BIGINT NOT NULL, 
    images BIGINT NOT NULL, 
    PRIMARY KEY (id), 
    CONSTRAINT ck_checkpoint_one_row CHECK (id = 1)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO checkpoint (id, database_id, revision, images) VALUES (1, REPLACE(UUID(), '-', ''), 0, 0);

CREATE TABLE users (
    id BIGINT NOT NULL AUTO_INCREMENT, 
    username VARCHAR(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    PRIMARY KEY (id), 
    UNIQUE (username)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE light_fingerprints (
    id BIGINT NOT NULL AUTO_INCREMENT, 
    sha256 BINARY(32) NOT NULL, 
    dhash BINARY(8) NOT NULL, 
    pdq BINARY(32) NOT NULL, 
    pdq_quality SMALLINT NOT NULL, 
    flat_percent SMALLINT NOT NULL, 
    width INTEGER NOT NULL, 
    height INTEGER NOT NULL, 
    version SMALLINT NOT NULL, 
    revision BIGINT NOT NULL, 
    PRIMARY KEY (id), 
    UNIQUE (sha256)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_light_fingerprints_revision ON light_fingerprints (revision);

CREATE TABLE deep_fingerprints (
    light_id BIGINT NOT NULL, 
    codes MEDIUMBLOB NOT NULL, 
    thumbnail MEDIUMBLOB NOT NULL, 
    version SMALLINT NOT NULL, 
    revision BIGINT NOT NULL, 
    PRIMARY KEY (light_id), 
    CONSTRAINT fk_deep_fingerprints_light_id FOREIGN KEY(light_id) REFERENCES light_fingerprints (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_deep_fingerprints_revision ON deep_fingerprints (revision);

CREATE TABLE tombstones (
    light_id BIGINT NOT NULL, 
    revision BIGINT NOT NULL, 
    PRIMARY KEY (light_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_tombstones_revision ON tombstones (revision);

CREATE TABLE images (
    id BIGINT NOT NULL AUTO_INCREMENT, 
    user_id BIGINT NOT NULL, 
    light_id BIGINT NOT NULL, 
    path VARBINARY(4096) NOT NULL, 
    path_sha256 BINARY(32) NOT NULL, 
    size BIGINT NOT NULL, 
    mtime_ns BIGINT NOT NULL, 
    inode BIGINT NOT NULL, 
    device BIGINT NOT NULL, 
    PRIMARY KEY (id), 
    CONSTRAINT fk_images_user_id FOREIGN KEY(user_id) REFERENCES users (id), 
    CONSTRAINT fk_images_light_id FOREIGN KEY(light_id) REFERENCES light_fingerprints (id), 
    UNIQUE (path_sha256)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_images_user_id ON images (user_id);

CREATE INDEX ix_images_light_id ON images (light_id);

CREATE INDEX ix_images_inode ON images (inode, device);

CREATE INDEX ix_images_size ON images (size);

CREATE TABLE unreadable_files (
    path_sha256 BINARY(32) NOT NULL, 
    path VARBINARY(4096) NOT NULL, 
    username VARCHAR(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    size BIGINT NOT NULL, 
    mtime_ns BIGINT NOT NULL, 
    inode BIGINT NOT NULL, 
    device BIGINT NOT NULL, 
    kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    reason VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, 
    attempts INTEGER NOT NULL, 
    reader_version SMALLINT NOT NULL, 
    failed_at DATETIME(6) NOT NULL, 
    next_retry DATETIME(6), 
    PRIMARY KEY (path_sha256)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_unreadable_files_username ON unreadable_files (username);

CREATE TABLE scans (
    id BIGINT NOT NULL AUTO_INCREMENT, 
    finished_at DATETIME(6) NOT NULL, 
    added BIGINT NOT NULL, 
    updated BIGINT NOT NULL, 
    moved BIGINT NOT NULL, 
    removed BIGINT NOT NULL, 
    unchanged BIGINT NOT NULL, 
    unreadable BIGINT NOT NULL, 
    ignored BIGINT NOT NULL, 
    seconds DOUBLE NOT NULL, 
    PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO alembic_version (version_num) VALUES ('0001');

-- Running upgrade 0001 -> 0002

CREATE TABLE IF NOT EXISTS daemon (
    id INTEGER NOT NULL, 
    state VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    remark VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, 
    waiting BIGINT NOT NULL, 
    lag_seconds DOUBLE NOT NULL, 
    next_scan DATETIME(6), 
    seen_at DATETIME(6) NOT NULL, 
    PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

ALTER TABLE checkpoint ADD COLUMN newest DATETIME(6);

CREATE TABLE replies (
    id BIGINT NOT NULL, 
    front_end VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    chat_id BIGINT NOT NULL, 
    person_id BIGINT NOT NULL, 
    language VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    at DATETIME(6) NOT NULL, 
    outcomes MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, 
    PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_replies_at ON replies (at);

CREATE TABLE reply_matches (
    reply_id BIGINT NOT NULL, 
    picture SMALLINT NOT NULL, 
    position INTEGER NOT NULL, 
    user_id BIGINT NOT NULL, 
    light_id BIGINT NOT NULL, 
    is_similar SMALLINT NOT NULL, 
    confidence DOUBLE NOT NULL, 
    how VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, 
    PRIMARY KEY (reply_id, picture, position), 
    CONSTRAINT fk_reply_matches_reply_id FOREIGN KEY(reply_id) REFERENCES replies (id) ON DELETE CASCADE, 
    CONSTRAINT fk_reply_matches_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_reply_matches_user_id ON reply_matches (user_id);

CREATE TABLE reports (
    id BIGINT NOT NULL AUTO_INCREMENT, 
    reply_id BIGINT NOT NULL, 
    person_id BIGINT NOT NULL, 
    reported_at DATETIME(6) NOT NULL, 
    PRIMARY KEY (id), 
    CONSTRAINT uq_reports_reply_id UNIQUE (reply_id, person_id), 
    CONSTRAINT fk_reports_reply_id FOREIGN KEY(reply_id) REFERENCES replies (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

DROP TABLE daemon;

CREATE INDEX ix_deep_fingerprints_version ON deep_fingerprints (version);

CREATE TABLE daemon (
    id INTEGER NOT NULL, 
    state VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    remark VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, 
    waiting BIGINT NOT NULL, 
    lag_seconds DOUBLE NOT NULL, 
    next_scan DATETIME(6), 
    seen_at DATETIME(6) NOT NULL, 
    emitter VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    has_workers SMALLINT NOT NULL, 
    PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE front_ends (
    name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    state VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    remark VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, 
    waiting BIGINT NOT NULL, 
    has_workers SMALLINT NOT NULL, 
    seen_at DATETIME(6) NOT NULL, 
    PRIMARY KEY (name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE opt_outs (
    id BIGINT NOT NULL AUTO_INCREMENT, 
    username VARCHAR(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, 
    forgotten_at DATETIME(6) NOT NULL, 
    images BIGINT NOT NULL, 
    revision BIGINT NOT NULL, 
    undone_at DATETIME(6), 
    PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_opt_outs_username ON opt_outs (username);

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

ALTER TABLE light_fingerprints RENAME TO photos;

ALTER TABLE deep_fingerprints RENAME TO photo_features;

ALTER TABLE photo_features RENAME COLUMN light_id TO photo_id;

ALTER TABLE images RENAME COLUMN light_id TO photo_id;

ALTER TABLE tombstones RENAME COLUMN light_id TO photo_id;

ALTER TABLE reply_matches RENAME COLUMN light_id TO photo_id;

ALTER TABLE photos RENAME INDEX ix_light_fingerprints_revision TO ix_photos_revision;

ALTER TABLE photo_features RENAME INDEX ix_deep_fingerprints_revision TO ix_photo_features_revision;

ALTER TABLE photo_features RENAME INDEX ix_deep_fingerprints_version TO ix_photo_features_version;

ALTER TABLE images RENAME INDEX ix_images_light_id TO ix_images_photo_id;

SET foreign_key_checks = 0;

ALTER TABLE photo_features DROP FOREIGN KEY fk_deep_fingerprints_light_id, ADD CONSTRAINT fk_photo_features_photo_id FOREIGN KEY (photo_id) REFERENCES photos (id) ON DELETE CASCADE;

ALTER TABLE images DROP FOREIGN KEY fk_images_light_id, ADD CONSTRAINT fk_images_photo_id FOREIGN KEY (photo_id) REFERENCES photos (id);

SET foreign_key_checks = 1;

UPDATE daemon SET state = 'dataset suspicious' WHERE state = 'root suspicious';

UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';
