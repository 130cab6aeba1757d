CREATE TYPE public.studydirection AS ENUM (
    'NOT_SET',
    'MINIMIZE',
    'MAXIMIZE'
);
CREATE TYPE public.trialintermediatevaluetype AS ENUM (
    'FINITE',
    'INF_POS',
    'INF_NEG',
    'NAN'
);
CREATE TYPE public.trialstate AS ENUM (
    'RUNNING',
    'COMPLETE',
    'PRUNED',
    'FAIL',
    'WAITING'
);
CREATE TYPE public.trialvaluetype AS ENUM (
    'FINITE',
    'INF_POS',
    'INF_NEG'
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.hypersearch_attempt (
    trial_id integer NOT NULL,
    attempt integer NOT NULL,
    owner character varying(32) NOT NULL,
    host character varying(255) NOT NULL,
    device character varying(64) NOT NULL,
    threads integer NOT NULL,
    started_ms bigint NOT NULL,
    ended_ms bigint,
    outcome character varying(16),
    reason text,
    data_fingerprint character varying(64),
    piece integer,
    cause character varying(16)
);
CREATE TABLE public.hypersearch_database (
    uid character varying(32) NOT NULL,
    place text NOT NULL
);
CREATE TABLE public.hypersearch_epoch (
    trial_id integer NOT NULL,
    epoch integer NOT NULL,
    attempt integer NOT NULL,
    train_loss double precision NOT NULL,
    train_accuracy double precision NOT NULL,
    validation_loss double precision NOT NULL,
    validation_accuracy double precision NOT NULL,
    validation_balanced_accuracy double precision NOT NULL,
    validation_macro_f1 double precision NOT NULL,
    learning_rate double precision NOT NULL,
    near_zero_share double precision NOT NULL,
    seconds double precision NOT NULL,
    images_per_second double precision NOT NULL,
    train_eval_loss double precision,
    checkpoint character varying(64),
    checkpoint_sha256 character varying(64)
);
CREATE TABLE public.hypersearch_lease (
    trial_id integer NOT NULL,
    attempt integer NOT NULL,
    owner character varying(32),
    host character varying(255) NOT NULL,
    pid integer NOT NULL,
    process_started double precision NOT NULL,
    beat_ms bigint NOT NULL,
    expires_ms bigint DEFAULT '0'::bigint NOT NULL,
    machine character varying(128) DEFAULT ''::character varying NOT NULL
);
CREATE TABLE public.hypersearch_study (
    study_id integer NOT NULL,
    uid character varying(32) NOT NULL,
    definition text NOT NULL,
    definition_hash character varying(64) NOT NULL,
    trials integer NOT NULL,
    timeout_seconds double precision,
    target double precision,
    state character varying(16) NOT NULL,
    end_reason character varying(255),
    created_ms bigint NOT NULL,
    started_ms bigint,
    ended_ms bigint,
    priority integer DEFAULT 0 NOT NULL,
    paused_since_ms bigint,
    paused_ms bigint DEFAULT '0'::bigint NOT NULL,
    data_folder text,
    data_fingerprint character varying(64),
    pixel_scales text,
    CONSTRAINT hypersearch_study_trials CHECK ((trials >= 1))
);
CREATE TABLE public.hypersearch_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.hypersearch_worker (
    worker_id character varying(32) NOT NULL,
    host character varying(255) NOT NULL,
    machine character varying(128) NOT NULL,
    pid integer NOT NULL,
    process_started double precision NOT NULL,
    device character varying(64) NOT NULL,
    threads integer NOT NULL,
    started_ms bigint NOT NULL,
    expires_ms bigint NOT NULL
);
CREATE TABLE public.studies (
    study_id integer NOT NULL,
    study_name character varying(512) NOT NULL
);
CREATE SEQUENCE public.studies_study_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.studies_study_id_seq OWNED BY public.studies.study_id;
CREATE TABLE public.study_directions (
    study_direction_id integer NOT NULL,
    direction public.studydirection NOT NULL,
    study_id integer NOT NULL,
    objective integer NOT NULL
);
CREATE SEQUENCE public.study_directions_study_direction_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.study_directions_study_direction_id_seq OWNED BY public.study_directions.study_direction_id;
CREATE TABLE public.study_system_attributes (
    study_system_attribute_id integer NOT NULL,
    study_id integer,
    key character varying(512),
    value_json text
);
CREATE SEQUENCE public.study_system_attributes_study_system_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.study_system_attributes_study_system_attribute_id_seq OWNED BY public.study_system_attributes.study_system_attribute_id;
CREATE TABLE public.study_user_attributes (
    study_user_attribute_id integer NOT NULL,
    study_id integer,
    key character varying(512),
    value_json text
);
CREATE SEQUENCE public.study_user_attributes_study_user_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.study_user_attributes_study_user_attribute_id_seq OWNED BY public.study_user_attributes.study_user_attribute_id;
CREATE TABLE public.trial_heartbeats (
    trial_heartbeat_id integer NOT NULL,
    trial_id integer NOT NULL,
    heartbeat timestamp without time zone NOT NULL
);
CREATE SEQUENCE public.trial_heartbeats_trial_heartbeat_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_heartbeats_trial_heartbeat_id_seq OWNED BY public.trial_heartbeats.trial_heartbeat_id;
CREATE TABLE public.trial_intermediate_values (
    trial_intermediate_value_id integer NOT NULL,
    trial_id integer NOT NULL,
    step integer NOT NULL,
    intermediate_value double precision,
    intermediate_value_type public.trialintermediatevaluetype NOT NULL
);
CREATE SEQUENCE public.trial_intermediate_values_trial_intermediate_value_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_intermediate_values_trial_intermediate_value_id_seq OWNED BY public.trial_intermediate_values.trial_intermediate_value_id;
CREATE TABLE public.trial_params (
    param_id integer NOT NULL,
    trial_id integer,
    param_name character varying(512),
    param_value double precision,
    distribution_json text
);
CREATE SEQUENCE public.trial_params_param_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_params_param_id_seq OWNED BY public.trial_params.param_id;
CREATE TABLE public.trial_system_attributes (
    trial_system_attribute_id integer NOT NULL,
    trial_id integer,
    key character varying(512),
    value_json text
);
CREATE SEQUENCE public.trial_system_attributes_trial_system_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_system_attributes_trial_system_attribute_id_seq OWNED BY public.trial_system_attributes.trial_system_attribute_id;
CREATE TABLE public.trial_user_attributes (
    trial_user_attribute_id integer NOT NULL,
    trial_id integer,
    key character varying(512),
    value_json text
);
CREATE SEQUENCE public.trial_user_attributes_trial_user_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_user_attributes_trial_user_attribute_id_seq OWNED BY public.trial_user_attributes.trial_user_attribute_id;
CREATE TABLE public.trial_values (
    trial_value_id integer NOT NULL,
    trial_id integer NOT NULL,
    objective integer NOT NULL,
    value double precision,
    value_type public.trialvaluetype NOT NULL
);
CREATE SEQUENCE public.trial_values_trial_value_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_values_trial_value_id_seq OWNED BY public.trial_values.trial_value_id;
CREATE TABLE public.trials (
    trial_id integer NOT NULL,
    number integer,
    study_id integer,
    state public.trialstate NOT NULL,
    datetime_start timestamp without time zone,
    datetime_complete timestamp without time zone
);
CREATE SEQUENCE public.trials_trial_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trials_trial_id_seq OWNED BY public.trials.trial_id;
CREATE TABLE public.version_info (
    version_info_id integer NOT NULL,
    schema_version integer,
    library_version character varying(256),
    CONSTRAINT version_info_version_info_id_check CHECK ((version_info_id = 1))
);
ALTER TABLE ONLY public.studies ALTER COLUMN study_id SET DEFAULT nextval('public.studies_study_id_seq'::regclass);
ALTER TABLE ONLY public.study_directions ALTER COLUMN study_direction_id SET DEFAULT nextval('public.study_directions_study_direction_id_seq'::regclass);
ALTER TABLE ONLY public.study_system_attributes ALTER COLUMN study_system_attribute_id SET DEFAULT nextval('public.study_system_attributes_study_system_attribute_id_seq'::regclass);
ALTER TABLE ONLY public.study_user_attributes ALTER COLUMN study_user_attribute_id SET DEFAULT nextval('public.study_user_attributes_study_user_attribute_id_seq'::regclass);
ALTER TABLE ONLY public.trial_heartbeats ALTER COLUMN trial_heartbeat_id SET DEFAULT nextval('public.trial_heartbeats_trial_heartbeat_id_seq'::regclass);
ALTER TABLE ONLY public.trial_intermediate_values ALTER COLUMN trial_intermediate_value_id SET DEFAULT nextval('public.trial_intermediate_values_trial_intermediate_value_id_seq'::regclass);
ALTER TABLE ONLY public.trial_params ALTER COLUMN param_id SET DEFAULT nextval('public.trial_params_param_id_seq'::regclass);
ALTER TABLE ONLY public.trial_system_attributes ALTER COLUMN trial_system_attribute_id SET DEFAULT nextval('public.trial_system_attributes_trial_system_attribute_id_seq'::regclass);
ALTER TABLE ONLY public.trial_user_attributes ALTER COLUMN trial_user_attribute_id SET DEFAULT nextval('public.trial_user_attributes_trial_user_attribute_id_seq'::regclass);
ALTER TABLE ONLY public.trial_values ALTER COLUMN trial_value_id SET DEFAULT nextval('public.trial_values_trial_value_id_seq'::regclass);
ALTER TABLE ONLY public.trials ALTER COLUMN trial_id SET DEFAULT nextval('public.trials_trial_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('v3.2.0.a');
INSERT INTO public.hypersearch_attempt VALUES (1, 1, 'b7bb588d8a9242a09b3547f942f28aea', 'laptop', 'none', 1, 1795764747335, 1795764747527, 'complete', NULL, NULL, NULL, NULL);
INSERT INTO public.hypersearch_attempt VALUES (2, 1, 'b7bb588d8a9242a09b3547f942f28aea', 'laptop', 'none', 1, 1795764747581, 1795764747660, 'pruned', 'by threshold', NULL, NULL, 'pruner');
INSERT INTO public.hypersearch_attempt VALUES (3, 1, 'b7bb588d8a9242a09b3547f942f28aea', 'laptop', 'none', 1, 1795764747715, 1795764747775, 'handed_back', NULL, NULL, NULL, NULL);
INSERT INTO public.hypersearch_database VALUES ('db48a33ae8b94edc8f9d9430a61fcc99', 'laptop');
INSERT INTO public.hypersearch_epoch VALUES (1, 1, 1, 0.290846148844491, 0.7424802989962076, 0.2927502000002839, 0.7410291023526527, 0.7410291023526527, 0.7410291023526527, 0.001998523615187258, 0.02281916302372833, 0.001, 4000000, NULL, NULL, NULL);
INSERT INTO public.hypersearch_epoch VALUES (1, 2, 1, 0.07469886243177433, 0.9265539865467903, 0.08219373607052981, 0.919483155485124, 0.919483155485124, 0.919483155485124, 0.001468304072148643, 0.02281916302372833, 0.001, 4000000, NULL, NULL, NULL);
INSERT INTO public.hypersearch_epoch VALUES (1, 3, 1, 0.020502608012155227, 0.9792919810057762, 0.019950351342211226, 0.9798442245544499, 0.9798442245544499, 0.9798442245544499, 0.0004844005666000441, 0.02281916302372833, 0.001, 4000000, NULL, NULL, NULL);
INSERT INTO public.hypersearch_epoch VALUES (1, 4, 1, 0.005501469362140512, 0.9944016693950617, 0.010125138880066251, 0.989720354870817, 0.989720354870817, 0.989720354870817, 8.000000000000002e-09, 0.02281916302372833, 0.001, 4000000, 0.005501469362140512, NULL, NULL);
INSERT INTO public.hypersearch_epoch VALUES (2, 1, 1, 2.0746277818174934, 0.10775833732368771, 2.107738883084804, 0.1035840916402021, 0.1035840916402021, 0.1035840916402021, 9.956933101475389e-06, 0, 0.001, 4000000, NULL, NULL, NULL);
INSERT INTO public.hypersearch_epoch VALUES (2, 2, 1, 2.0428970457241697, 0.11189036417172958, 2.110232853444366, 0.10327524392026523, 0.10327524392026523, 0.10327524392026523, 7.1117562617609124e-06, 0, 0.001, 4000000, NULL, NULL, NULL);
INSERT INTO public.hypersearch_epoch VALUES (3, 1, 1, 0.29253643906231364, 0.7411918852944541, 0.3121764386465558, 0.726379989582662, 0.726379989582662, 0.726379989582662, 0.1, 0, 0.001, 4000000, NULL, '1-1.ckpt', 'd67383150953784bb905cb8ba261e376f72506b39ec23506e877a753baaf3595');
INSERT INTO public.hypersearch_lease VALUES (3, 1, NULL, 'laptop', 14372, 54755.29, 1795764747766, 1795764747766, 'mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm');
INSERT INTO public.hypersearch_study VALUES (1, 'a6d14968eae946afbb8b3be1db234320', '{"data":{"dataset":"synthetic","split_seed":0,"validation_fraction":0.2},"model":{"channels":[16,32,64],"hidden_units":100},"space":{"adagrad.learning_rate":{"high":0.1,"log":true,"low":1e-05,"optional":false},"adagrad.weight_decay":{"high":0.001,"log":true,"low":1e-06,"optional":true},"adam.amsgrad":false,"adam.beta1":false,"adam.beta2":false,"adam.learning_rate":{"high":0.01,"log":true,"low":0.0003,"optional":false},"adam.weight_decay":{"high":0.001,"log":true,"low":1e-06,"optional":true},"adamw.amsgrad":false,"adamw.beta1":false,"adamw.beta2":false,"adamw.learning_rate":{"high":0.01,"log":true,"low":0.0003,"optional":false},"adamw.weight_decay":{"high":1.0,"log":true,"low":0.001,"optional":true},"augmentation":["none","shift","rotate","shift+rotate"],"augmentation.strength":{"high":1.0,"log":false,"low":0.1,"optional":false},"batch_size":[32,64,128],"dropout":{"high":0.3,"log":false,"low":0.05,"optional":true},"exponential.final_ratio":{"high":0.5,"log":true,"low":0.01,"optional":false},"gradient_clipping":false,"initializer":["default","xavier_normal","he_normal","orthogonal"],"input_normalization":["none","standard","minmax"],"l1":{"high":0.001,"log":true,"low":1e-07,"optional":true},"label_smoothing":{"high":0.2,"log":false,"low":0.02,"optional":true},"multistep.factor":{"high":0.5,"log":false,"low":0.1,"optional":false},"multistep.first":{"high":0.6,"log":false,"low":0.3,"optional":false},"multistep.second":{"high":0.9,"log":false,"low":0.6,"optional":false},"nadam.beta1":false,"nadam.beta2":false,"nadam.learning_rate":{"high":0.01,"log":true,"low":0.0003,"optional":false},"nadam.weight_decay":{"high":0.001,"log":true,"low":1e-06,"optional":true},"normalization":["none","batch","layer","group"],"onecycle.rise":{"high":0.4,"log":false,"low":0.1,"optional":false},"optimizer":["sgd","adagrad","rmsprop","adam","adamw"],"plateau.factor":{"high":0.7,"log":false,"low":0.1,"optional":false},"plateau.patience":{"high":0.3,"log":false,"low":0.0,"optional":false},"radam.beta1":false,"radam.beta2":false,"radam.learning_rate":{"high":0.01,"log":true,"low":0.0003,"optional":false},"radam.weight_decay":{"high":0.001,"log":true,"low":1e-06,"optional":true},"rmsprop.alpha":false,"rmsprop.centered":false,"rmsprop.learning_rate":{"high":0.01,"log":true,"low":0.0003,"optional":false},"rmsprop.momentum":false,"rmsprop.weight_decay":{"high":0.001,"log":true,"low":1e-06,"optional":true},"scheduler":["constant","step","exponential","cosine","onecycle"],"sgd.learning_rate":{"high":0.5,"log":true,"low":0.01,"optional":false},"sgd.momentum":{"high":0.99,"log":false,"low":0.0,"optional":false},"sgd.nesterov":false,"sgd.weight_decay":{"high":0.01,"log":true,"low":1e-06,"optional":true},"step.factor":{"high":0.7,"log":false,"low":0.1,"optional":false},"step.period":{"high":0.5,"log":false,"low":0.2,"optional":false},"warmup":false,"width":false},"study":{"metric":"accuracy","name":"kept","pruner":{"audit":0,"lower":0.4,"min_epochs":2,"name":"threshold"},"sampler":{"name":"random"},"seed":0},"training":{"decay_scope":"weights","epochs":4,"precision":"float32"},"trial":[{"adamw.learning_rate":0.002,"optimizer":"adamw"},{"adagrad.learning_rate":1e-05,"optimizer":"adagrad"},{"optimizer":"sgd","sgd.learning_rate":0.1}],"version":4}', '0a5f6c0ff9be215c7dae3261a245a2ff0b8ad1d3e7495220c76f8a014d40e34a', 4, NULL, NULL, 'open', NULL, 1795764746857, 1795764747346, NULL, 0, NULL, 0, NULL, NULL, NULL);
INSERT INTO public.hypersearch_version VALUES ('0005');
INSERT INTO public.studies VALUES (1, 'kept');
INSERT INTO public.study_directions VALUES (1, 'MAXIMIZE', 1, 0);
INSERT INTO public.study_system_attributes VALUES (1, 1, 'study:metric_names', '["accuracy"]');
INSERT INTO public.trial_intermediate_values VALUES (1, 1, 1, 0.7410291023526527, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (2, 1, 2, 0.919483155485124, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (3, 1, 3, 0.9798442245544499, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (4, 1, 4, 0.989720354870817, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (5, 2, 1, 0.1035840916402021, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (6, 2, 2, 0.10327524392026523, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (7, 3, 1, 0.726379989582662, 'FINITE');
INSERT INTO public.trial_params VALUES (1, 1, 'optimizer', 4, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adagrad", "rmsprop", "adam", "adamw"]}}');
INSERT INTO public.trial_params VALUES (2, 1, 'adamw.learning_rate', 0.002, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0003, "high": 0.01, "log": true}}');
INSERT INTO public.trial_params VALUES (3, 1, 'adamw.weight_decay.on', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (4, 1, 'batch_size', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": [32, 64, 128]}}');
INSERT INTO public.trial_params VALUES (5, 1, 'scheduler', 4, '{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "step", "exponential", "cosine", "onecycle"]}}');
INSERT INTO public.trial_params VALUES (6, 1, 'onecycle.rise', 0.23679741235374116, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 0.4, "log": false}}');
INSERT INTO public.trial_params VALUES (7, 1, 'l1.on', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (8, 1, 'l1', 2.308354992563465e-05, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-07, "high": 0.001, "log": true}}');
INSERT INTO public.trial_params VALUES (9, 1, 'dropout.on', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (10, 1, 'dropout', 0.14962144582029152, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.3, "log": false}}');
INSERT INTO public.trial_params VALUES (11, 1, 'label_smoothing.on', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (12, 1, 'label_smoothing', 0.152592979288804, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.02, "high": 0.2, "log": false}}');
INSERT INTO public.trial_params VALUES (13, 1, 'augmentation', 3, '{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "shift", "rotate", "shift+rotate"]}}');
INSERT INTO public.trial_params VALUES (14, 1, 'augmentation.strength', 0.3694332844985575, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (15, 1, 'initializer', 3, '{"name": "CategoricalDistribution", "attributes": {"choices": ["default", "xavier_normal", "he_normal", "orthogonal"]}}');
INSERT INTO public.trial_params VALUES (16, 1, 'input_normalization', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "standard", "minmax"]}}');
INSERT INTO public.trial_params VALUES (17, 1, 'normalization', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "batch", "layer", "group"]}}');
INSERT INTO public.trial_params VALUES (18, 2, 'optimizer', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adagrad", "rmsprop", "adam", "adamw"]}}');
INSERT INTO public.trial_params VALUES (19, 2, 'adagrad.learning_rate', 1e-05, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (20, 2, 'adagrad.weight_decay.on', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (21, 2, 'adagrad.weight_decay', 1.1232939433357008e-06, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.001, "log": true}}');
INSERT INTO public.trial_params VALUES (22, 2, 'batch_size', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": [32, 64, 128]}}');
INSERT INTO public.trial_params VALUES (23, 2, 'scheduler', 4, '{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "step", "exponential", "cosine", "onecycle"]}}');
INSERT INTO public.trial_params VALUES (24, 2, 'onecycle.rise', 0.21727542752941592, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 0.4, "log": false}}');
INSERT INTO public.trial_params VALUES (25, 2, 'l1.on', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (26, 2, 'dropout.on', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (27, 2, 'label_smoothing.on', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (28, 2, 'augmentation', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "shift", "rotate", "shift+rotate"]}}');
INSERT INTO public.trial_params VALUES (29, 2, 'augmentation.strength', 0.8966723762303205, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (30, 2, 'initializer', 2, '{"name": "CategoricalDistribution", "attributes": {"choices": ["default", "xavier_normal", "he_normal", "orthogonal"]}}');
INSERT INTO public.trial_params VALUES (31, 2, 'input_normalization', 2, '{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "standard", "minmax"]}}');
INSERT INTO public.trial_params VALUES (32, 2, 'normalization', 3, '{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "batch", "layer", "group"]}}');
INSERT INTO public.trial_params VALUES (33, 3, 'optimizer', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adagrad", "rmsprop", "adam", "adamw"]}}');
INSERT INTO public.trial_params VALUES (34, 3, 'sgd.learning_rate', 0.1, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 0.5, "log": true}}');
INSERT INTO public.trial_params VALUES (35, 3, 'sgd.momentum', 0.25958000871367887, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO public.trial_params VALUES (36, 3, 'sgd.weight_decay.on', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (37, 3, 'batch_size', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": [32, 64, 128]}}');
INSERT INTO public.trial_params VALUES (38, 3, 'scheduler', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "step", "exponential", "cosine", "onecycle"]}}');
INSERT INTO public.trial_params VALUES (39, 3, 'step.period', 0.2823225401489819, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.2, "high": 0.5, "log": false}}');
INSERT INTO public.trial_params VALUES (40, 3, 'step.factor', 0.37158017920090913, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 0.7, "log": false}}');
INSERT INTO public.trial_params VALUES (41, 3, 'l1.on', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (42, 3, 'dropout.on', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (43, 3, 'label_smoothing.on', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO public.trial_params VALUES (44, 3, 'label_smoothing', 0.18629473886102152, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.02, "high": 0.2, "log": false}}');
INSERT INTO public.trial_params VALUES (45, 3, 'augmentation', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "shift", "rotate", "shift+rotate"]}}');
INSERT INTO public.trial_params VALUES (46, 3, 'initializer', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["default", "xavier_normal", "he_normal", "orthogonal"]}}');
INSERT INTO public.trial_params VALUES (47, 3, 'input_normalization', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "standard", "minmax"]}}');
INSERT INTO public.trial_params VALUES (48, 3, 'normalization', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "batch", "layer", "group"]}}');
INSERT INTO public.trial_system_attributes VALUES (1, 1, 'artifacts:9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c', '"{\"artifact_id\": \"9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c\", \"filename\": \"model.safetensors\", \"mimetype\": \"application/octet-stream\", \"encoding\": null}"');
INSERT INTO public.trial_system_attributes VALUES (2, 2, 'hypersearch:due', '2');
INSERT INTO public.trial_values VALUES (1, 1, 0, 0.989720354870817, 'FINITE');
INSERT INTO public.trial_values VALUES (2, 2, 0, 0.10327524392026523, 'FINITE');
INSERT INTO public.trials VALUES (1, 0, 1, 'COMPLETE', '2026-11-27 07:32:27.305844', '2026-11-27 07:32:27.506781');
INSERT INTO public.trials VALUES (2, 1, 1, 'PRUNED', '2026-11-27 07:32:27.563234', '2026-11-27 07:32:27.651496');
INSERT INTO public.trials VALUES (3, 2, 1, 'RUNNING', '2026-11-27 07:32:27.693757', NULL);
INSERT INTO public.version_info VALUES (1, 12, '5.0.0');
SELECT pg_catalog.setval('public.studies_study_id_seq', 1, true);
SELECT pg_catalog.setval('public.study_directions_study_direction_id_seq', 1, true);
SELECT pg_catalog.setval('public.study_system_attributes_study_system_attribute_id_seq', 1, true);
SELECT pg_catalog.setval('public.study_user_attributes_study_user_attribute_id_seq', 1, false);
SELECT pg_catalog.setval('public.trial_heartbeats_trial_heartbeat_id_seq', 1, false);
SELECT pg_catalog.setval('public.trial_intermediate_values_trial_intermediate_value_id_seq', 7, true);
SELECT pg_catalog.setval('public.trial_params_param_id_seq', 48, true);
SELECT pg_catalog.setval('public.trial_system_attributes_trial_system_attribute_id_seq', 2, true);
SELECT pg_catalog.setval('public.trial_user_attributes_trial_user_attribute_id_seq', 1, false);
SELECT pg_catalog.setval('public.trial_values_trial_value_id_seq', 2, true);
SELECT pg_catalog.setval('public.trials_trial_id_seq', 3, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.hypersearch_attempt
    ADD CONSTRAINT hypersearch_attempt_pkey PRIMARY KEY (trial_id, attempt);
ALTER TABLE ONLY public.hypersearch_database
    ADD CONSTRAINT hypersearch_database_pkey PRIMARY KEY (uid);
ALTER TABLE ONLY public.hypersearch_epoch
    ADD CONSTRAINT hypersearch_epoch_pkey PRIMARY KEY (trial_id, epoch);
ALTER TABLE ONLY public.hypersearch_lease
    ADD CONSTRAINT hypersearch_lease_pkey PRIMARY KEY (trial_id);
ALTER TABLE ONLY public.hypersearch_study
    ADD CONSTRAINT hypersearch_study_pkey PRIMARY KEY (study_id);
ALTER TABLE ONLY public.hypersearch_study
    ADD CONSTRAINT hypersearch_study_uid_key UNIQUE (uid);
ALTER TABLE ONLY public.hypersearch_version
    ADD CONSTRAINT hypersearch_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.hypersearch_worker
    ADD CONSTRAINT hypersearch_worker_pkey PRIMARY KEY (worker_id);
ALTER TABLE ONLY public.studies
    ADD CONSTRAINT studies_pkey PRIMARY KEY (study_id);
ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_pkey PRIMARY KEY (study_direction_id);
ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_study_id_objective_key UNIQUE (study_id, objective);
ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_pkey PRIMARY KEY (study_system_attribute_id);
ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_study_id_key_key UNIQUE (study_id, key);
ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_pkey PRIMARY KEY (study_user_attribute_id);
ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_study_id_key_key UNIQUE (study_id, key);
ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_pkey PRIMARY KEY (trial_heartbeat_id);
ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_trial_id_key UNIQUE (trial_id);
ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_pkey PRIMARY KEY (trial_intermediate_value_id);
ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_trial_id_step_key UNIQUE (trial_id, step);
ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_pkey PRIMARY KEY (param_id);
ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_trial_id_param_name_key UNIQUE (trial_id, param_name);
ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_pkey PRIMARY KEY (trial_system_attribute_id);
ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_trial_id_key_key UNIQUE (trial_id, key);
ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_pkey PRIMARY KEY (trial_user_attribute_id);
ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_trial_id_key_key UNIQUE (trial_id, key);
ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_pkey PRIMARY KEY (trial_value_id);
ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_trial_id_objective_key UNIQUE (trial_id, objective);
ALTER TABLE ONLY public.trials
    ADD CONSTRAINT trials_pkey PRIMARY KEY (trial_id);
ALTER TABLE ONLY public.version_info
    ADD CONSTRAINT version_info_pkey PRIMARY KEY (version_info_id);
CREATE UNIQUE INDEX ix_studies_study_name ON public.studies USING btree (study_name);
CREATE INDEX ix_trials_study_id ON public.trials USING btree (study_id);
ALTER TABLE ONLY public.hypersearch_attempt
    ADD CONSTRAINT hypersearch_attempt_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.hypersearch_epoch
    ADD CONSTRAINT hypersearch_epoch_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.hypersearch_lease
    ADD CONSTRAINT hypersearch_lease_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.hypersearch_study
    ADD CONSTRAINT hypersearch_study_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);
ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);
ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);
ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trials
    ADD CONSTRAINT trials_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);
