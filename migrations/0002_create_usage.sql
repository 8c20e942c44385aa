-- The usage ledger of the region. Ranges are of offsets, half-open.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- How far each start of each node is in the ledger.
CREATE TABLE usage_watermark (
    node text NOT NULL,
    boot bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (node, boot)
);
CREATE TABLE usage_billed (
    contract integer NOT NULL,
    product integer NOT NULL,
    partition integer NOT NULL,
    stream_epoch bigint NOT NULL,
    range int8range NOT NULL,
    events bigint NOT NULL CHECK (events >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0),
    day date NOT NULL,
    region text NOT NULL,
    node text NOT NULL,
    boot bigint NOT NULL,
    sequence bigint NOT NULL,
    -- The backstop of "billed at most once"; the rule is interval subtraction before the insert.
    EXCLUDE USING gist (contract WITH =, product WITH =, partition WITH =, stream_epoch WITH =, range WITH &&)
);
CREATE INDEX usage_billed_by_day ON usage_billed (day, contract, product);
-- What a node may have sent: kept until its start has ended and it is known what of it was delivered.
CREATE TABLE usage_intent (
    node text NOT NULL,
    boot bigint NOT NULL,
    contract integer NOT NULL,
    product integer NOT NULL,
    partition integer NOT NULL,
    stream_epoch bigint NOT NULL,
    ranges int8multirange NOT NULL,
    PRIMARY KEY (node, boot, contract, product, partition, stream_epoch)
);
CREATE TABLE usage_suspense (
    contract integer NOT NULL,
    product integer NOT NULL,
    partition integer NOT NULL,
    stream_epoch bigint NOT NULL,
    ranges int8multirange NOT NULL,
    PRIMARY KEY (contract, product, partition, stream_epoch)
);
-- Delivered again by another node while already billed: explicitly unbilled.
CREATE TABLE usage_unbilled (
    contract integer NOT NULL,
    product integer NOT NULL,
    partition integer NOT NULL,
    stream_epoch bigint NOT NULL,
    range int8range NOT NULL,
    events bigint NOT NULL,
    bytes bigint NOT NULL,
    day date NOT NULL,
    node text NOT NULL,
    boot bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (node, boot, sequence)
);
GRANT SELECT, INSERT, UPDATE ON usage_watermark, usage_suspense TO licet_serving;
GRANT SELECT, INSERT ON usage_billed, usage_unbilled TO licet_serving;
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_intent TO licet_serving;
