-- Times count microseconds since 1970 (UTC). Ids are ordered by their bytes, as everywhere else in the system.

create table partitions (
    number integer primary key,
    epoch bigint not null,
    owner text not null,
    stream text not null,
    applied bigint not null,
    -- Last number per source and per target partition (MessagePack): written with every commit, never searched.
    received bytea not null,
    sent bytea not null
) with (fillfactor = 50);

create table outbox (
    source integer,
    target integer,
    number bigint,
    data bytea not null,
    primary key (source, target, number)
);

create table devices (
    key integer generated always as identity primary key,
    id text collate "C" not null unique,
    room text collate "C",
    behaviour text not null,
    labels jsonb not null,
    enabled boolean not null,
    created_us bigint not null,
    updated_us bigint not null
);
create index devices_by_room on devices (room, id);
create index devices_by_label on devices using gin (labels jsonb_path_ops);

-- Apart from the registrations: rewritten all the time, in place as long as there is space on the page.
create table device_states (
    device integer primary key references devices on delete cascade,
    state bytea not null
) with (fillfactor = 50);

create table credentials (
    device integer references devices on delete cascade,
    id text collate "C",
    sha256 bytea not null,
    created_us bigint not null,
    primary key (device, id)
);

create table rooms (
    id text collate "C" primary key,
    state bytea not null
) with (fillfactor = 50);

create table metrics (
    key integer generated always as identity primary key,
    name text collate "C" not null unique
);

-- One column per kind of value, one of them filled. `json` and not `jsonb`: what comes out is what came in, to the
-- last digit (jsonb writes 1e300 out in 301), and nobody searches in it.
create table history (
    time_us bigint,
    device integer,
    metric integer,
    number double precision,
    whole bigint,
    flag boolean,
    text text,
    json json,
    primary key (device, time_us, metric)
) partition by range (time_us);

-- What comes from days that got no partition of their own.
create table history_rest partition of history default;

-- Keys of deleted devices whose history is still on disk: out of reach already, and never given again.
create table removed_devices (key integer primary key);

create table schema_versions (
    version integer primary key,
    applied_at timestamptz not null default now()
);
