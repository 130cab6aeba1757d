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
	reason TEXT, data_fingerprint VARCHAR(64), piece INTEGER, cause VARCHAR(16), 
	PRIMARY KEY (trial_id, attempt), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE
);
INSERT INTO "hypersearch_attempt" VALUES(1,1,'89832c9d5d514b1d88fb80ef210065c9','laptop','none',1,1795764741148,1795764741336,'complete',NULL,NULL,NULL,NULL);
INSERT INTO "hypersearch_attempt" VALUES(2,1,'89832c9d5d514b1d88fb80ef210065c9','laptop','none',1,1795764741363,1795764741418,'pruned','by threshold',NULL,NULL,'pruner');
INSERT INTO "hypersearch_attempt" VALUES(3,1,'89832c9d5d514b1d88fb80ef210065c9','laptop','none',1,1795764741458,1795764741506,'handed_back',NULL,NULL,NULL,NULL);
CREATE TABLE hypersearch_database (
	uid VARCHAR(32) NOT NULL, 
	place TEXT NOT NULL, 
	PRIMARY KEY (uid)
);
INSERT INTO "hypersearch_database" VALUES('45287bd33c23455b91d0d57405b9f11c','laptop');
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
	train_eval_loss FLOAT, checkpoint VARCHAR(64), checkpoint_sha256 VARCHAR(64), 
	PRIMARY KEY (trial_id, epoch), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE
);
INSERT INTO "hypersearch_epoch" VALUES(1,1,1,0.290846148844491,7.42480298996207599415e-01,2.92750200000283899992e-01,7.41029102352652735419e-01,7.41029102352652735419e-01,7.41029102352652735419e-01,1.99852361518725778546e-03,2.28191630237283282767e-02,0.001,4000000.0,NULL,NULL,NULL);
INSERT INTO "hypersearch_epoch" VALUES(1,2,1,7.46988624317743293845e-02,9.26553986546790331324e-01,8.21937360705298075691e-02,0.919483155485124,0.919483155485124,0.919483155485124,1.46830407214864309961e-03,2.28191630237283282767e-02,0.001,4000000.0,NULL,NULL,NULL);
INSERT INTO "hypersearch_epoch" VALUES(1,3,1,2.05026080121552267687e-02,9.79291981005776190905e-01,1.99503513422112262187e-02,9.79844224554449860775e-01,9.79844224554449860775e-01,9.79844224554449860775e-01,4.84400566600044074627e-04,2.28191630237283282767e-02,0.001,4000000.0,NULL,NULL,NULL);
INSERT INTO "hypersearch_epoch" VALUES(1,4,1,5.50146936214051217317e-03,9.94401669395061693634e-01,1.01251388800662513178e-02,0.989720354870817,0.989720354870817,0.989720354870817,8.00000000000000215279e-09,2.28191630237283282767e-02,0.001,4000000.0,5.50146936214051217317e-03,NULL,NULL);
INSERT INTO "hypersearch_epoch" VALUES(2,1,1,2.07462778181749341044e+00,1.07758337323687711228e-01,2.10773888308480383813e+00,1.03584091640202102801e-01,1.03584091640202102801e-01,1.03584091640202102801e-01,9.95693310147538879293e-06,0.0,0.001,4000000.0,NULL,NULL,NULL);
INSERT INTO "hypersearch_epoch" VALUES(2,2,1,2.0428970457241697467e+00,1.11890364171729581044e-01,2.1102328534443661745e+00,1.03275243920265227814e-01,1.03275243920265227814e-01,1.03275243920265227814e-01,7.11175626176091244022e-06,0.0,0.001,4000000.0,NULL,NULL,NULL);
INSERT INTO "hypersearch_epoch" VALUES(3,1,1,2.92536439062313635695e-01,7.41191885294454122501e-01,3.1217643864655580943e-01,0.726379989582662,0.726379989582662,0.726379989582662,0.1,0.0,0.001,4000000.0,NULL,'1-1.ckpt','d67383150953784bb905cb8ba261e376f72506b39ec23506e877a753baaf3595');
CREATE TABLE hypersearch_lease (
	trial_id INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	owner VARCHAR(32), 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	process_started FLOAT NOT NULL, 
	beat_ms BIGINT NOT NULL, expires_ms BIGINT DEFAULT '0' NOT NULL, machine VARCHAR(128) DEFAULT '' NOT NULL, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE
);
INSERT INTO "hypersearch_lease" VALUES(3,1,NULL,'laptop',14372,54755.29,1795764741497,1795764741497,'mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm');
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
	ended_ms BIGINT, priority INTEGER DEFAULT '0' NOT NULL, paused_since_ms BIGINT, paused_ms BIGINT DEFAULT '0' NOT NULL, data_folder TEXT, data_fingerprint VARCHAR(64), pixel_scales TEXT, 
	PRIMARY KEY (study_id), 
	CONSTRAINT hypersearch_study_trials CHECK (trials >= 1), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE, 
	UNIQUE (uid)
);
INSERT INTO "hypersearch_study" VALUES(1,'ab8408344619429c9cd4182d3a7896c1','{"data":{"dataset":"synthetic","split_seed":0,"validation_fraction":0.2},"model":{"channels":[16,32,64],"hidden_units":100},"space":{"adagrad.learning_rate":{"high":0.1,"log":true,"low":1e-05,"optional":false},"adagrad.weight_decay":{"high":0.001,"log":true,"low":1e-06,"optional":true},"adam.amsgrad":false,"adam.beta1":false,"adam.beta2":false,"adam.learning_rate":{"high":0.01,"log":true,"low":0.0003,"optional":false},"adam.weight_decay":{"high":0.001,"log":true,"low":1e-06,"optional":true},"adamw.amsgrad":false,"adamw.beta1":false,"adamw.beta2":false,"adamw.learning_rate":{"high":0.01,"log":true,"low":0.0003,"optional":false},"adamw.weight_decay":{"high":1.0,"log":true,"low":0.001,"optional":true},"augmentation":["none","shift","rotate","shift+rotate"],"augmentation.strength":{"high":1.0,"log":false,"low":0.1,"optional":false},"batch_size":[32,64,128],"dropout":{"high":0.3,"log":false,"low":0.05,"optional":true},"exponential.final_ratio":{"high":0.5,"log":true,"low":0.01,"optional":false},"gradient_clipping":false,"initializer":["default","xavier_normal","he_normal","orthogonal"],"input_normalization":["none","standard","minmax"],"l1":{"high":0.001,"log":true,"low":1e-07,"optional":true},"label_smoothing":{"high":0.2,"log":false,"low":0.02,"optional":true},"multistep.factor":{"high":0.5,"log":false,"low":0.1,"optional":false},"multistep.first":{"high":0.6,"log":false,"low":0.3,"optional":false},"multistep.second":{"high":0.9,"log":false,"low":0.6,"optional":false},"nadam.beta1":false,"nadam.beta2":false,"nadam.learning_rate":{"high":0.01,"log":true,"low":0.0003,"optional":false},"nadam.weight_decay":{"high":0.001,"log":true,"low":1e-06,"optional":true},"normalization":["none","batch","layer","group"],"onecycle.rise":{"high":0.4,"log":false,"low":0.1,"optional":false},"optimizer":["sgd","adagrad","rmsprop","adam","adamw"],"plateau.factor":{"high":0.7,"log":false,"low":0.1,"optional":false},"plateau.patience":{"high":0.3,"log":false,"low":0.0,"optional":false},"radam.beta1":false,"radam.beta2":false,"radam.learning_rate":{"high":0.01,"log":true,"low":0.0003,"optional":false},"radam.weight_decay":{"high":0.001,"log":true,"low":1e-06,"optional":true},"rmsprop.alpha":false,"rmsprop.centered":false,"rmsprop.learning_rate":{"high":0.01,"log":true,"low":0.0003,"optional":false},"rmsprop.momentum":false,"rmsprop.weight_decay":{"high":0.001,"log":true,"low":1e-06,"optional":true},"scheduler":["constant","step","exponential","cosine","onecycle"],"sgd.learning_rate":{"high":0.5,"log":true,"low":0.01,"optional":false},"sgd.momentum":{"high":0.99,"log":false,"low":0.0,"optional":false},"sgd.nesterov":false,"sgd.weight_decay":{"high":0.01,"log":true,"low":1e-06,"optional":true},"step.factor":{"high":0.7,"log":false,"low":0.1,"optional":false},"step.period":{"high":0.5,"log":false,"low":0.2,"optional":false},"warmup":false,"width":false},"study":{"metric":"accuracy","name":"kept","pruner":{"audit":0,"lower":0.4,"min_epochs":2,"name":"threshold"},"sampler":{"name":"random"},"seed":0},"training":{"decay_scope":"weights","epochs":4,"precision":"float32"},"trial":[{"adamw.learning_rate":0.002,"optimizer":"adamw"},{"adagrad.learning_rate":1e-05,"optimizer":"adagrad"},{"optimizer":"sgd","sgd.learning_rate":0.1}],"version":4}','0a5f6c0ff9be215c7dae3261a245a2ff0b8ad1d3e7495220c76f8a014d40e34a',4,NULL,NULL,'open',NULL,1795764740968,1795764741148,NULL,0,NULL,0,NULL,NULL,NULL);
CREATE TABLE hypersearch_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT hypersearch_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "hypersearch_version" VALUES('0005');
CREATE TABLE hypersearch_worker (
	worker_id VARCHAR(32) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	machine VARCHAR(128) NOT NULL, 
	pid INTEGER NOT NULL, 
	process_started FLOAT NOT NULL, 
	device VARCHAR(64) NOT NULL, 
	threads INTEGER NOT NULL, 
	started_ms BIGINT NOT NULL, 
	expires_ms BIGINT NOT NULL, 
	PRIMARY KEY (worker_id)
);
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'kept');
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
INSERT INTO "trial_intermediate_values" VALUES(1,1,1,7.41029102352652735419e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,1,2,0.919483155485124,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(3,1,3,9.79844224554449860775e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,1,4,0.989720354870817,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(5,2,1,1.03584091640202102801e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(6,2,2,1.03275243920265227814e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(7,3,1,0.726379989582662,'FINITE');
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
INSERT INTO "trial_params" VALUES(1,1,'optimizer',4.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adagrad", "rmsprop", "adam", "adamw"]}}');
INSERT INTO "trial_params" VALUES(2,1,'adamw.learning_rate',0.002,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0003, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(3,1,'adamw.weight_decay.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(4,1,'batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [32, 64, 128]}}');
INSERT INTO "trial_params" VALUES(5,1,'scheduler',4.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "step", "exponential", "cosine", "onecycle"]}}');
INSERT INTO "trial_params" VALUES(6,1,'onecycle.rise',2.36797412353741160151e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 0.4, "log": false}}');
INSERT INTO "trial_params" VALUES(7,1,'l1.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(8,1,'l1',2.3083549925634651175e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-07, "high": 0.001, "log": true}}');
INSERT INTO "trial_params" VALUES(9,1,'dropout.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(10,1,'dropout',1.49621445820291520956e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(11,1,'label_smoothing.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(12,1,'label_smoothing',0.152592979288804,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.02, "high": 0.2, "log": false}}');
INSERT INTO "trial_params" VALUES(13,1,'augmentation',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "shift", "rotate", "shift+rotate"]}}');
INSERT INTO "trial_params" VALUES(14,1,'augmentation.strength',3.69433284498557501507e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(15,1,'initializer',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["default", "xavier_normal", "he_normal", "orthogonal"]}}');
INSERT INTO "trial_params" VALUES(16,1,'input_normalization',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "standard", "minmax"]}}');
INSERT INTO "trial_params" VALUES(17,1,'normalization',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "batch", "layer", "group"]}}');
INSERT INTO "trial_params" VALUES(18,2,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adagrad", "rmsprop", "adam", "adamw"]}}');
INSERT INTO "trial_params" VALUES(19,2,'adagrad.learning_rate',1.0e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(20,2,'adagrad.weight_decay.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(21,2,'adagrad.weight_decay',1.12329394333570081417e-06,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.001, "log": true}}');
INSERT INTO "trial_params" VALUES(22,2,'batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [32, 64, 128]}}');
INSERT INTO "trial_params" VALUES(23,2,'scheduler',4.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "step", "exponential", "cosine", "onecycle"]}}');
INSERT INTO "trial_params" VALUES(24,2,'onecycle.rise',2.17275427529415920968e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 0.4, "log": false}}');
INSERT INTO "trial_params" VALUES(25,2,'l1.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(26,2,'dropout.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(27,2,'label_smoothing.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(28,2,'augmentation',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "shift", "rotate", "shift+rotate"]}}');
INSERT INTO "trial_params" VALUES(29,2,'augmentation.strength',8.96672376230320478107e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(30,2,'initializer',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["default", "xavier_normal", "he_normal", "orthogonal"]}}');
INSERT INTO "trial_params" VALUES(31,2,'input_normalization',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "standard", "minmax"]}}');
INSERT INTO "trial_params" VALUES(32,2,'normalization',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "batch", "layer", "group"]}}');
INSERT INTO "trial_params" VALUES(33,3,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adagrad", "rmsprop", "adam", "adamw"]}}');
INSERT INTO "trial_params" VALUES(34,3,'sgd.learning_rate',0.1,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(35,3,'sgd.momentum',2.59580008713678866971e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(36,3,'sgd.weight_decay.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(37,3,'batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [32, 64, 128]}}');
INSERT INTO "trial_params" VALUES(38,3,'scheduler',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "step", "exponential", "cosine", "onecycle"]}}');
INSERT INTO "trial_params" VALUES(39,3,'step.period',2.82322540148981893093e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.2, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(40,3,'step.factor',3.71580179200909133108e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 0.7, "log": false}}');
INSERT INTO "trial_params" VALUES(41,3,'l1.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(42,3,'dropout.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(43,3,'label_smoothing.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(44,3,'label_smoothing',1.8629473886102151936e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.02, "high": 0.2, "log": false}}');
INSERT INTO "trial_params" VALUES(45,3,'augmentation',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "shift", "rotate", "shift+rotate"]}}');
INSERT INTO "trial_params" VALUES(46,3,'initializer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["default", "xavier_normal", "he_normal", "orthogonal"]}}');
INSERT INTO "trial_params" VALUES(47,3,'input_normalization',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "standard", "minmax"]}}');
INSERT INTO "trial_params" VALUES(48,3,'normalization',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "batch", "layer", "group"]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'artifacts:9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c','"{\"artifact_id\": \"9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c\", \"filename\": \"model.safetensors\", \"mimetype\": \"application/octet-stream\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(2,2,'hypersearch:due','2');
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
INSERT INTO "trial_values" VALUES(1,1,0,0.989720354870817,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,1.03275243920265227814e-01,'FINITE');
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
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-27 07:32:21.101101','2026-11-27 07:32:21.323145');
INSERT INTO "trials" VALUES(2,1,1,'PRUNED','2026-11-27 07:32:21.353481','2026-11-27 07:32:21.410813');
INSERT INTO "trials" VALUES(3,2,1,'RUNNING','2026-11-27 07:32:21.438143',NULL);
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
CREATE TRIGGER hypersearch_trials_deleted AFTER DELETE ON trials BEGIN DELETE FROM hypersearch_lease WHERE trial_id = OLD.trial_id; DELETE FROM hypersearch_attempt WHERE trial_id = OLD.trial_id; DELETE FROM hypersearch_epoch WHERE trial_id = OLD.trial_id; END;
CREATE TRIGGER hypersearch_studies_deleted AFTER DELETE ON studies BEGIN DELETE FROM hypersearch_study WHERE study_id = OLD.study_id; END;
COMMIT;
