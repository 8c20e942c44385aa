-- Temporary tables of a session are looked at last: none may stand in for what the triggers of periods read.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['licet_book_usage', 'licet_close_in_order', 'licet_chain_statement', 'licet_seal_statement'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
    END LOOP;
END $$;

-- Statements and notes are of open periods: those of a period are made before it is closed, in the same transaction, or never.
CREATE FUNCTION licet_open_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7811887391290093939);
    IF NEW.period <= (SELECT max(p.period) FROM billing_periods p) THEN
        RAISE EXCEPTION 'period % is closed', to_char(NEW.period, 'YYYY-MM') USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION licet_open_statement() SET search_path = pg_catalog, %I, pg_temp', current_schema());
END $$;
CREATE TRIGGER booked_open BEFORE INSERT ON statements FOR EACH ROW EXECUTE FUNCTION licet_open_statement();
