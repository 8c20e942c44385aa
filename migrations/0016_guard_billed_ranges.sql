-- What is billed stays billed: the ranges of a meter only grow, whoever writes. While 0014 copied them a node may have billed more: they are made anew.
LOCK TABLE usage_billed IN EXCLUSIVE MODE;
INSERT INTO usage_covered
SELECT contract, product, partition, stream_epoch, range_agg(range) FROM usage_billed GROUP BY contract, product, partition, stream_epoch
ON CONFLICT (contract, product, partition, stream_epoch) DO UPDATE SET ranges = usage_covered.ranges + excluded.ranges;

CREATE FUNCTION licet_billed_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT NEW.ranges @> OLD.ranges THEN
        RAISE EXCEPTION 'billed ranges of a meter only grow' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER billed_stays BEFORE UPDATE ON usage_covered FOR EACH ROW EXECUTE FUNCTION licet_billed_stays();
