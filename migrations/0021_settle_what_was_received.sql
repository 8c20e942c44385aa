-- Suspense is of the moment at which the start of a node that left it was last heard of: the earliest at which it can have been delivered. That fixes
-- its day and the period of the books it is on; settled later, it is billed on that day.
DROP VIEW usage_suspense_offsets;
ALTER TABLE usage_suspense ADD COLUMN at bigint; -- UTC milliseconds
ALTER TABLE usage_suspense ADD COLUMN day date;
ALTER TABLE usage_suspense ADD COLUMN period date;
UPDATE usage_suspense SET at = licet_utc_ms();
CREATE FUNCTION licet_book_suspense() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT isempty(OLD.ranges) THEN
            RAISE EXCEPTION 'suspense is settled, not deleted' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.period IS NOT NULL THEN
        NEW.at := OLD.at;
        NEW.day := OLD.day;
        NEW.period := OLD.period;
        RETURN NEW;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(7811887391290093939);
    NEW.day := (to_timestamp(NEW.at / 1000.0) AT TIME ZONE 'UTC')::date;
    NEW.period := greatest(date_trunc('month', NEW.day)::date, (SELECT (max(c.period) + interval '1 month')::date FROM billing_cuts c));
    RETURN NEW;
END $$;
CREATE TRIGGER suspense_booked BEFORE INSERT OR UPDATE OR DELETE ON usage_suspense FOR EACH ROW EXECUTE FUNCTION licet_book_suspense();
UPDATE usage_suspense SET ranges = ranges;
ALTER TABLE usage_suspense ALTER COLUMN at SET NOT NULL, ALTER COLUMN day SET NOT NULL, ALTER COLUMN period SET NOT NULL;
ALTER TABLE usage_suspense DROP CONSTRAINT usage_suspense_pkey;
ALTER TABLE usage_suspense ADD PRIMARY KEY (contract, product, partition, stream_epoch, at, period);
CREATE VIEW usage_suspense_offsets AS
SELECT contract, product, partition, stream_epoch, day, period, sum(upper(range) - lower(range)) AS offsets
FROM (SELECT contract, product, partition, stream_epoch, day, period, unnest(ranges) AS range FROM usage_suspense) open
GROUP BY contract, product, partition, stream_epoch, day, period;
GRANT SELECT ON usage_suspense_offsets TO licet_serving;
GRANT DELETE ON usage_suspense TO licet_serving;

-- The time of the last record the ledger has of a start (UTC milliseconds).
ALTER TABLE usage_watermark ADD COLUMN at bigint NOT NULL DEFAULT 0;

-- Where streams of a start began at offsets behind one that was not billed: what lies below, they did not receive. Of starts that ended: usage_begun.
ALTER TABLE usage_intent ADD COLUMN begun int8multirange NOT NULL DEFAULT '{}';
CREATE TABLE usage_begun (
    contract integer NOT NULL,
    product integer NOT NULL,
    partition integer NOT NULL,
    stream_epoch bigint NOT NULL,
    offsets int8multirange NOT NULL,
    PRIMARY KEY (contract, product, partition, stream_epoch)
);
GRANT SELECT, INSERT, UPDATE ON usage_begun TO licet_serving;

-- Of a record of which a part was billed already: what was not, until the node that wrote it has counted that part for itself. Then it is billed, and
-- no longer counted as unbilled.
ALTER TABLE usage_unbilled ADD COLUMN rest int8multirange NOT NULL DEFAULT '{}';
ALTER TABLE usage_unbilled ADD COLUMN at bigint NOT NULL DEFAULT 0; -- UTC milliseconds
CREATE INDEX usage_unbilled_open ON usage_unbilled (contract, product, partition, stream_epoch) WHERE NOT isempty(rest);
CREATE FUNCTION licet_unbilled_shrinks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.events NOT BETWEEN 0 AND OLD.events OR NEW.bytes NOT BETWEEN 0 AND OLD.bytes OR NOT OLD.rest @> NEW.rest THEN
        RAISE EXCEPTION 'what is unbilled only becomes less' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER unbilled_shrinks BEFORE UPDATE ON usage_unbilled FOR EACH ROW EXECUTE FUNCTION licet_unbilled_shrinks();
GRANT UPDATE (events, bytes, rest) ON usage_unbilled TO licet_serving;
-- The sums that quotas ask for follow: what is billed then is added by its row.
CREATE FUNCTION licet_less_by_start() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE usage_by_start s SET unbilled_events = s.unbilled_events - d.events, unbilled_bytes = s.unbilled_bytes - d.bytes
    FROM (SELECT contract, day, node, boot, sum(events) AS events, sum(bytes) AS bytes
          FROM (SELECT contract, day, node, boot, events, bytes FROM former UNION ALL SELECT contract, day, node, boot, -events, -bytes FROM changed) both_sides
          GROUP BY contract, day, node, boot) d
    WHERE (s.contract, s.day, s.node, s.boot) = (d.contract, d.day, d.node, d.boot);
    RETURN NULL;
END $$;
CREATE TRIGGER summed_again AFTER UPDATE ON usage_unbilled REFERENCING OLD TABLE AS former NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION licet_less_by_start();
REVOKE EXECUTE ON FUNCTION licet_less_by_start() FROM PUBLIC;

-- The billed ranges of a meter only grow, or become what usage_billed says.
CREATE OR REPLACE FUNCTION licet_billed_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.ranges @> OLD.ranges THEN
        RETURN NEW;
    END IF;
    IF NEW.ranges = (SELECT coalesce(range_agg(b.range), '{}') FROM usage_billed b WHERE b.contract = NEW.contract AND b.product = NEW.product AND
        b.partition = NEW.partition AND b.stream_epoch = NEW.stream_epoch) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'billed ranges of a meter only grow' USING ERRCODE = 'integrity_constraint_violation';
END $$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['licet_book_suspense', 'licet_unbilled_shrinks', 'licet_billed_stays', 'licet_less_by_start'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
    END LOOP;
END $$;
