-- How who owns nothing makes and drops days of the history. They run with the rights of the tables' owner: names are
-- written out, and no schema that others may write to is searched. Callers hold the lock of days.

create or replace function make_history_day(day integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := 'history_' || to_char(date '1970-01-01' + day, 'YYYYMMDD');
    first constant bigint := day * 86400000000;
    past constant bigint := first + 86400000000;
begin
    if day is null or day not between 0 and 2932896 then  -- 9999-12-31; later ones have a name of another length
        raise 'day % is not between 1970 and 9999', day using errcode = 'invalid_parameter_value';
    end if;
    -- Attached, not created in place: that would lock out whoever uses any other day.
    execute format('create table public.%I (like public.history including all)', name);
    execute format(
        'with moved as (delete from public.history_rest where time_us >= %s and time_us < %s returning *) '
        'insert into public.%I select * from moved', first, past, name
    );
    execute format('alter table public.history attach partition public.%I for values from (%s) to (%s)', name, first, past);
end
$$;

create or replace function drop_history_day(day integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := 'history_' || to_char(date '1970-01-01' + day, 'YYYYMMDD');
begin
    if day is null or day >= floor(extract(epoch from now()) / 86400) then
        raise 'day % is not over', day using errcode = 'invalid_parameter_value';
    end if;
    if not exists (
        select from pg_inherits where inhparent = 'public.history'::regclass and inhrelid = to_regclass('public.' || name)
    ) then
        raise 'day % has no partition', day using errcode = 'invalid_parameter_value';
    end if;
    execute format('drop table public.%I', name);
end
$$;

revoke all on function make_history_day(integer), drop_history_day(integer) from public;
