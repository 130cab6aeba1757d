CREATE TABLE `alembic_version` (
  `version_num` varchar(32) NOT NULL,
  PRIMARY KEY (`version_num`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `alembic_version` VALUES ('v3.2.0.a');
CREATE TABLE `hypersearch_attempt` (
  `trial_id` int(11) NOT NULL,
  `attempt` int(11) NOT NULL,
  `owner` varchar(32) NOT NULL,
  `host` varchar(255) NOT NULL,
  `device` varchar(64) NOT NULL,
  `threads` int(11) NOT NULL,
  `started_ms` bigint(20) NOT NULL,
  `ended_ms` bigint(20) DEFAULT NULL,
  `outcome` varchar(16) DEFAULT NULL,
  `reason` longtext DEFAULT NULL,
  `data_fingerprint` varchar(64) DEFAULT NULL,
  `piece` int(11) DEFAULT NULL,
  `cause` varchar(16) DEFAULT NULL,
  PRIMARY KEY (`trial_id`,`attempt`),
  CONSTRAINT `hypersearch_attempt_ibfk_1` FOREIGN KEY (`trial_id`) REFERENCES `trials` (`trial_id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `hypersearch_attempt` VALUES (1,1,'1f10324676ac42d199884255391fb456','laptop','none',1,1795764754373,1795764754588,'complete',NULL,NULL,NULL,NULL);
INSERT INTO `hypersearch_attempt` VALUES (2,1,'1f10324676ac42d199884255391fb456','laptop','none',1,1795764754602,1795764754620,'pruned','by threshold',NULL,NULL,'pruner');
INSERT INTO `hypersearch_attempt` VALUES (3,1,'1f10324676ac42d199884255391fb456','laptop','none',1,1795764754630,1795764754714,'handed_back',NULL,NULL,NULL,NULL);
CREATE TABLE `hypersearch_database` (
  `uid` varchar(32) NOT NULL,
  `place` longtext NOT NULL,
  PRIMARY KEY (`uid`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `hypersearch_database` VALUES ('ecb147add67d4226b68263a81473e624','laptop');
CREATE TABLE `hypersearch_epoch` (
  `trial_id` int(11) NOT NULL,
  `epoch` int(11) NOT NULL,
  `attempt` int(11) NOT NULL,
  `train_loss` double NOT NULL,
  `train_accuracy` double NOT NULL,
  `validation_loss` double NOT NULL,
  `validation_accuracy` double NOT NULL,
  `validation_balanced_accuracy` double NOT NULL,
  `validation_macro_f1` double NOT NULL,
  `learning_rate` double NOT NULL,
  `near_zero_share` double NOT NULL,
  `seconds` double NOT NULL,
  `images_per_second` double NOT NULL,
  `train_eval_loss` double DEFAULT NULL,
  `checkpoint` varchar(64) DEFAULT NULL,
  `checkpoint_sha256` varchar(64) DEFAULT NULL,
  PRIMARY KEY (`trial_id`,`epoch`),
  CONSTRAINT `hypersearch_epoch_ibfk_1` FOREIGN KEY (`trial_id`) REFERENCES `trials` (`trial_id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `hypersearch_epoch` VALUES (1,1,1,0.290846148844491,0.7424802989962076,0.2927502000002839,0.7410291023526527,0.7410291023526527,0.7410291023526527,0.001998523615187258,0.02281916302372833,0.001,4000000,NULL,NULL,NULL);
INSERT INTO `hypersearch_epoch` VALUES (1,2,1,0.07469886243177433,0.9265539865467903,0.08219373607052981,0.919483155485124,0.919483155485124,0.919483155485124,0.001468304072148643,0.02281916302372833,0.001,4000000,NULL,NULL,NULL);
INSERT INTO `hypersearch_epoch` VALUES (1,3,1,0.020502608012155227,0.9792919810057762,0.019950351342211226,0.9798442245544499,0.9798442245544499,0.9798442245544499,0.0004844005666000441,0.02281916302372833,0.001,4000000,NULL,NULL,NULL);
INSERT INTO `hypersearch_epoch` VALUES (1,4,1,0.005501469362140512,0.9944016693950617,0.010125138880066251,0.989720354870817,0.989720354870817,0.989720354870817,0.000000008000000000000002,0.02281916302372833,0.001,4000000,0.005501469362140512,NULL,NULL);
INSERT INTO `hypersearch_epoch` VALUES (2,1,1,2.0746277818174934,0.10775833732368771,2.107738883084804,0.1035840916402021,0.1035840916402021,0.1035840916402021,0.000009956933101475389,0,0.001,4000000,NULL,NULL,NULL);
INSERT INTO `hypersearch_epoch` VALUES (2,2,1,2.0428970457241697,0.11189036417172958,2.110232853444366,0.10327524392026523,0.10327524392026523,0.10327524392026523,0.0000071117562617609124,0,0.001,4000000,NULL,NULL,NULL);
INSERT INTO `hypersearch_epoch` VALUES (3,1,1,0.29253643906231364,0.7411918852944541,0.3121764386465558,0.726379989582662,0.726379989582662,0.726379989582662,0.1,0,0.001,4000000,NULL,'1-1.ckpt','d67383150953784bb905cb8ba261e376f72506b39ec23506e877a753baaf3595');
CREATE TABLE `hypersearch_lease` (
  `trial_id` int(11) NOT NULL,
  `attempt` int(11) NOT NULL,
  `owner` varchar(32) DEFAULT NULL,
  `host` varchar(255) NOT NULL,
  `pid` int(11) NOT NULL,
  `process_started` double NOT NULL,
  `beat_ms` bigint(20) NOT NULL,
  `expires_ms` bigint(20) NOT NULL DEFAULT 0,
  `machine` varchar(128) NOT NULL DEFAULT '',
  PRIMARY KEY (`trial_id`),
  CONSTRAINT `hypersearch_lease_ibfk_1` FOREIGN KEY (`trial_id`) REFERENCES `trials` (`trial_id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `hypersearch_lease` VALUES (3,1,NULL,'laptop',14372,54755.29,1795764754704,1795764754704,'mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm');
CREATE TABLE `hypersearch_study` (
  `study_id` int(11) NOT NULL,
  `uid` varchar(32) NOT NULL,
  `definition` longtext NOT NULL,
  `definition_hash` varchar(64) NOT NULL,
  `trials` int(11) NOT NULL,
  `timeout_seconds` double DEFAULT NULL,
  `target` double DEFAULT NULL,
  `state` varchar(16) NOT NULL,
  `end_reason` varchar(255) DEFAULT NULL,
  `created_ms` bigint(20) NOT NULL,
  `started_ms` bigint(20) DEFAULT NULL,
  `ended_ms` bigint(20) DEFAULT NULL,
  `priority` int(11) NOT NULL DEFAULT 0,
  `paused_since_ms` bigint(20) DEFAULT NULL,
  `paused_ms` bigint(20) NOT NULL DEFAULT 0,
  `data_folder` longtext DEFAULT NULL,
  `data_fingerprint` varchar(64) DEFAULT NULL,
  `pixel_scales` longtext DEFAULT NULL,
  PRIMARY KEY (`study_id`),
  UNIQUE KEY `uid` (`uid`),
  CONSTRAINT `hypersearch_study_ibfk_1` FOREIGN KEY (`study_id`) REFERENCES `studies` (`study_id`) ON DELETE CASCADE,
  CONSTRAINT `hypersearch_study_trials` CHECK (`trials` >= 1)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `hypersearch_study` VALUES (1,'e176c13b5c55491a92e0960f6258c834','{\"data\":{\"dataset\":\"synthetic\",\"split_seed\":0,\"validation_fraction\":0.2},\"model\":{\"channels\":[16,32,64],\"hidden_units\":100},\"space\":{\"adagrad.learning_rate\":{\"high\":0.1,\"log\":true,\"low\":1e-05,\"optional\":false},\"adagrad.weight_decay\":{\"high\":0.001,\"log\":true,\"low\":1e-06,\"optional\":true},\"adam.amsgrad\":false,\"adam.beta1\":false,\"adam.beta2\":false,\"adam.learning_rate\":{\"high\":0.01,\"log\":true,\"low\":0.0003,\"optional\":false},\"adam.weight_decay\":{\"high\":0.001,\"log\":true,\"low\":1e-06,\"optional\":true},\"adamw.amsgrad\":false,\"adamw.beta1\":false,\"adamw.beta2\":false,\"adamw.learning_rate\":{\"high\":0.01,\"log\":true,\"low\":0.0003,\"optional\":false},\"adamw.weight_decay\":{\"high\":1.0,\"log\":true,\"low\":0.001,\"optional\":true},\"augmentation\":[\"none\",\"shift\",\"rotate\",\"shift+rotate\"],\"augmentation.strength\":{\"high\":1.0,\"log\":false,\"low\":0.1,\"optional\":false},\"batch_size\":[32,64,128],\"dropout\":{\"high\":0.3,\"log\":false,\"low\":0.05,\"optional\":true},\"exponential.final_ratio\":{\"high\":0.5,\"log\":true,\"low\":0.01,\"optional\":false},\"gradient_clipping\":false,\"initializer\":[\"default\",\"xavier_normal\",\"he_normal\",\"orthogonal\"],\"input_normalization\":[\"none\",\"standard\",\"minmax\"],\"l1\":{\"high\":0.001,\"log\":true,\"low\":1e-07,\"optional\":true},\"label_smoothing\":{\"high\":0.2,\"log\":false,\"low\":0.02,\"optional\":true},\"multistep.factor\":{\"high\":0.5,\"log\":false,\"low\":0.1,\"optional\":false},\"multistep.first\":{\"high\":0.6,\"log\":false,\"low\":0.3,\"optional\":false},\"multistep.second\":{\"high\":0.9,\"log\":false,\"low\":0.6,\"optional\":false},\"nadam.beta1\":false,\"nadam.beta2\":false,\"nadam.learning_rate\":{\"high\":0.01,\"log\":true,\"low\":0.0003,\"optional\":false},\"nadam.weight_decay\":{\"high\":0.001,\"log\":true,\"low\":1e-06,\"optional\":true},\"normalization\":[\"none\",\"batch\",\"layer\",\"group\"],\"onecycle.rise\":{\"high\":0.4,\"log\":false,\"low\":0.1,\"optional\":false},\"optimizer\":[\"sgd\",\"adagrad\",\"rmsprop\",\"adam\",\"adamw\"],\"plateau.factor\":{\"high\":0.7,\"log\":false,\"low\":0.1,\"optional\":false},\"plateau.patience\":{\"high\":0.3,\"log\":false,\"low\":0.0,\"optional\":false},\"radam.beta1\":false,\"radam.beta2\":false,\"radam.learning_rate\":{\"high\":0.01,\"log\":true,\"low\":0.0003,\"optional\":false},\"radam.weight_decay\":{\"high\":0.001,\"log\":true,\"low\":1e-06,\"optional\":true},\"rmsprop.alpha\":false,\"rmsprop.centered\":false,\"rmsprop.learning_rate\":{\"high\":0.01,\"log\":true,\"low\":0.0003,\"optional\":false},\"rmsprop.momentum\":false,\"rmsprop.weight_decay\":{\"high\":0.001,\"log\":true,\"low\":1e-06,\"optional\":true},\"scheduler\":[\"constant\",\"step\",\"exponential\",\"cosine\",\"onecycle\"],\"sgd.learning_rate\":{\"high\":0.5,\"log\":true,\"low\":0.01,\"optional\":false},\"sgd.momentum\":{\"high\":0.99,\"log\":false,\"low\":0.0,\"optional\":false},\"sgd.nesterov\":false,\"sgd.weight_decay\":{\"high\":0.01,\"log\":true,\"low\":1e-06,\"optional\":true},\"step.factor\":{\"high\":0.7,\"log\":false,\"low\":0.1,\"optional\":false},\"step.period\":{\"high\":0.5,\"log\":false,\"low\":0.2,\"optional\":false},\"warmup\":false,\"width\":false},\"study\":{\"metric\":\"accuracy\",\"name\":\"kept\",\"pruner\":{\"audit\":0,\"lower\":0.4,\"min_epochs\":2,\"name\":\"threshold\"},\"sampler\":{\"name\":\"random\"},\"seed\":0},\"training\":{\"decay_scope\":\"weights\",\"epochs\":4,\"precision\":\"float32\"},\"trial\":[{\"adamw.learning_rate\":0.002,\"optimizer\":\"adamw\"},{\"adagrad.learning_rate\":1e-05,\"optimizer\":\"adagrad\"},{\"optimizer\":\"sgd\",\"sgd.learning_rate\":0.1}],\"version\":4}','0a5f6c0ff9be215c7dae3261a245a2ff0b8ad1d3e7495220c76f8a014d40e34a',4,NULL,NULL,'open',NULL,1795764754117,1795764754381,NULL,0,NULL,0,NULL,NULL,NULL);
CREATE TABLE `hypersearch_version` (
  `version_num` varchar(32) NOT NULL,
  PRIMARY KEY (`version_num`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `hypersearch_version` VALUES ('0005');
CREATE TABLE `hypersearch_worker` (
  `worker_id` varchar(32) NOT NULL,
  `host` varchar(255) NOT NULL,
  `machine` varchar(128) NOT NULL,
  `pid` int(11) NOT NULL,
  `process_started` double NOT NULL,
  `device` varchar(64) NOT NULL,
  `threads` int(11) NOT NULL,
  `started_ms` bigint(20) NOT NULL,
  `expires_ms` bigint(20) NOT NULL,
  PRIMARY KEY (`worker_id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
CREATE TABLE `studies` (
  `study_id` int(11) NOT NULL AUTO_INCREMENT,
  `study_name` varchar(512) NOT NULL,
  PRIMARY KEY (`study_id`),
  UNIQUE KEY `ix_studies_study_name` (`study_name`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `studies` VALUES (1,'kept');
CREATE TABLE `study_directions` (
  `study_direction_id` int(11) NOT NULL AUTO_INCREMENT,
  `direction` enum('NOT_SET','MINIMIZE','MAXIMIZE') NOT NULL,
  `study_id` int(11) NOT NULL,
  `objective` int(11) NOT NULL,
  PRIMARY KEY (`study_direction_id`),
  UNIQUE KEY `study_id` (`study_id`,`objective`),
  CONSTRAINT `study_directions_ibfk_1` FOREIGN KEY (`study_id`) REFERENCES `studies` (`study_id`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `study_directions` VALUES (1,'MAXIMIZE',1,0);
CREATE TABLE `study_system_attributes` (
  `study_system_attribute_id` int(11) NOT NULL AUTO_INCREMENT,
  `study_id` int(11) DEFAULT NULL,
  `key` varchar(512) DEFAULT NULL,
  `value_json` text DEFAULT NULL,
  PRIMARY KEY (`study_system_attribute_id`),
  UNIQUE KEY `study_id` (`study_id`,`key`),
  CONSTRAINT `study_system_attributes_ibfk_1` FOREIGN KEY (`study_id`) REFERENCES `studies` (`study_id`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `study_system_attributes` VALUES (1,1,'study:metric_names','[\"accuracy\"]');
CREATE TABLE `study_user_attributes` (
  `study_user_attribute_id` int(11) NOT NULL AUTO_INCREMENT,
  `study_id` int(11) DEFAULT NULL,
  `key` varchar(512) DEFAULT NULL,
  `value_json` text DEFAULT NULL,
  PRIMARY KEY (`study_user_attribute_id`),
  UNIQUE KEY `study_id` (`study_id`,`key`),
  CONSTRAINT `study_user_attributes_ibfk_1` FOREIGN KEY (`study_id`) REFERENCES `studies` (`study_id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
CREATE TABLE `trial_heartbeats` (
  `trial_heartbeat_id` int(11) NOT NULL AUTO_INCREMENT,
  `trial_id` int(11) NOT NULL,
  `heartbeat` datetime NOT NULL,
  PRIMARY KEY (`trial_heartbeat_id`),
  UNIQUE KEY `trial_id` (`trial_id`),
  CONSTRAINT `trial_heartbeats_ibfk_1` FOREIGN KEY (`trial_id`) REFERENCES `trials` (`trial_id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
CREATE TABLE `trial_intermediate_values` (
  `trial_intermediate_value_id` int(11) NOT NULL AUTO_INCREMENT,
  `trial_id` int(11) NOT NULL,
  `step` int(11) NOT NULL,
  `intermediate_value` double DEFAULT NULL,
  `intermediate_value_type` enum('FINITE','INF_POS','INF_NEG','NAN') NOT NULL,
  PRIMARY KEY (`trial_intermediate_value_id`),
  UNIQUE KEY `trial_id` (`trial_id`,`step`),
  CONSTRAINT `trial_intermediate_values_ibfk_1` FOREIGN KEY (`trial_id`) REFERENCES `trials` (`trial_id`)
) ENGINE=InnoDB AUTO_INCREMENT=8 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `trial_intermediate_values` VALUES (1,1,1,0.7410291023526527,'FINITE');
INSERT INTO `trial_intermediate_values` VALUES (2,1,2,0.919483155485124,'FINITE');
INSERT INTO `trial_intermediate_values` VALUES (3,1,3,0.9798442245544499,'FINITE');
INSERT INTO `trial_intermediate_values` VALUES (4,1,4,0.989720354870817,'FINITE');
INSERT INTO `trial_intermediate_values` VALUES (5,2,1,0.1035840916402021,'FINITE');
INSERT INTO `trial_intermediate_values` VALUES (6,2,2,0.10327524392026523,'FINITE');
INSERT INTO `trial_intermediate_values` VALUES (7,3,1,0.726379989582662,'FINITE');
CREATE TABLE `trial_params` (
  `param_id` int(11) NOT NULL AUTO_INCREMENT,
  `trial_id` int(11) DEFAULT NULL,
  `param_name` varchar(512) DEFAULT NULL,
  `param_value` double DEFAULT NULL,
  `distribution_json` text DEFAULT NULL,
  PRIMARY KEY (`param_id`),
  UNIQUE KEY `trial_id` (`trial_id`,`param_name`),
  CONSTRAINT `trial_params_ibfk_1` FOREIGN KEY (`trial_id`) REFERENCES `trials` (`trial_id`)
) ENGINE=InnoDB AUTO_INCREMENT=49 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `trial_params` VALUES (1,1,'optimizer',4,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"sgd\", \"adagrad\", \"rmsprop\", \"adam\", \"adamw\"]}}');
INSERT INTO `trial_params` VALUES (2,1,'adamw.learning_rate',0.002,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.0003, \"high\": 0.01, \"log\": true}}');
INSERT INTO `trial_params` VALUES (3,1,'adamw.weight_decay.on',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (4,1,'batch_size',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [32, 64, 128]}}');
INSERT INTO `trial_params` VALUES (5,1,'scheduler',4,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"constant\", \"step\", \"exponential\", \"cosine\", \"onecycle\"]}}');
INSERT INTO `trial_params` VALUES (6,1,'onecycle.rise',0.23679741235374116,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.1, \"high\": 0.4, \"log\": false}}');
INSERT INTO `trial_params` VALUES (7,1,'l1.on',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (8,1,'l1',0.00002308354992563465,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 1e-07, \"high\": 0.001, \"log\": true}}');
INSERT INTO `trial_params` VALUES (9,1,'dropout.on',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (10,1,'dropout',0.14962144582029152,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.05, \"high\": 0.3, \"log\": false}}');
INSERT INTO `trial_params` VALUES (11,1,'label_smoothing.on',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (12,1,'label_smoothing',0.152592979288804,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.02, \"high\": 0.2, \"log\": false}}');
INSERT INTO `trial_params` VALUES (13,1,'augmentation',3,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"none\", \"shift\", \"rotate\", \"shift+rotate\"]}}');
INSERT INTO `trial_params` VALUES (14,1,'augmentation.strength',0.3694332844985575,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.1, \"high\": 1.0, \"log\": false}}');
INSERT INTO `trial_params` VALUES (15,1,'initializer',3,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"default\", \"xavier_normal\", \"he_normal\", \"orthogonal\"]}}');
INSERT INTO `trial_params` VALUES (16,1,'input_normalization',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"none\", \"standard\", \"minmax\"]}}');
INSERT INTO `trial_params` VALUES (17,1,'normalization',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"none\", \"batch\", \"layer\", \"group\"]}}');
INSERT INTO `trial_params` VALUES (18,2,'optimizer',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"sgd\", \"adagrad\", \"rmsprop\", \"adam\", \"adamw\"]}}');
INSERT INTO `trial_params` VALUES (19,2,'adagrad.learning_rate',0.00001,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 1e-05, \"high\": 0.1, \"log\": true}}');
INSERT INTO `trial_params` VALUES (20,2,'adagrad.weight_decay.on',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (21,2,'adagrad.weight_decay',0.0000011232939433357008,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 1e-06, \"high\": 0.001, \"log\": true}}');
INSERT INTO `trial_params` VALUES (22,2,'batch_size',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [32, 64, 128]}}');
INSERT INTO `trial_params` VALUES (23,2,'scheduler',4,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"constant\", \"step\", \"exponential\", \"cosine\", \"onecycle\"]}}');
INSERT INTO `trial_params` VALUES (24,2,'onecycle.rise',0.21727542752941592,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.1, \"high\": 0.4, \"log\": false}}');
INSERT INTO `trial_params` VALUES (25,2,'l1.on',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (26,2,'dropout.on',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (27,2,'label_smoothing.on',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (28,2,'augmentation',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"none\", \"shift\", \"rotate\", \"shift+rotate\"]}}');
INSERT INTO `trial_params` VALUES (29,2,'augmentation.strength',0.8966723762303205,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.1, \"high\": 1.0, \"log\": false}}');
INSERT INTO `trial_params` VALUES (30,2,'initializer',2,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"default\", \"xavier_normal\", \"he_normal\", \"orthogonal\"]}}');
INSERT INTO `trial_params` VALUES (31,2,'input_normalization',2,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"none\", \"standard\", \"minmax\"]}}');
INSERT INTO `trial_params` VALUES (32,2,'normalization',3,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"none\", \"batch\", \"layer\", \"group\"]}}');
INSERT INTO `trial_params` VALUES (33,3,'optimizer',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"sgd\", \"adagrad\", \"rmsprop\", \"adam\", \"adamw\"]}}');
INSERT INTO `trial_params` VALUES (34,3,'sgd.learning_rate',0.1,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.01, \"high\": 0.5, \"log\": true}}');
INSERT INTO `trial_params` VALUES (35,3,'sgd.momentum',0.25958000871367887,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.0, \"high\": 0.99, \"log\": false}}');
INSERT INTO `trial_params` VALUES (36,3,'sgd.weight_decay.on',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (37,3,'batch_size',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [32, 64, 128]}}');
INSERT INTO `trial_params` VALUES (38,3,'scheduler',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"constant\", \"step\", \"exponential\", \"cosine\", \"onecycle\"]}}');
INSERT INTO `trial_params` VALUES (39,3,'step.period',0.2823225401489819,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.2, \"high\": 0.5, \"log\": false}}');
INSERT INTO `trial_params` VALUES (40,3,'step.factor',0.37158017920090913,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.1, \"high\": 0.7, \"log\": false}}');
INSERT INTO `trial_params` VALUES (41,3,'l1.on',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (42,3,'dropout.on',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (43,3,'label_smoothing.on',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}');
INSERT INTO `trial_params` VALUES (44,3,'label_smoothing',0.18629473886102152,'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.02, \"high\": 0.2, \"log\": false}}');
INSERT INTO `trial_params` VALUES (45,3,'augmentation',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"none\", \"shift\", \"rotate\", \"shift+rotate\"]}}');
INSERT INTO `trial_params` VALUES (46,3,'initializer',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"default\", \"xavier_normal\", \"he_normal\", \"orthogonal\"]}}');
INSERT INTO `trial_params` VALUES (47,3,'input_normalization',1,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"none\", \"standard\", \"minmax\"]}}');
INSERT INTO `trial_params` VALUES (48,3,'normalization',0,'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"none\", \"batch\", \"layer\", \"group\"]}}');
CREATE TABLE `trial_system_attributes` (
  `trial_system_attribute_id` int(11) NOT NULL AUTO_INCREMENT,
  `trial_id` int(11) DEFAULT NULL,
  `key` varchar(512) DEFAULT NULL,
  `value_json` text DEFAULT NULL,
  PRIMARY KEY (`trial_system_attribute_id`),
  UNIQUE KEY `trial_id` (`trial_id`,`key`),
  CONSTRAINT `trial_system_attributes_ibfk_1` FOREIGN KEY (`trial_id`) REFERENCES `trials` (`trial_id`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `trial_system_attributes` VALUES (1,1,'artifacts:9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c','\"{\\\"artifact_id\\\": \\\"9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c\\\", \\\"filename\\\": \\\"model.safetensors\\\", \\\"mimetype\\\": \\\"application/octet-stream\\\", \\\"encoding\\\": null}\"');
INSERT INTO `trial_system_attributes` VALUES (2,2,'hypersearch:due','2');
CREATE TABLE `trial_user_attributes` (
  `trial_user_attribute_id` int(11) NOT NULL AUTO_INCREMENT,
  `trial_id` int(11) DEFAULT NULL,
  `key` varchar(512) DEFAULT NULL,
  `value_json` text DEFAULT NULL,
  PRIMARY KEY (`trial_user_attribute_id`),
  UNIQUE KEY `trial_id` (`trial_id`,`key`),
  CONSTRAINT `trial_user_attributes_ibfk_1` FOREIGN KEY (`trial_id`) REFERENCES `trials` (`trial_id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
CREATE TABLE `trial_values` (
  `trial_value_id` int(11) NOT NULL AUTO_INCREMENT,
  `trial_id` int(11) NOT NULL,
  `objective` int(11) NOT NULL,
  `value` double DEFAULT NULL,
  `value_type` enum('FINITE','INF_POS','INF_NEG') NOT NULL,
  PRIMARY KEY (`trial_value_id`),
  UNIQUE KEY `trial_id` (`trial_id`,`objective`),
  CONSTRAINT `trial_values_ibfk_1` FOREIGN KEY (`trial_id`) REFERENCES `trials` (`trial_id`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `trial_values` VALUES (1,1,0,0.989720354870817,'FINITE');
INSERT INTO `trial_values` VALUES (2,2,0,0.10327524392026523,'FINITE');
CREATE TABLE `trials` (
  `trial_id` int(11) NOT NULL AUTO_INCREMENT,
  `number` int(11) DEFAULT NULL,
  `study_id` int(11) DEFAULT NULL,
  `state` enum('RUNNING','COMPLETE','PRUNED','FAIL','WAITING') NOT NULL,
  `datetime_start` datetime DEFAULT NULL,
  `datetime_complete` datetime DEFAULT NULL,
  PRIMARY KEY (`trial_id`),
  KEY `ix_trials_study_id` (`study_id`),
  CONSTRAINT `trials_ibfk_1` FOREIGN KEY (`study_id`) REFERENCES `studies` (`study_id`)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `trials` VALUES (1,0,1,'COMPLETE','2026-11-27 07:32:34','2026-11-27 07:32:34');
INSERT INTO `trials` VALUES (2,1,1,'PRUNED','2026-11-27 07:32:34','2026-11-27 07:32:34');
INSERT INTO `trials` VALUES (3,2,1,'RUNNING','2026-11-27 07:32:34',NULL);
CREATE TABLE `version_info` (
  `version_info_id` int(11) NOT NULL,
  `schema_version` int(11) DEFAULT NULL,
  `library_version` varchar(256) DEFAULT NULL,
  PRIMARY KEY (`version_info_id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`version_info_id` = 1)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `version_info` VALUES (1,12,'5.0.0');
