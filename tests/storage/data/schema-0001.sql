BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE hypersearch_attempt (
	trial_id INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	owner VARCHAR(32) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	device VARCHAR(64) NOT NULL, 
	threads INTEGER NOT NULL, 
	started_ms BIGINT NOT NULL, 
	ended_ms BIGINT, 
	outcome VARCHAR(16), 
	reason TEXT, 
	PRIMARY KEY (trial_id, attempt), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE
);
CREATE TABLE hypersearch_epoch (
	trial_id INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	train_loss FLOAT NOT NULL, 
	train_accuracy FLOAT NOT NULL, 
	validation_loss FLOAT NOT NULL, 
	validation_accuracy FLOAT NOT NULL, 
	validation_balanced_accuracy FLOAT NOT NULL, 
	validation_macro_f1 FLOAT NOT NULL, 
	learning_rate FLOAT NOT NULL, 
	near_zero_share FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	images_per_second FLOAT NOT NULL, 
	train_eval_loss FLOAT, 
	PRIMARY KEY (trial_id, epoch), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE
);
CREATE TABLE hypersearch_lease (
	trial_id INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	owner VARCHAR(32), 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	process_started FLOAT NOT NULL, 
	beat_ms BIGINT NOT NULL, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE
);
CREATE TABLE hypersearch_study (
	study_id INTEGER NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	definition TEXT NOT NULL, 
	definition_hash VARCHAR(64) NOT NULL, 
	trials INTEGER NOT NULL, 
	timeout_seconds FLOAT, 
	target FLOAT, 
	state VARCHAR(16) NOT NULL, 
	end_reason VARCHAR(255), 
	created_ms BIGINT NOT NULL, 
	started_ms BIGINT, 
	ended_ms BIGINT, 
	PRIMARY KEY (study_id), 
	CONSTRAINT hypersearch_study_trials CHECK (trials >= 1), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE, 
	UNIQUE (uid)
);
INSERT INTO "hypersearch_study" VALUES(1,'uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu','{}','0',2,NULL,NULL,'open',NULL,1795404565021,NULL,NULL);
CREATE TABLE hypersearch_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT hypersearch_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "hypersearch_version" VALUES('0001');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'s');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["accuracy"]');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
