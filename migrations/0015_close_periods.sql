-- Billing periods are months of UTC, closed one after the other. What is closed moves no more, whoever writes: neither its usage nor its statements.
CREATE TABLE billing_periods (
    period date PRIMARY KEY CHECK (period = date_trunc('month', period)),
    closed_at bigint NOT NULL, -- UTC milliseconds
    closed_by text NOT NULL,
    first_number bigint NOT NULL, -- of its statements
    statements bigint NOT NULL CHECK (statements >= 0)
);

-- How far each node's deliveries are in the ledger. `ended` and `written-off` nodes have nothing more to bring until they start again.
CREATE TABLE usage_nodes (
    node text PRIMARY KEY,
    boot bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'ended', 'written-off')),
    flushed_until bigint NOT NULL, -- UTC milliseconds by the node's clock: all it delivered before is in the ledger
    heard_at bigint NOT NULL       -- by this database's clock
);
INSERT INTO usage_nodes SELECT node, max(boot), 'running', 0, 0 FROM usage_watermark GROUP BY node;

-- Statements and credit notes of the region: one chain of signed documents.
CREATE TABLE statements (
    number bigint PRIMARY KEY CHECK (number > 0),
    kind text NOT NULL CHECK (kind IN ('statement', 'credit-note', 'debit-note')),
    period date NOT NULL CHECK (period = date_trunc('month', period)),
    contract text NOT NULL,
    party text NOT NULL,
    document text NOT NULL, -- JSON, as it was signed
    hash text NOT NULL UNIQUE,
    previous text NOT NULL UNIQUE, -- a chain does not fork
    reference text UNIQUE CHECK ((reference IS NULL) = (kind = 'statement')) -- of a note: given by who asked for it, so that none is made twice
);
CREATE UNIQUE INDEX statements_once ON statements (period, contract) WHERE kind = 'statement';
CREATE INDEX statements_by_contract ON statements (contract, period);
CREATE INDEX statements_by_party ON statements (party, number);
CREATE TABLE statement_lines (
    number bigint NOT NULL REFERENCES statements,
    no bigint NOT NULL CHECK (no > 0),
    line text NOT NULL, -- JSON: a leaf of the statement's tree
    PRIMARY KEY (number, no)
);
-- Complete subtrees over a statement's lines (RFC 6962), from the level on that proofs do not compute anew.
CREATE TABLE statement_tree (
    number bigint NOT NULL REFERENCES statements,
    level smallint NOT NULL,
    position bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (number, level, position)
);

-- The lock 7811887391290093939 is held shared by whoever books usage or a correction, until commit, and alone by who closes a period.

-- Usage is booked into the month of its day, or, when that is closed, into the first open one: its day stays.
CREATE FUNCTION licet_book_usage() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    open_from date;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7811887391290093939);
    SELECT max(p.period) + interval '1 month' INTO open_from FROM billing_periods p;
    IF TG_OP <> 'INSERT' AND OLD.period < open_from THEN
        RAISE EXCEPTION 'period % is closed', to_char(OLD.period, 'YYYY-MM') USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'INSERT' OR NEW.day <> OLD.day THEN
        NEW.period := greatest(date_trunc('month', NEW.day)::date, open_from);
    ELSIF NEW.period <> OLD.period THEN
        RAISE EXCEPTION 'the period of usage follows from its day' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION licet_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %: it is only added to', TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION licet_book_by_period(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ADD COLUMN period date', name);
    EXECUTE format('UPDATE %I SET period = date_trunc(''month'', day)::date', name);
    EXECUTE format('ALTER TABLE %I ALTER COLUMN period SET NOT NULL', name);
    EXECUTE format('CREATE INDEX ON %I (period, contract, product)', name);
    EXECUTE format('CREATE TRIGGER usage_booked BEFORE INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION licet_book_usage()', name);
    EXECUTE format('CREATE TRIGGER usage_kept BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION licet_refuse_change()', name);
END $$;
SELECT licet_book_by_period(name) FROM unnest(ARRAY['usage_billed', 'usage_unbilled', 'usage_delivered', 'usage_minutes', 'usage_replayed']) AS name;
DROP FUNCTION licet_book_by_period(text);
ALTER TABLE usage_delivered DROP CONSTRAINT usage_delivered_pkey;
ALTER TABLE usage_delivered ADD PRIMARY KEY (contract, product, partition, stream_epoch, day, view, period);

-- Months close in their order, none is left out.
CREATE FUNCTION licet_close_in_order() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last date;
BEGIN
    PERFORM pg_advisory_xact_lock(7811887391290093939);
    SELECT max(period) INTO last FROM billing_periods;
    IF NEW.period <> last + interval '1 month' THEN
        RAISE EXCEPTION 'periods close in their order' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER closed_in_order BEFORE INSERT ON billing_periods FOR EACH ROW EXECUTE FUNCTION licet_close_in_order();
-- Numbers are dense, and each document names the one before.
CREATE FUNCTION licet_chain_statement() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last record;
BEGIN
    PERFORM pg_advisory_xact_lock(7811887391290093940);
    SELECT number, hash INTO last FROM statements ORDER BY number DESC LIMIT 1;
    IF NEW.number <> coalesce(last.number, 0) + 1 OR NEW.previous <> coalesce(last.hash, repeat('0', 64)) THEN
        RAISE EXCEPTION 'statement % does not follow the last one', NEW.number USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER chained BEFORE INSERT ON statements FOR EACH ROW EXECUTE FUNCTION licet_chain_statement();
-- Lines come with their statement, in its transaction, or never.
CREATE FUNCTION licet_seal_statement() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT number FROM added) a JOIN statements s USING (number) WHERE s.xmin <> pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'the statement is made' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER sealed AFTER INSERT ON statement_lines REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION licet_seal_statement();
CREATE TRIGGER sealed AFTER INSERT ON statement_tree REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION licet_seal_statement();
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['billing_periods', 'statements', 'statement_lines', 'statement_tree'] LOOP
        EXECUTE format('CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION licet_refuse_change()', name);
    END LOOP;
END $$;

-- By the period it is booked into, too.
DROP VIEW usage_balance, usage_lines;
CREATE VIEW usage_balance AS
SELECT contract, product, partition, stream_epoch, day, view, period,
       coalesce(sum(events) FILTER (WHERE side = 'delivered'), 0) AS delivered_events,
       coalesce(sum(bytes) FILTER (WHERE side = 'delivered'), 0) AS delivered_bytes,
       coalesce(sum(events) FILTER (WHERE side = 'billed'), 0) AS billed_events,
       coalesce(sum(bytes) FILTER (WHERE side = 'billed'), 0) AS billed_bytes,
       coalesce(sum(events) FILTER (WHERE side = 'unbilled'), 0) AS unbilled_events,
       coalesce(sum(bytes) FILTER (WHERE side = 'unbilled'), 0) AS unbilled_bytes
FROM (SELECT contract, product, partition, stream_epoch, day, view, period, events, bytes, 'delivered' AS side FROM usage_delivered
      UNION ALL
      SELECT contract, product, partition, stream_epoch, day, view, period, events, bytes, 'billed' FROM usage_billed
      UNION ALL
      SELECT contract, product, partition, stream_epoch, day, view, period, events, bytes, 'unbilled' FROM usage_unbilled) entries
GROUP BY contract, product, partition, stream_epoch, day, view, period;
CREATE VIEW usage_lines AS
SELECT contract, product, day, region, view, period, sum(events) AS events, sum(bytes) AS bytes, sum(minutes) AS minutes,
       sum(replayed_events) AS replayed_events, sum(replayed_bytes) AS replayed_bytes
FROM (SELECT contract, product, day, region, view, period, events, bytes, 0 AS minutes, 0 AS replayed_events, 0 AS replayed_bytes FROM usage_billed
      UNION ALL
      SELECT contract, product, day, region, view, period, 0, 0, 1, 0, 0 FROM usage_minutes
      UNION ALL
      SELECT contract, product, day, region, view, period, 0, 0, 0, events, bytes FROM usage_replayed) entries
GROUP BY contract, product, day, region, view, period;

GRANT SELECT, INSERT ON billing_periods, statements, statement_lines, statement_tree TO licet_serving;
GRANT SELECT, INSERT, UPDATE ON usage_nodes TO licet_serving;
GRANT SELECT ON usage_balance, usage_lines TO licet_serving;
