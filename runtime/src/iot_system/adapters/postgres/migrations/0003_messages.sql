-- Numbers and bools of one message share a row: an entry of the primary key costs three times what the rest does.
-- Such a row has the first of `metrics` as its `metric`, nothing in the columns of single values, and the values in
-- arrays beside `metrics`: numbers first, then whole numbers, then bools, each led by nulls for those before it.
alter table history
    add column metrics integer[],
    add column numbers double precision[],
    add column wholes bigint[],
    add column flags boolean[];

-- Each reading by itself, as all of the history was before.
create view readings as
select
    h.time_us,
    h.device,
    coalesce(p.metric, h.metric) as metric,
    coalesce(p.number, h.number) as number,
    coalesce(p.whole, h.whole) as whole,
    coalesce(p.flag, h.flag) as flag,
    h.text,
    h.json
from history h
left join lateral unnest(h.metrics, h.numbers, h.wholes, h.flags) p (metric, number, whole, flag) on true;
