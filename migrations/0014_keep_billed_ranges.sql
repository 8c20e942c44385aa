-- What of each meter is billed, in one row: what a node needs to know before it delivers, however long a contract has been streaming.
CREATE TABLE usage_covered (
    contract integer NOT NULL,
    product integer NOT NULL,
    partition integer NOT NULL,
    stream_epoch bigint NOT NULL,
    ranges int8multirange NOT NULL,
    PRIMARY KEY (contract, product, partition, stream_epoch)
);
INSERT INTO usage_covered
SELECT contract, product, partition, stream_epoch, range_agg(range) FROM usage_billed GROUP BY contract, product, partition, stream_epoch;
GRANT SELECT, INSERT, UPDATE ON usage_covered TO licet_serving;
