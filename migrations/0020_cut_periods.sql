-- A month is cut before it is closed: from then on nothing is booked into it, and its statements are made while usage is booked behind it. At most one
-- month is cut and not closed.
CREATE TABLE billing_cuts (
    period date PRIMARY KEY CHECK (period = date_trunc('month', period)),
    cut_at bigint NOT NULL, -- UTC milliseconds: what its statements state
    cut_by text NOT NULL
);
LOCK TABLE billing_periods IN EXCLUSIVE MODE;
INSERT INTO billing_cuts SELECT period, closed_at, closed_by FROM billing_periods;
ALTER TABLE billing_periods ADD FOREIGN KEY (period) REFERENCES billing_cuts;
-- What its statements are made from beside the ledger, so that whoever takes a closing up makes the same: the contracts as they were (the last revision
-- holds; there is a second when it could not be rated by the first), and what was in suspense.
CREATE TABLE billing_terms (
    period date NOT NULL REFERENCES billing_cuts,
    revision integer NOT NULL CHECK (revision > 0),
    terms text NOT NULL,
    PRIMARY KEY (period, revision)
);
CREATE TABLE billing_suspense (
    period date NOT NULL REFERENCES billing_cuts,
    contract integer NOT NULL,
    product integer NOT NULL,
    offsets bigint NOT NULL,
    PRIMARY KEY (period, contract, product)
);

-- Locks. 7811887391290093939: shared by whoever books usage or a note, until commit; alone by who cuts, for a moment. 7811887391290093940: alone by who
-- appends to the chain of statements. 7811887391290093941: alone by who makes the statements of a period that is cut.

CREATE OR REPLACE FUNCTION licet_book_usage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    open_from date;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7811887391290093939);
    SELECT max(c.period) + interval '1 month' INTO open_from FROM billing_cuts c;
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

-- Months are cut in their order, none is left out, and each is closed before the next.
CREATE FUNCTION licet_cut_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last date;
BEGIN
    PERFORM pg_advisory_xact_lock(7811887391290093939);
    SELECT max(c.period) INTO last FROM billing_cuts c;
    IF NEW.period <> last + interval '1 month' OR EXISTS (SELECT 1 FROM billing_cuts c LEFT JOIN billing_periods p USING (period) WHERE p.period IS NULL) THEN
        RAISE EXCEPTION 'periods are cut in their order' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cut_in_order BEFORE INSERT ON billing_cuts FOR EACH ROW EXECUTE FUNCTION licet_cut_in_order();

-- What is closed was cut, and has the statements it says.
CREATE OR REPLACE FUNCTION licet_close_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7811887391290093940);
    IF NEW.period IS DISTINCT FROM (SELECT max(c.period) FROM billing_cuts c) THEN
        RAISE EXCEPTION 'periods close in their order' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.statements <> (SELECT count(*) FROM statements s WHERE s.period = NEW.period AND s.kind = 'statement') THEN
        RAISE EXCEPTION 'a period is closed with its statements' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

-- Statements are of a period that is cut and not closed; notes are booked into open ones.
CREATE OR REPLACE FUNCTION licet_open_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'statement' THEN
        PERFORM pg_advisory_xact_lock(7811887391290093940);
        IF NOT EXISTS (SELECT 1 FROM billing_cuts c WHERE c.period = NEW.period) OR EXISTS (SELECT 1 FROM billing_periods p WHERE p.period = NEW.period) THEN
            RAISE EXCEPTION 'period % is not being closed', to_char(NEW.period, 'YYYY-MM') USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSE
        PERFORM pg_advisory_xact_lock_shared(7811887391290093939);
        IF NEW.period <= (SELECT max(c.period) FROM billing_cuts c) THEN
            RAISE EXCEPTION 'period % is closed', to_char(NEW.period, 'YYYY-MM') USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;

-- Suspense and the first terms come with the cut, in its transaction; later terms one by one, while it is not closed.
CREATE FUNCTION licet_with_the_cut() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM billing_cuts c WHERE c.period = NEW.period AND c.xmin = pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'the period is cut' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION licet_terms_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7811887391290093941);
    IF NEW.revision <> (SELECT coalesce(max(t.revision), 0) + 1 FROM billing_terms t WHERE t.period = NEW.period) OR
       EXISTS (SELECT 1 FROM billing_periods p WHERE p.period = NEW.period) THEN
        RAISE EXCEPTION 'terms are of a period that is being closed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER with_the_cut BEFORE INSERT ON billing_suspense FOR EACH ROW EXECUTE FUNCTION licet_with_the_cut();
CREATE TRIGGER in_order BEFORE INSERT ON billing_terms FOR EACH ROW EXECUTE FUNCTION licet_terms_in_order();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['licet_book_usage', 'licet_cut_in_order', 'licet_close_in_order', 'licet_open_statement', 'licet_with_the_cut',
                                'licet_terms_in_order'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
    END LOOP;
    FOREACH name IN ARRAY ARRAY['billing_cuts', 'billing_terms', 'billing_suspense'] LOOP
        EXECUTE format('CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION licet_refuse_change()', name);
    END LOOP;
    -- What came after its month was closed: little, and asked for of every period.
    FOREACH name IN ARRAY ARRAY['usage_billed', 'usage_minutes', 'usage_replayed'] LOOP
        EXECUTE format('CREATE INDEX ON %I (period, contract, day) WHERE day < period', name);
    END LOOP;
END $$;

-- The months that something was booked into, found by their indexes.
CREATE VIEW usage_months AS
WITH RECURSIVE months(period) AS (
    SELECT least((SELECT min(period) FROM usage_delivered), (SELECT min(period) FROM usage_billed), (SELECT min(period) FROM usage_unbilled),
                 (SELECT min(period) FROM usage_replayed))
    UNION ALL
    SELECT least((SELECT min(u.period) FROM usage_delivered u WHERE u.period > m.period), (SELECT min(u.period) FROM usage_billed u WHERE u.period > m.period),
                 (SELECT min(u.period) FROM usage_unbilled u WHERE u.period > m.period), (SELECT min(u.period) FROM usage_replayed u WHERE u.period > m.period))
    FROM months m WHERE m.period IS NOT NULL)
SELECT period FROM months WHERE period IS NOT NULL;

GRANT SELECT, INSERT ON billing_cuts, billing_terms, billing_suspense TO licet_serving;
GRANT SELECT ON usage_months TO licet_serving;
